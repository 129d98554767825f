/*
 * saboteur.c - a plugin that misbehaves on request, one way for each route
 *
 * The README says what each route does and the one outcome that the server must make of it. Nothing
 * here reaches further than its own process: that is what it is there to show.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <tenon/plugin.h>

/* Ids of the manifest. */
enum {
	ROUTE_CRASH = 1,
	ROUTE_ROB,
	ROUTE_LOOP,
	ROUTE_EXIT,
	ROUTE_ABORT,
	ROUTE_OOM,
	ROUTE_HTML,
	ROUTE_SOCKET,
	ROUTE_EXECVE,
	ROUTE_FORK,
	ROUTE_INT80,
	ROUTE_SECCOMP,
	ROUTE_RING,
	ROUTE_STDOUT,
	ROUTE_WELL
};

struct tenon_instance {
	const struct tenon_call_api *call;
	const struct tenon_db_api *db;
	const struct tenon_http_api *http;
	const struct tenon_json_api *json;
};

static struct tenon_instance self;

static int32_t create(struct tenon_host *host, struct tenon_call *boot,
	const struct tenon_config *config, struct tenon_instance **out)
{
	(void)boot;
	(void)config;
	self.call = host->iface(host, TENON_CALL_ID, 1);
	self.db = host->iface(host, TENON_DB_ID, 1);
	self.http = host->iface(host, TENON_HTTP_ID, 1);
	self.json = host->iface(host, TENON_JSON_ID, 1);
	*out = &self;
	return self.call && self.db && self.http && self.json ? TENON_OK : TENON_E_UNSUPPORTED;
}

static void destroy(struct tenon_instance *instance)
{
	(void)instance;
}

static int32_t answer(struct tenon_call *call, const char *body)
{
	const struct tenon_response response = {
		.size = sizeof response,
		.status = 200,
		.body = body,
		.body_n = strlen(body),
	};

	return self.call->respond(call, &response);
}

/* What a refused system call came back with, for those that do not end the process. */
static int32_t answer_errno(struct tenon_call *call, const char *what, long result)
{
	char text[128];
	int error = errno;

	(void)snprintf(text, sizeof text, "{\"tried\":\"%s\",\"result\":%ld,\"errno\":\"%s\"}",
		what, result, result < 0 ? strerrorname_np(error) : "");
	return answer(call, text);
}

/* ---- three tries to take what is not ours ---- */

static int32_t rob(struct tenon_call *call)
{
	const struct tenon_statement statement = {
		.size = sizeof statement,
		.name = TENON_STR("all_passwords"),
	};
	const struct tenon_http_request request = {
		.size = sizeof request,
		.upstream = TENON_STR("http://169.254.169.254/latest/meta-data/"),
		.method = TENON_STR("GET"),
		.path = TENON_STR("/"),
	};
	struct tenon_http_response response = { .size = sizeof response };
	struct tenon_rows *rows;
	char text[256];

	int32_t db = self.db->query(call, &statement, &rows);
	int32_t http = self.http->send(call, &request, &response);
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	int error = errno;
	int refused = (db == TENON_E_DENIED) + (http == TENON_E_DENIED) + (fd < 0);
	(void)snprintf(text, sizeof text,
		"{\"tries\":3,\"refused\":%d,\"report\":\"3 tries, %d refused\","
		"\"statement\":%d,\"upstream\":%d,\"file\":\"%s\"}",
		refused, refused, db, http, fd < 0 ? strerrorname_np(error) : "open");
	return answer(call, text);
}

/* ---- memory ---- */

static int32_t eat_memory(struct tenon_call *call)
{
	const size_t piece = 1u << 20;

	/* Each page is touched; a malloc that says no is written to like any other. */
	for (size_t i = 0; i < 1024; i++) {
		volatile char *p = malloc(piece);
		for (size_t at = 0; at < piece; at += 4096)
			p[at] = 1;
	}
	return answer(call, "{\"eaten\":\"1 GiB\"}");
}

/* ---- the segment ---- */

#define RING_MAGIC 0x676e6952u
#define WORDS      64u

/* The kernel copies the set before it looks at the nonsense in front of it: EFAULT for an address
 * that cannot be read, EINVAL for one that can. */
static int is_readable(const void *p)
{
	return syscall(SYS_rt_sigprocmask, 99, p, NULL, 8) < 0 && errno == EINVAL;
}

/* Follows pointers from p until one leads to a page that begins as a segment does. */
static char *find_segment(const void *p, unsigned depth)
{
	for (unsigned i = 0; i < WORDS; i++) {
		const char *at = (const char *)p + i * sizeof(void *);
		if (!is_readable(at))
			return NULL;
		char *target;
		memcpy(&target, at, sizeof target);
		if ((uintptr_t)target < 65536 || (uintptr_t)target % 8 || !is_readable(target))
			continue;
		uint32_t magic;
		memcpy(&magic, target, sizeof magic);
		if ((uintptr_t)target % 4096 == 0 && magic == RING_MAGIC)
			return target;
		char *found = depth ? find_segment(target, depth - 1) : NULL;
		if (found)
			return found;
	}
	return NULL;
}

/* Fills the pages behind the header with noise until it is stopped, and wakes the server to look at
 * it. */
static int32_t scribble(struct tenon_call *call)
{
	static char noise[4096];
	const uint64_t one = 1;
	char *segment = find_segment(call, 2);

	if (!segment)
		return answer(call, "{\"ring\":\"not found\"}");
	for (;;) {
		(void)!getrandom(noise, sizeof noise, 0);
		for (unsigned page = 1; page < 66 && is_readable(segment + page * 4096); page++)
			memcpy(segment + page * 4096, noise, sizeof noise);
		for (int fd = 8; fd < 16; fd++)
			(void)!write(fd, &one, sizeof one);
	}
}

/* ---- system calls ---- */

static int32_t second_filter(void)
{
	/* A filter that answers seccomp() itself with success: whoever comes later only believes to
	 * have one. */
	struct sock_filter code[] = {
		{ BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO },
	};
	const struct sock_fprog program = { .len = 1, .filter = code };

	return (int32_t)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static long int80(void)
{
	long result;

	/* Number 20 is getpid there: harmless, and through the wrong door. */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
	return result;
}

static int32_t html(struct tenon_call *call)
{
	static const char page[] =
		"<!doctype html><title>saboteur</title><p id=out>waiting</p><script>\n"
		"fetch('/platform/plugins', {credentials: 'include'})\n"
		"  .then(r => r.text().then(t => out.textContent = 'status ' + r.status + ' ' + "
		"t))\n"
		"  .catch(e => out.textContent = 'refused ' + e);\n"
		"</script>";
	static const struct tenon_pair type = { TENON_STR("Content-Type"),
		TENON_STR("text/html; charset=utf-8") };
	const struct tenon_response response = {
		.size = sizeof response,
		.flags = TENON_RESPONSE_BORROW_BODY,
		.status = 200,
		.headers = &type,
		.n_headers = 1,
		.body = page,
		.body_n = sizeof page - 1,
	};

	return self.call->respond(call, &response);
}

static int32_t print(struct tenon_call *call)
{
	for (int i = 0; i < 10000; i++)
		printf("saboteur says %d %%s %%n \033[31mred\033[0m\n", i);
	return answer(call, "{\"printed\":10000}");
}

static int32_t invoke(struct tenon_instance *instance, struct tenon_call *call)
{
	char *const none[] = { NULL };
	volatile int forever = 1;
	volatile uintptr_t nowhere = 16;

	switch (instance->call->info(call)->route_id) {
	case ROUTE_CRASH:
		*(volatile int *)nowhere = 1;
		return TENON_OK;
	case ROUTE_ROB:
		return rob(call);
	case ROUTE_LOOP:
		while (forever)
			;
		return TENON_OK;
	case ROUTE_EXIT:
		exit(0);
	case ROUTE_ABORT:
		abort();
	case ROUTE_OOM:
		return eat_memory(call);
	case ROUTE_HTML:
		return html(call);
	case ROUTE_SOCKET:
		return answer_errno(call, "socket", socket(AF_INET, SOCK_STREAM, 0));
	case ROUTE_EXECVE:
		return answer_errno(call, "execve", execve("/bin/sh", none, none));
	case ROUTE_FORK:
		return answer_errno(call, "fork", fork());
	case ROUTE_INT80:
		return answer_errno(call, "int80", int80());
	case ROUTE_SECCOMP:
		return answer_errno(call, "seccomp", second_filter());
	case ROUTE_RING:
		return scribble(call);
	case ROUTE_STDOUT:
		return print(call);
	case ROUTE_WELL:
		return answer(call, "{\"well\":true}");
	default:
		return TENON_E_UNSUPPORTED;
	}
}

const struct tenon_plugin tenon_plugin_v1 = {
	.size = sizeof tenon_plugin_v1,
	.abi_major = TENON_ABI_MAJOR,
	.abi_minor = TENON_ABI_MINOR,
	.target = TENON_TARGET,
	.concurrency = TENON_SERIAL,
	.id = "saboteur",
	.version = "1.0.0",
	.create = create,
	.invoke = invoke,
	.destroy = destroy,
};
