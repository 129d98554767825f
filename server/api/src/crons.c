#include "crons.h"

#include "clock.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS   (3600 * CLOCK_NS_PER_S)
#define HOUR_US   3600000000ll
#define DAY_US    (24 * HOUR_US)
#define KEYS_KEPT (30 * DAY_US) /* an expired key is still shown for so long */

static const struct cron {
	const char *id, *expression;
	struct bytes sql;   /* with ?1, what is older than which goes */
	int64_t age_us;     /* of ?1 */
	bool is_in_seconds; /* the column is */
} crons[] = {
	{ "forgetAnswers", "0 * * * *",
		{ "DELETE FROM _idempotency WHERE created_us<=?1",
			sizeof "DELETE FROM _idempotency WHERE created_us<=?1" - 1 },
		DAY_US, false },
	{ "forgetKeys", "0 * * * *",
		{ "DELETE FROM _api_keys WHERE expires_s>0 AND expires_s<=?1",
			sizeof "DELETE FROM _api_keys WHERE expires_s>0 AND expires_s<=?1" - 1 },
		KEYS_KEPT, true },
};
#define N_CRONS (sizeof crons / sizeof crons[0])

static enum store_outcome forget(struct store_conn *conn, const struct cron *cron)
{
	int64_t until = clock_wall_us() - cron->age_us;
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(conn, cron->sql, &stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_int64(stmt, 1, cron->is_in_seconds ? until / 1000000 : until);
	return store_exec(stmt, NULL);
}

/* ---- by the clock ---- */

struct round {
	struct tenant_use use;
	struct store_job job;
};

static enum store_outcome run_all(struct store_job *job, struct store_conn *conn)
{
	enum store_outcome outcome = STORE_OK;

	(void)job;
	for (size_t i = 0; i < N_CRONS && outcome == STORE_OK; i++)
		outcome = forget(conn, &crons[i]);
	return outcome;
}

static void done_all(struct store_job *job)
{
	struct round *round = (struct round *)((char *)job - offsetof(struct round, job));

	tenant_use_end(&round->use);
	free(round);
}

static bool visit(struct tenant *tenant, void *context)
{
	struct loop *loop = context;
	struct round *round = calloc(1, sizeof *round);

	if (!round)
		return false;
	round->use.loop = loop;
	if (!tenant_try_use(tenant, &round->use)) {
		free(round);
		return true;
	}
	round->job = (struct store_job){ .run = run_all, .done = done_all, .loop = loop };
	store_write(tenant_store(tenant), &round->job);
	return true;
}

/* The next full hour, on the monotonic clock. */
static uint64_t next_ns(void)
{
	int64_t left_us = HOUR_US - clock_wall_us() % HOUR_US;

	return clock_mono_ns() + (uint64_t)left_us * 1000;
}

static void on_hour(struct loop_timer *timer)
{
	struct api *api = (struct api *)((char *)timer - offsetof(struct api, hourly));

	tenant_each(api->config.tenants, visit, api->lanes[0].loop);
	(void)loop_timer_start(api->lanes[0].loop, timer, next_ns(), NULL);
}

void crons_start(struct api *api)
{
	_Static_assert(HOUR_NS / 1000 == HOUR_US, "one hour");
	api->hourly.on_fire = on_hour;
	(void)loop_timer_start(api->lanes[0].loop, &api->hourly, next_ns(), NULL);
}

/* ---- by hand ---- */

void crons_list(void *context)
{
	struct api_request *request = context;
	struct text_json_writer json;
	struct bytes_buf body;

	bytes_buf_init(&body, 4096);
	text_json_writer_init(&json, &body);
	text_json_begin_array(&json);
	for (size_t i = 0; i < N_CRONS; i++) {
		text_json_begin_object(&json);
		text_json_write_key(&json, BYTES("id"));
		text_json_write_string(&json, bytes_of(crons[i].id));
		text_json_write_key(&json, BYTES("expression"));
		text_json_write_string(&json, bytes_of(crons[i].expression));
		text_json_end_object(&json);
	}
	text_json_end_array(&json);
	request_json_buf(request, 200, &body);
}

struct cron_call {
	struct api_request *request;
	const struct cron *cron;
	struct store_job job;
};

static enum store_outcome run_one(struct store_job *job, struct store_conn *conn)
{
	const struct cron_call *call =
		(const struct cron_call *)((char *)job - offsetof(struct cron_call, job));

	return forget(conn, call->cron);
}

static void done_one(struct store_job *job)
{
	struct cron_call *call =
		(struct cron_call *)((char *)job - offsetof(struct cron_call, job));

	if (job->outcome == STORE_OK)
		request_no_content(call->request);
	else if (job->outcome == STORE_BUSY)
		request_refuse_later(call->request, API_BUSY, NULL, 1);
	else
		request_fault(call->request, &job->err);
}

void crons_run(void *context)
{
	struct api_request *request = context;
	struct cron_call *call = arena_alloc(request->arena, sizeof *call);

	if (!call) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	for (size_t i = 0; i < N_CRONS; i++)
		if (bytes_eq_string(request_param(request, 0), crons[i].id))
			call->cron = &crons[i];
	if (!call->cron) {
		request_refuse_with(request, API_NOT_FOUND, "Missing or invalid cron job.",
			(struct bytes){ 0 });
		return;
	}
	call->request = request;
	call->job = (struct store_job){
		.run = run_one, .done = done_one, .loop = request_loop(request)
	};
	store_write(tenant_store(request->tenant), &call->job);
}
