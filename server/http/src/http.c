/*
 * The daemon's own epoll descriptor is one watch of the loop. The daemon runs from a hook, and only
 * when it has something to do: its descriptor is ready, a connection was resumed, or it said so
 * itself the last time (it keeps connections with work of their own in a list).
 */
#include "http.h"

#include "http_lane.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* For the head: a target of 12 KiB and 8 KiB of headers beside it, or 16 KiB of headers alone. The
 * library zeroes all of it after each request: 32 KiB, its default, cost 8% more time for each. */
#define CONNECTION_MEMORY_BYTES (24 * 1024)
/* Connections over the limit that the library may accept before those that make room are gone. */
#define CONNECTION_MARGIN 64
#define LISTEN_BACKLOG    1024
/* Runs without any progress that we can see before the loop sleeps a millisecond in between: a
 * client can bring a connection into a state in which the library asks to be run for ever (a
 * chunk's extension that fills the buffer), until one of our timers ends it. */
#define FRUITLESS_MOST 1000
/* An unwanted body up to this is read and dropped, so that the connection can go on. */
#define DISCARD_MOST_BYTES (64 * 1024)
/* A body's announced length is only believed so far. */
#define BODY_FIRST_BYTES (64 * 1024)
#define WAIT_TRY_EVERY   32  /* runs; see is_worth_waiting */
#define FDS_RESERVED     256 /* of the process's limit, for everything but connections */

void lane_make_due(struct lane *lane)
{
	lane->is_due = true;
	lane->hook.requested = true;
}

/* ---- what the library calls ---- */
static struct connection *connection_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static size_t leave_escapes(void *lane, struct MHD_Connection *mhd, char *text)
{
	(void)lane;
	(void)mhd;
	return strlen(text);
}

/* The request line is there. What it returns becomes the library's pointer for this request. */
static void *on_request_line(void *context, const char *uri, struct MHD_Connection *mhd)
{
	struct lane *lane = context;
	struct connection *connection = connection_of(mhd);

	lane->n_fruitless = 0;
	if (!connection || connection->phase == PHASE_LEAVING)
		return NULL;
	struct http_request *request = request_new(connection);

	if (!request)
		return NULL;
	count(&lane->counts.begun);
	connection->request = request;
	head_cut_query(request, uri);
	/* Of a fresh connection, the deadline is that of its start. */
	uint64_t deadline_ns = connection->deadline_ns;
	bool is_fresh = connection->phase == PHASE_FRESH;

	connection_enter(connection, PHASE_HEAD, lane->http->config.header_timeout_ms);
	if (is_fresh)
		connection->deadline_ns = deadline_ns;
	return request;
}

/* An answer before the whole request is there: it ends the connection. */
static enum MHD_Result answer_early(struct http_request *request)
{
	request->connection->was_refused = true;
	return answer_queue(request);
}

/* The body is to come, or there is none. Asks the handler how large it may be. */
static enum MHD_Result begin_body(struct http_request *request)
{
	struct lane *lane = request->lane;
	const struct http_handler *handler = &lane->http->handler;
	const struct http_guard_verdict *head = &request->head;
	bool has_body = head->is_chunked || head->length_bytes > 0;

	request->is_begun = true;
	request->started_ns = clock_mono_ns();
	atomic_fetch_add_explicit(&lane->counts.in_flight, 1, memory_order_relaxed);
	int64_t limit = handler->on_headers(handler->context, request);

	if (limit < 0) {
		assert(request->is_answered);
		if (!has_body)
			return MHD_YES;
		if (head->is_chunked || head->expects_continue ||
			head->length_bytes > DISCARD_MOST_BYTES)
			return answer_early(request);
		request->is_discarding = true;
	} else if (head->length_bytes > (uint64_t)limit && !request->on_piece) {
		answer_refuse(request, 413, "The body is too large.");
		return answer_early(request);
	}
	if (!has_body)
		return MHD_YES;
	request->body.max = limit < 0 ? 0 : (size_t)limit;
	request->body_limit = limit < 0 ? 0 : (uint64_t)limit;
	connection_enter(request->connection, PHASE_BODY, lane->http->config.body_timeout_ms);
	if (!request->is_discarding && !request->on_piece && head->length_bytes > 0)
		bytes_buf_reserve(&request->body, head->length_bytes < BODY_FIRST_BYTES
							  ? (size_t)head->length_bytes
							  : BODY_FIRST_BYTES);
	return MHD_YES;
}

static enum MHD_Result begin(struct http_request *request, const char *method, const char *version)
{
	const char *reason = NULL;
	unsigned status = head_read(request, method, version, &reason);

	request->has_head = true;
	request_set_trace_id(request);
	if (status == 0)
		return begin_body(request);
	answer_refuse(request, status, reason);
	return answer_early(request);
}

/* The whole request is there; or the library asks again because the answer is, or because it asks
 * whenever it runs. An unanswered request is not suspended yet: run_daemon does that. */
static enum MHD_Result finish(struct http_request *request)
{
	struct connection *connection = request->connection;
	const struct http_handler *handler = &request->lane->http->handler;

	if (!request->is_answered && !request->is_handed) {
		request->is_handed = true;
		connection_enter(connection, PHASE_HANDLER, 0);
		handler->on_request(handler->context, request);
		if (!request->is_answered) {
			link_append(&request->lane->handed, &connection->link);
			request->in_library = false;
			if (connection->is_half_closed)
				request_abort(request);
			return MHD_YES;
		}
	}
	return request->is_answered ? answer_queue(request) : MHD_YES;
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *data, size_t *n,
	void **request_context)
{
	struct http_request *request = *request_context;
	enum MHD_Result result;

	(void)mhd;
	(void)url;
	((struct lane *)context)->n_fruitless = 0;
	if (!request || !request->connection)
		return MHD_NO;
	request->in_library = true;
	if (request->connection->phase == PHASE_LEAVING) {
		result = *n > 0 ? MHD_YES : MHD_NO;
		*n = 0;
	} else if (!request->has_head) {
		result = begin(request, method, version);
	} else if (*n > 0) {
		result = body_take(request, data, n);
	} else {
		result = finish(request);
	}
	request->in_library = false;
	return result;
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request_context,
	enum MHD_RequestTerminationCode code)
{
	struct lane *lane = context;
	struct http_request *request = *request_context;
	const struct http_handler *handler = &lane->http->handler;

	(void)code;
	lane->n_fruitless = 0;
	*request_context = NULL;
	if (!request || !request->connection)
		return; /* an orphan belongs to whoever answers it */
	struct connection *connection = request->connection;

	if ((request->is_handed || request->on_piece) && !request->is_answered &&
		request_orphan(request))
		return;
	if (request->is_answered && !request->is_queued) {
		request->status = 0;
		request->sent_bytes = 0;
	} else if (!request->is_queued && request->status == 0) {
		/* Refused by the library itself, or not answered at all. */
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_HTTP_STATUS);

		request->status = info ? info->http_status : 0;
		request->sent_bytes = 0;
	}
	if (request->is_begun && !request->is_answered)
		request_abort(request);
	if (request->stream)
		stream_close(request->stream);
	if (request->headers) /* else its handler has no more to do with it */
		handler->on_done(handler->context, request, request->status, request->sent_bytes);
	if (request->is_begun)
		atomic_fetch_sub_explicit(&lane->counts.in_flight, 1, memory_order_relaxed);
	request_free(request);
	connection->request = NULL;
	if (connection->phase != PHASE_LEAVING)
		connection_enter(connection, PHASE_IDLE, lane->http->config.idle_timeout_ms);
}

/* The library is about to refuse a request by itself. When it does so after the last header line (a
 * Content-Length that is no number, cookies that fill its memory) it sends its status line twice;
 * then, and only then, a connection without a handler knows the size of its head, which tells us
 * which one it is, and we answer before the library can. */
static void on_library_log(void *context, const char *format, va_list arguments)
{
	static const char refusal[] = "Error processing request (HTTP response code is %u";
	struct lane *lane = context;

	if (strncmp(format, refusal, sizeof refusal - 1) != 0)
		return;
	unsigned status = va_arg(arguments, unsigned);

	for (struct link *link = lane->heads.next; link != &lane->heads; link = link->next) {
		struct connection *connection = link_connection(link);

		if (connection->request && !connection->request->has_head &&
			MHD_get_connection_info(
				connection->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)) {
			connection_refuse(connection, status, "The headers are malformed.");
			return;
		}
	}
	count(&lane->counts.refused);
}

/* ---- the lane on its loop ---- */
static void on_daemon_ready(struct loop_watch *watch, uint32_t events)
{
	struct lane *lane = (struct lane *)(void *)((char *)watch - offsetof(struct lane, watch));

	(void)events;
	lane->is_due = true;
}

/* How long the daemon can wait, in ms, rounded up; -1 for as long as it likes. */
static int wait_ms(const struct lane *lane)
{
	if (lane->run_at_ns == CLOCK_NEVER)
		return -1;
	return (int)((lane->run_at_ns - loop_now_ns(lane->loop)) / CLOCK_NS_PER_MS) + 1;
}

/*
 * A request that its handler has not answered at once has to be suspended, which costs two system
 * calls for the library's epoll set and a vain read afterwards. When it is answered within the same
 * iteration of the loop, as most are under load, all three can be spared: between two runs of the
 * daemon nothing can happen to its connection. Waiting costs an empty iteration when the answer
 * does not come, so a score of the last outcomes decides, and now and then a run tries.
 */
static bool is_worth_waiting(struct lane *lane)
{
	return lane->wait_score > 0 || lane->n_runs++ % WAIT_TRY_EVERY == 0;
}

/* Suspends what was handed over and is not answered; cost is what the score loses for each. */
static void suspend_handed(struct lane *lane, int cost)
{
	while (!link_is_empty(&lane->handed)) {
		connection_suspend(link_connection(lane->handed.next));
		if (lane->wait_score > -WAIT_SCORE_MOST)
			lane->wait_score -= cost;
	}
}

static int run_daemon(struct loop_hook *hook)
{
	struct lane *lane = (struct lane *)(void *)((char *)hook - offsetof(struct lane, hook));
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	if (!lane->is_due && loop_now_ns(lane->loop) < lane->run_at_ns)
		return wait_ms(lane);
	lane->is_due = false;
	lane->run_at_ns = CLOCK_NEVER;
	lane->n_fruitless++;
	suspend_handed(lane, 1);
	MHD_run(lane->daemon);
	if (!is_worth_waiting(lane))
		suspend_handed(lane, 0);
	if (lane->is_due || !link_is_empty(&lane->handed)) {
		lane->is_due = true;
		return 0;
	}
	if (MHD_get_timeout(lane->daemon, &timeout_ms) != MHD_YES)
		return -1;
	if (timeout_ms == 0 && lane->n_fruitless <= FRUITLESS_MOST) {
		lane->is_due = true;
		return 0;
	}
	/* A second at most: time-outs of the library's own are short and rare. */
	timeout_ms = timeout_ms == 0 ? 1 : timeout_ms > 1000 ? 1000 : timeout_ms;
	lane->run_at_ns = clock_mono_ns() + timeout_ms * CLOCK_NS_PER_MS;
	return (int)timeout_ms;
}

static void quiesce_lane(struct loop_message *message)
{
	struct lane *lane =
		(struct lane *)(void *)((char *)message - offsetof(struct lane, quiesce));

	bool is_closed = !lane->daemon;

	http_let_go(lane->http);
	if (is_closed)
		return; /* the loop ended before it looked, and is freed now */
	lane->is_draining = true;
	int fd = MHD_quiesce_daemon(lane->daemon);

	if (fd >= 0)
		close(fd);
	while (!link_is_empty(&lane->waiting))
		connection_shut_down(link_connection(lane->waiting.next));
	for (struct link *link = lane->streaming.next, *next; link != &lane->streaming;
		link = next) {
		next = link->next;
		stream_close(link_connection(link)->request->stream);
	}
	lane_make_due(lane);
}

/* ---- opening ---- */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static int parse_address(
	struct bytes text, uint16_t port, union address *ret, socklen_t *ret_n, struct err *err)
{
	char string[INET6_ADDRSTRLEN];

	*ret = (union address){ 0 };
	if (bytes_to_string(text, string, sizeof string)) {
		if (inet_pton(AF_INET, string, &ret->v4.sin_addr) == 1) {
			ret->v4.sin_family = AF_INET;
			ret->v4.sin_port = htons(port);
			*ret_n = sizeof ret->v4;
			return 0;
		}
		if (inet_pton(AF_INET6, string, &ret->v6.sin6_addr) == 1) {
			ret->v6.sin6_family = AF_INET6;
			ret->v6.sin6_port = htons(port);
			*ret_n = sizeof ret->v6;
			return 0;
		}
	}
	return ERR_SET(err, ERR_INVALID, "not an IP address: %.*s",
		(int)(text.n < 64 ? text.n : 64), text.p);
}

static int bind_socket(
	const union address *address, socklen_t n, bool is_shared, int *ret, struct err *err)
{
	const int one = 1;
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot make a listening socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
		(is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) != 0) ||
		bind(fd, &address->any, n) != 0) {
		ERR_SET(err, ERR_IO, "cannot listen on port %u: %s", ntohs(address->v4.sin_port),
			strerror(errno));
		close(fd);
		return -1;
	}
	*ret = fd;
	return 0;
}

/* The listening socket of one lane. The first one settles the port. */
static int listen_on(
	struct http *http, union address *address, socklen_t n, int *ret, struct err *err)
{
	int fd = -1;

	if (http->port == 0 && address->v4.sin_port != 0) {
		/* Among sockets that share a port, a second server of the same user would go
		 * unnoticed: first see whether the port can be had alone. */
		if (bind_socket(address, n, false, &fd, err) != 0)
			return -1;
		close(fd);
	}
	if (bind_socket(address, n, true, &fd, err) != 0)
		return -1;
	if (listen(fd, LISTEN_BACKLOG) != 0 || getsockname(fd, &address->any, &n) != 0) {
		ERR_SET(err, ERR_IO, "cannot listen on port %u", ntohs(address->v4.sin_port));
		close(fd);
		return -1;
	}
	http->port = ntohs(address->v4.sin_port); /* at the same place in both families */
	*ret = fd;
	return 0;
}

/* As many connections as the limit on descriptors leaves each lane. */
static unsigned bound_by_descriptors(unsigned limit, unsigned n_lanes)
{
	struct rlimit fds;

	if (getrlimit(RLIMIT_NOFILE, &fds) != 0 || fds.rlim_cur == RLIM_INFINITY)
		return limit;
	rlim_t each = fds.rlim_cur > 2 * FDS_RESERVED ? (fds.rlim_cur - FDS_RESERVED) / n_lanes
						      : fds.rlim_cur / 2 / n_lanes;

	if (each > CONNECTION_MARGIN + 1)
		each -= CONNECTION_MARGIN;
	return limit < each ? limit : (unsigned)each;
}

static int lane_open(
	struct lane *lane, struct http *http, struct loop *loop, int listen_fd, struct err *err)
{
	lane->http = http;
	lane->loop = loop;
	link_init(&lane->waiting);
	link_init(&lane->heads);
	link_init(&lane->handed);
	link_init(&lane->suspended);
	link_init(&lane->streaming);
	lane->quiesce.deliver = quiesce_lane;
	lane->hook.run = run_daemon;
	lane->run_at_ns = CLOCK_NEVER;
	lane->connection_limit = bound_by_descriptors(http->config.connection_limit, http->n_lanes);
	lane->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_ERROR_LOG, 0,
		NULL, NULL, on_access, lane, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, lane,
		MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
		lane, MHD_OPTION_NOTIFY_CONNECTION, connection_notify, lane,
		MHD_OPTION_URI_LOG_CALLBACK, on_request_line, lane, MHD_OPTION_UNESCAPE_CALLBACK,
		leave_escapes, lane, MHD_OPTION_CONNECTION_LIMIT,
		lane->connection_limit + CONNECTION_MARGIN, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 0u,
		/* What "strict" would refuse without a word, the guard refuses with one. */
		MHD_OPTION_STRICT_FOR_CLIENT, http->knows_layout ? 0 : 1, MHD_OPTION_END);
	if (!lane->daemon) {
		close(listen_fd);
		return ERR_SET(err, ERR_UNAVAILABLE, "libmicrohttpd does not start");
	}
	lane->watch = (struct loop_watch){
		.fd = MHD_get_daemon_info(lane->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
		.on_ready = on_daemon_ready,
	};
	if (loop_watch_add(loop, &lane->watch, EPOLLIN, err) != 0)
		return -1;
	loop_hook_add(loop, &lane->hook);
	lane_make_due(lane); /* its first run takes the listening socket in */
	return 0;
}

int http_open(const struct http_config *config, struct loop *const *loops, unsigned n_loops,
	const struct http_handler *handler, struct http **ret, struct err *err)
{
	union address address;
	socklen_t address_n = 0;
	int fd;

	assert(n_loops > 0 && config->connection_limit > 0);
	if (parse_address(config->address, config->port, &address, &address_n, err) != 0)
		return -1;
	DEFER(http_close)
	struct http *http = calloc(1, sizeof *http + n_loops * sizeof http->lanes[0]);

	if (!http)
		return ERR_SET(err, ERR_NOMEM, "no memory for the listener");
	http->config = *config;
	http->config.address = (struct bytes){ NULL, 0 };
	http->handler = *handler;
	http->knows_layout = strcmp(MHD_get_version(), "0.9.75") == 0;
	http->n_lanes = n_loops;
	for (unsigned i = 0; i < n_loops; i++) {
		if (listen_on(http, &address, address_n, &fd, err) != 0 ||
			lane_open(&http->lanes[i], http, loops[i], fd, err) != 0)
			return -1;
	}
	*ret = http;
	http = NULL; /* handed over */
	return 0;
}

uint16_t http_port(const struct http *http)
{
	return http->port;
}

unsigned http_connection_limit(const struct http *http)
{
	unsigned n = 0;

	for (unsigned i = 0; i < http->n_lanes; i++)
		n += http->lanes[i].connection_limit;
	return n;
}

void http_quiesce(struct http *http)
{
	if (atomic_exchange(&http->is_quiesced, true))
		return;
	atomic_fetch_add(&http->n_outlive, http->n_lanes);
	for (unsigned i = 0; i < http->n_lanes; i++)
		loop_post(http->lanes[i].loop, &http->lanes[i].quiesce);
}

unsigned http_in_flight(const struct http *http)
{
	unsigned n = 0;

	for (unsigned i = 0; i < http->n_lanes; i++)
		n += atomic_load_explicit(&http->lanes[i].counts.in_flight, memory_order_relaxed);
	return n;
}

/* ---- closing ---- */

/* The connection ends now; its request, if the handler has it, stays until it is answered. */
static void let_go(struct connection *connection)
{
	if (!connection->request->is_answered)
		request_orphan(connection->request);
	if (connection->is_suspended)
		connection_resume(connection);
}

static void lane_close(struct lane *lane)
{
	struct link *const lists[] = { &lane->handed, &lane->suspended, &lane->streaming };

	if (!lane->daemon)
		return;
	/* The library panics when it stops with a suspended connection. */
	lane->is_closing = true;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		while (!link_is_empty(lists[i])) {
			struct connection *connection = link_connection(lists[i]->next);

			link_remove(&connection->link);
			let_go(connection);
		}
	loop_hook_remove(lane->loop, &lane->hook);
	loop_watch_remove(&lane->watch);
	linger_end_all(lane);
	MHD_stop_daemon(lane->daemon);
	lane->daemon = NULL;
	while (lane->free_requests) {
		struct http_request *request = lane->free_requests;

		lane->free_requests = request->next_free;
		request_free(request);
	}
}

void http_close(struct http *http)
{
	if (!http)
		return;
	for (unsigned i = 0; i < http->n_lanes; i++)
		lane_close(&http->lanes[i]);
	http->is_closed = true;
	if (http->n_outlive == 0)
		free(http);
}

void http_stats(const struct http *http, struct http_stats *ret)
{
	*ret = (struct http_stats){ 0 };
	for (unsigned i = 0; i < http->n_lanes; i++) {
		const struct lane_counts *counts = &http->lanes[i].counts;

		ret->connections_accepted += atomic_load(&counts->accepted);
		ret->connections_evicted += atomic_load(&counts->evicted);
		ret->connections_timed_out += atomic_load(&counts->timed_out);
		ret->requests_begun += atomic_load(&counts->begun);
		ret->requests_refused += atomic_load(&counts->refused);
		ret->clients_gone += atomic_load(&counts->gone);
		ret->connections_open += atomic_load(&counts->open);
	}
}
