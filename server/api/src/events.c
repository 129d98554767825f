/*
 * GET /platform/events: one stream of server-sent events for a visible tab. "hello" says which
 * build serves, "tick" is sent each second, "reset" after a gap: the page then asks for everything
 * anew.
 */
#include "internal.h"

#include "clock.h"
#include "console.h"

#include <stdio.h>

/* A few ticks; a reader that is further behind misses some, and is told by their ids. */
#define BUFFER_BYTES (256 * 1024)

static void on_closed(void *context)
{
	struct event_stream *stream = context;

	stream->http = NULL;
	stream->lane->n_streams--;
}

/* The data of one tick is one line, so it is sent as it stands. */
void events_send(struct api_lane *lane)
{
	struct api *api = lane->api;

	for (unsigned i = 0; i < STREAMS_MAX; i++) {
		struct event_stream *stream = &lane->streams[i];
		if (!stream->http)
			continue;
		pthread_mutex_lock(&api->lock);
		bool is_new = api->tick_id != stream->last_id && api->tick.n > 0;
		bool has_gap = stream->last_id != 0 && api->tick_id > stream->last_id + 1;
		if (is_new && has_gap)
			(void)http_stream_write(stream->http, BYTES("event: reset\ndata: {}\n\n"));
		if (is_new && http_stream_write(stream->http, bytes_buf_view(&api->tick)))
			stream->last_id = api->tick_id;
		pthread_mutex_unlock(&api->lock);
	}
}

void events_get(void *context)
{
	struct api_request *request = context;
	struct api_lane *lane = request->lane;
	struct event_stream *stream = NULL;
	static const struct http_header headers[] = {
		{ { "Content-Type", 12 }, { "text/event-stream", 17 } },
		{ { "Cache-Control", 13 }, { "no-store", 8 } },
		{ { "X-Content-Type-Options", 22 }, { "nosniff", 7 } },
	};

	for (unsigned i = 0; i < STREAMS_MAX && !stream; i++)
		if (!lane->streams[i].http)
			stream = &lane->streams[i];
	if (!stream) {
		request_refuse_later(request, API_BUSY, "Too many tabs watch this server.", 10);
		return;
	}
	*stream = (struct event_stream){ .lane = lane };
	uint64_t last_id = 0;
	struct bytes last = http_header(request->http, BYTES("Last-Event-ID"));
	(void)bytes_parse_u64(last, UINT64_MAX, &last_id);
	stream->last_id = last_id;
	stream->http = request_stream(request, headers, 3, BUFFER_BYTES, on_closed, stream);
	if (!stream->http)
		return;
	lane->n_streams++;

	char hello[160];
	struct bytes build = console_build_id();
	int n = snprintf(hello, sizeof hello, "event: hello\ndata: {\"buildId\":\"%.*s\"}\n\n",
		(int)build.n, build.p);
	if (n > 0 && (size_t)n < sizeof hello)
		(void)http_stream_write(stream->http, (struct bytes){ hello, (size_t)n });
}
