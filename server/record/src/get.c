/*
 * get.c - one record by id, and the entity tag of what its viewer sees
 *
 * The tag is made of the answer's bytes, so that two viewers who see different things have
 * different tags, and what one of them may not see does not change his.
 */
#include <string.h>

#include "base64.h"
#include "hash.h"
#include "work.h"

/* What most answers fit into, so that the buffer need not grow by steps. */
#define GET_BYTES 1536

#define TAG_BYTES 16 /* of the digest: enough that no two bodies meet */

static struct record_work *work_of(struct store_job *job)
{
	return (struct record_work *)(void *)((char *)job - offsetof(struct record_work, job));
}

void record_etag(struct bytes body, char out[static RECORD_ETAG_BYTES])
{
	uint8_t digest[HASH_BYTES];
	hash_of(body, digest);
	out[0] = '"';
	size_t n = base64_format((struct bytes){ (const char *)digest, TAG_BYTES }, out + 1);
	out[n + 1] = '"';
	out[n + 2] = '\0';
}

bool record_etag_matches(struct bytes list, const char *etag)
{
	struct bytes tag = bytes_of(etag);
	while (list.n) {
		const char *comma = memchr(list.p, ',', list.n);
		struct bytes part = { list.p, comma ? (size_t)(comma - list.p) : list.n };
		list = comma ? (struct bytes){ comma + 1, list.n - part.n - 1 }
			     : (struct bytes){ NULL, 0 };
		while (part.n && (*part.p == ' ' || *part.p == '\t')) {
			part.p++;
			part.n--;
		}
		while (part.n && (part.p[part.n - 1] == ' ' || part.p[part.n - 1] == '\t'))
			part.n--;
		if (bytes_starts_with(part, BYTES("W/")))
			part = (struct bytes){ part.p + 2, part.n - 2 };
		if (bytes_eq(part, tag) || bytes_eq_string(part, "*"))
			return true;
	}
	return false;
}

static enum store_outcome run_get(struct store_job *job, struct store_conn *conn)
{
	struct record_work *work = work_of(job);
	struct record_call *call = work->call;
	struct encoder encoder;
	bool found;
	work->refused_status = 0;
	bytes_buf_clear(&call->answer);
	bytes_buf_reserve(&call->answer, GET_BYTES);
	encoder_init(&encoder, work, conn);
	enum store_outcome outcome = call->ignore_rules
					     ? encode_written(&encoder, work->collection, call->id,
						       work->mask, work->expand, &found)
					     : encode_by_id(&encoder, work->collection, call->id,
						       work->mask, work->expand, &found);
	if (encoder.is_too_much)
		work->refused_status = 400;
	if (outcome == STORE_OK && !found)
		return STORE_REFUSED;
	return outcome;
}

static void done_get(struct store_job *job)
{
	struct record_work *work = work_of(job);
	struct record_call *call = work->call;
	if (work_answer_outcome(work))
		return;
	if (job->outcome == STORE_OK) {
		record_etag(bytes_buf_view(&call->answer), call->etag);
		bool is_same = call->if_none_match.n &&
			       record_etag_matches(call->if_none_match, call->etag);
		if (is_same)
			bytes_buf_clear(&call->answer);
		work_answer(work, is_same ? 304 : 200, "");
		return;
	}
	bytes_buf_clear(&call->answer);
	if (work->refused_status) {
		work_answer(work, work->refused_status, ENCODE_TOO_MUCH);
		return;
	}
	work_note_rule(work, RULE_VIEW);
	work_answer(work, 404, "The requested resource wasn't found.");
}

/* Whether what is read of the row by primary key needs no other row. */
static bool is_point_read(struct record_work *work)
{
	return !work->expand && !work_rule(work, RULE_VIEW)->has_subquery &&
	       (work_sees_all(work) || !work->collection->has_ruled_subquery);
}

void record_get(struct record_call *call)
{
	struct record_work *work = work_new_with_collection(call, record_get);
	if (!work || work_answer_forbidden(work, RULE_VIEW) || !work_parse_shape(work))
		return;
	work->job.run = run_get;
	work->job.done = done_get;
	/* A point read by primary key stays on this loop. */
	if (is_point_read(work)) {
		enum store_outcome outcome =
			store_read_now(call->book->store, call->loop, &work->job);
		if (outcome == STORE_OK || outcome == STORE_REFUSED) {
			done_get(&work->job);
			return;
		}
		/* No connection yet, or not as quick as it should be: the executor has both. */
		work->job.deadline_ns = call->deadline_ns;
	}
	store_read(call->book->store, &work->job);
}
