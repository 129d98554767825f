#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "instance.h"
#include "view.h"

static void write_line(struct pool_instance *instance)
{
	if (instance->line_n == 0)
		return;
	log_write(LOG_INFO, &instance->log, NULL, "output of the worker",
		LOG_FIELDS(log_string("tenant", instance->tenant), log_int("pid", instance->pid),
			log_text("line", (struct bytes){ instance->line, instance->line_n })));
	instance->line_n = 0;
}

/* Splits what came into lines; one that is longer than the buffer is cut into several. */
static void take_output(struct pool_instance *instance, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || instance->line_n == sizeof instance->line)
			write_line(instance);
		if (p[i] != '\n')
			instance->line[instance->line_n++] = p[i];
	}
}

/* One read an iteration, so that a worker that only writes does not keep the keeper busy: the rest
 * waits in the pipe, and then the worker does. */
static void on_output(struct loop_watch *watch, uint32_t events)
{
	struct pool_instance *instance =
		(struct pool_instance *)(void *)((char *)watch -
						 offsetof(struct pool_instance, output));
	(void)events;
	char buffer[4096];
	ssize_t n = read(watch->fd, buffer, sizeof buffer);
	if (n > 0)
		take_output(instance, buffer, (size_t)n);
	else if (n == 0)
		instance_close_output(instance);
}

void instance_watch_output(struct pool_instance *instance, int fd)
{
	instance->output.fd = fd;
	instance->output.on_ready = on_output;
	if (loop_watch_add(instance->pool->keeper, &instance->output, EPOLLIN, NULL) < 0)
		instance_close_output(instance);
}

/* A pipe holds 64 KiB: what a worker said last is read before its end is told. */
void instance_read_rest(struct pool_instance *instance)
{
	for (unsigned i = 0; i < 16 && instance->output.fd >= 0; i++)
		on_output(&instance->output, 0);
}

void instance_close_output(struct pool_instance *instance)
{
	if (instance->output.fd < 0)
		return;
	write_line(instance);
	loop_watch_remove(&instance->output);
	close(instance->output.fd);
	instance->output.fd = -1;
}

bool instance_take_log(
	struct pool_instance *instance, struct bytes payload, const uint8_t *trace_id)
{
	struct wire_log line;
	if (!wire_get_log(payload, &line))
		return false;
	static const enum log_level LEVELS[] = { LOG_DEBUG, LOG_DEBUG, LOG_INFO, LOG_WARN,
		LOG_ERROR };
	enum log_level level =
		line.level < sizeof LEVELS / sizeof LEVELS[0] ? LEVELS[line.level] : LOG_INFO;
	/* The plugin's fields go as one text: their names are its own and not ours to mix with. */
	char text[1024];
	size_t n = 0;
	struct bytes name, value;
	while (wire_next_pair(&line.fields, &name, &value)) {
		if (n + name.n + value.n + 2 > sizeof text)
			break;
		if (n)
			text[n++] = ' ';
		if (name.n)
			memcpy(text + n, name.p, name.n);
		n += name.n;
		text[n++] = '=';
		if (value.n)
			memcpy(text + n, value.p, value.n);
		n += value.n;
	}
	log_write(level, &instance->log, trace_id, "plugin",
		LOG_FIELDS(log_string("tenant", instance->tenant), log_text("line", line.message),
			log_text("fields", (struct bytes){ text, n })));
	return true;
}

void instance_record(struct pool_instance *instance, enum audit_kind kind, const char *action,
	const char *reason)
{
	struct audit_record record = {
		.kind = kind,
		.generation = instance->generation,
		.worker_pid = (uint32_t)instance->pid,
		.artifact = instance->artifact,
		.tenant = bytes_of(instance->tenant),
		.plugin = instance->version->manifest.id,
		.actor = BYTES("system"),
		.action = bytes_of(action),
		.reason = bytes_of(reason),
	};
	audit_append(instance->pool->views[0]->audit, &record, NULL);
}
