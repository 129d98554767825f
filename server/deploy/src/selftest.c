#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper.h"
#include "text_json_reader.h"

/* The canary goes through the same inspector and the same worker as any plugin, so it also proves
 * that those work on this machine. */
struct selftest {
	struct deploy *deploy;
	struct act *act; /* for the file and its inspection; has no deployment */
	struct bytes_buf file;
	struct plugin_granted granted;
	struct pool_counters *counters;
	struct pool_instance *instance;
	struct pool_call call;
	void (*then)(struct deploy *deploy);
};

static void end(struct selftest *test, const char *complaint)
{
	struct deploy *deploy = test->deploy;
	void (*then)(struct deploy * deploy) = test->then;
	bytes_to_string(bytes_of(complaint), deploy->self_test.complaint,
		sizeof deploy->self_test.complaint);
	deploy->self_test.has_run = true;
	char reason[220];
	snprintf(reason, sizeof reason, "%u/%u refused; %s", deploy->self_test.n_refused,
		deploy->self_test.n_attempts, complaint[0] ? complaint : deploy->self_test.layers);
	struct audit_record record = {
		.kind = AUDIT_SANDBOX,
		.decision = complaint[0] ? AUDIT_DENIED : AUDIT_ALLOWED,
		.actor = BYTES("system"),
		.action = BYTES("sandbox.self-test"),
		.reason = bytes_of(reason),
	};
	audit_append(deploy->audit_lane, &record, NULL);
	log_write(complaint[0] ? LOG_ERROR : LOG_INFO, &deploy->log, NULL,
		"self-test of the sandbox", LOG_FIELDS(log_string("result", reason)));
	then(deploy);
}

static void free_test(void *context)
{
	struct selftest *test = context;
	if (test->act) {
		if (test->act->fd >= 0)
			close(test->act->fd);
		plugin_version_unref(test->act->version);
		bytes_buf_fini(&test->act->inspection.out);
		free(test->act);
	}
	bytes_buf_fini(&test->file);
	free(test->counters);
	test->deploy->selftest = NULL;
	free(test);
}

/* Before there is an instance, whose end frees the test. */
static void give_up(struct selftest *test, const char *complaint)
{
	end(test, complaint);
	free_test(test);
}

static uint64_t find_number(struct bytes doc, struct bytes pointer)
{
	struct bytes value;
	uint64_t number = 0;
	if (text_json_find(doc, pointer, &value) == TEXT_JSON_FOUND)
		bytes_parse_u64(value, 100000, &number);
	return number;
}

static void judge(struct selftest *test)
{
	struct deploy_self_test *result = &test->deploy->self_test;
	const struct pool_call *call = &test->call;
	char complaint[160] = "";
	if (call->outcome != POOL_ANSWERED || call->status != 200) {
		snprintf(complaint, sizeof complaint, "the canary did not answer: %s",
			pool_outcome_name(call->outcome));
		end(test, complaint);
		return;
	}
	struct bytes doc = call->answer_body, allowed = { NULL, 0 };
	result->n_attempts = (unsigned)find_number(doc, BYTES("/attempts"));
	result->n_refused = (unsigned)find_number(doc, BYTES("/refused"));
	text_json_find(doc, BYTES("/allowed"), &allowed);
	if (result->n_attempts == 0 || result->n_refused != result->n_attempts ||
		!bytes_eq_string(allowed, "[]"))
		snprintf(complaint, sizeof complaint,
			"the sandbox let %u of %u attempts through: %.*s",
			result->n_attempts - result->n_refused, result->n_attempts,
			(int)(allowed.n < 80 ? allowed.n : 80), allowed.p ? allowed.p : "");
	end(test, complaint);
}

static void on_answer(struct pool_call *call)
{
	struct selftest *test = call->context;
	if (!test->instance)
		return; /* on_gone has said so */
	struct pool_instance *instance = test->instance;
	test->instance = NULL;
	judge(test);
	pool_instance_kill(instance, "the self-test is over");
}

static void on_ready(void *context, struct pool_instance *instance)
{
	struct selftest *test = context;
	const struct plugin_version *version = test->act->version;
	test->instance = instance;
	test->call = (struct pool_call){
		.method = BYTES("GET"), .path = BYTES("/run"), .done = on_answer, .context = test
	};
	if (pool_instance_call(instance, &version->manifest.routes[0], &test->call) < 0)
		pool_instance_kill(instance, "the self-test could not be asked");
}

static void on_gone(void *context, struct pool_instance *instance, const struct pool_end *ended)
{
	struct selftest *test = context;
	(void)instance;
	if (test->deploy->self_test.has_run)
		return;
	test->instance = NULL;
	char complaint[160];
	snprintf(complaint, sizeof complaint, "the canary's worker: %.120s", ended->reason);
	end(test, complaint);
}

static void on_inspected(struct act *act)
{
	struct selftest *test = act->deploy->selftest;
	struct err err = act->err;
	DEFER(bytes_buf_fini) struct bytes_buf manifest = { 0 };
	bytes_buf_init(&manifest, PLUGIN_MANIFEST_MAX);
	if (err.code != ERR_NONE ||
		inspect_read_verdict(bytes_buf_view(&act->inspection.out), &manifest, &err) < 0 ||
		plugin_version_new(bytes_buf_view(&manifest), act->sha256, test->file.n,
			&act->version, &err) < 0) {
		give_up(test, err.message);
		return;
	}
	if (test->deploy->is_closing) {
		give_up(test, "the server stops");
		return;
	}
	if (act->version->manifest.n_routes == 0) {
		give_up(test, "the canary has no route");
		return;
	}
	struct pool_instance_spec spec = {
		.tenant = "_selftest",
		.version = act->version,
		.granted = &test->granted,
		.plugin_fd = act->fd,
		.is_selftest = true,
		.counters = test->counters,
		.context = test,
		.on_ready = on_ready,
		.on_exit = on_gone,
		.on_freed = free_test,
	};
	struct pool_instance *started;
	if (pool_instance_start(act->deploy->pool, act->deploy->spawn, &spec, &started, &err) < 0)
		give_up(test, err.message);
}

static int read_file(const char *path, struct bytes_buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open the canary %s", path);
	int result = 0;
	for (;;) {
		char *to = bytes_buf_reserve(out, 65536);
		ssize_t n = to ? read(fd, to, 65536) : -1;
		if (n < 0)
			result = ERR_SET(err, ERR_IO, "cannot read the canary %s", path);
		if (n <= 0)
			break;
		out->n += (size_t)n;
	}
	close(fd);
	return result;
}

void selftest_begin(struct deploy *deploy, void (*then)(struct deploy *deploy))
{
	struct err err = { 0 };
	struct selftest *test = calloc(1, sizeof *test);
	struct act *act = act_new(deploy, ACT_START, NULL);
	struct pool_counters *counters = calloc(deploy->n_loops + 1, sizeof *counters);
	if (!test || !act || !counters) {
		free(test);
		free(act);
		free(counters);
		bytes_to_string(BYTES("no memory for the self-test"), deploy->self_test.complaint,
			sizeof deploy->self_test.complaint);
		then(deploy);
		return;
	}
	deploy->selftest = test;
	test->deploy = deploy;
	test->act = act;
	test->counters = counters;
	test->then = then;
	bytes_buf_init(&test->file, 16u << 20);
	memset(act->sha256, '0', PLUGIN_SHA256_HEX);
	if (read_file(deploy->selftest_path, &test->file, &err) < 0 ||
		memfd_make(bytes_buf_view(&test->file), &act->fd, &err) < 0) {
		give_up(test, err.message);
		return;
	}
	inspect_begin(act, on_inspected);
}
