/*
 * match.c - If-Match: a write of the record that its client has seen, and of no later one
 */
#include "write.h"

enum store_outcome match_check(struct record_work *work, struct store_conn *conn)
{
	struct record_call *call = work->call;
	DEFER(bytes_buf_fini) struct bytes_buf seen;
	struct encoder encoder;
	char etag[RECORD_ETAG_BYTES];
	bool found;
	if (!call->if_match.n)
		return STORE_OK;
	bytes_buf_init(&seen, RECORD_BODY_MAX);
	encoder_init(&encoder, work, conn);
	encoder.out = &seen;
	enum store_outcome outcome =
		encode_written(&encoder, work->collection, bytes_of(work->id), NULL, NULL, &found);
	if (outcome != STORE_OK || !found)
		return outcome; /* what is not there is said later */
	record_etag(bytes_buf_view(&seen), etag);
	/* What was never told whole has no tag that anybody could have. */
	if (!seen.failed && record_etag_matches(call->if_match, etag))
		return STORE_OK;
	return row_refuse(work, 412, "The record is not as If-Match says: get it again.");
}

void match_note(struct record_work *work)
{
	struct record_call *call = work->call;
	if (!work->mask && !work->expand && !call->group)
		record_etag(bytes_buf_view(&call->answer), call->etag);
}
