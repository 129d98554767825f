/*
 * The library's own time-out counts silence, so a byte a second keeps a connection for ever. Here
 * every phase has a deadline for the whole of it. A connection has one timer, which only ever runs
 * too early: entering a phase moves it when its deadline lies before the timer's, and when it fires
 * too early it is started again. So the usual short request costs no timer operation at all.
 */
#include "http_lane.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define LAST_BYTES_MS    50 /* in which the library takes what lies in the socket */
#define ERROR_MOST_BYTES 4096

static void connection_expire(struct connection *connection, uint64_t now_ns);

static void on_timer(struct loop_timer *timer)
{
	struct connection *connection =
		(struct connection *)(void *)((char *)timer - offsetof(struct connection, timer));
	uint64_t now_ns = loop_now_ns(connection->lane->loop);

	if (connection->deadline_ns == CLOCK_NEVER)
		return;
	if (now_ns >= connection->deadline_ns)
		connection_expire(connection, now_ns);
	else if (loop_timer_start(connection->lane->loop, timer, connection->deadline_ns, NULL) !=
		 0)
		connection_shut_down(connection);
}

static void set_deadline(struct connection *connection, uint64_t deadline_ns)
{
	connection->deadline_ns = deadline_ns;
	if (deadline_ns == CLOCK_NEVER || (loop_timer_is_running(&connection->timer) &&
						  connection->timer.deadline_ns <= deadline_ns))
		return;
	/* A connection that nothing will end must not go on. */
	if (loop_timer_start(connection->lane->loop, &connection->timer, deadline_ns, NULL) != 0)
		connection_shut_down(connection);
}

void connection_enter(struct connection *connection, enum phase phase, uint64_t timeout_ms)
{
	struct lane *lane = connection->lane;
	uint64_t now_ns = loop_now_ns(lane->loop);

	connection->phase = phase;
	connection->phase_began_ns = now_ns;
	if (phase == PHASE_FRESH || phase == PHASE_IDLE)
		link_append(&lane->waiting, &connection->link);
	else if (phase == PHASE_HEAD)
		link_append(&lane->heads, &connection->link);
	else
		link_remove(&connection->link);
	if (connection->is_half_closed && timeout_ms > LAST_BYTES_MS &&
		(phase == PHASE_IDLE || phase == PHASE_HEAD || phase == PHASE_BODY))
		timeout_ms = LAST_BYTES_MS;
	set_deadline(connection, timeout_ms ? now_ns + timeout_ms * CLOCK_NS_PER_MS : CLOCK_NEVER);
}

void connection_await_reader(struct connection *connection)
{
	set_deadline(connection,
		loop_now_ns(connection->lane->loop) +
			connection->lane->http->config.send_timeout_ms / 2 * CLOCK_NS_PER_MS);
}

void connection_shut_down(struct connection *connection)
{
	const struct http_request *request = connection->request;

	/* In the middle of a body the library may be waiting for room in its buffer rather than for
	 * the socket (a chunk's extension can fill it), and would never look at the socket again.
	 */
	if (request && request->has_head && !request->is_queued && !connection->is_suspended)
		MHD_set_connection_option(connection->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 1u);
	connection->phase = PHASE_LEAVING;
	connection->deadline_ns = CLOCK_NEVER;
	link_remove(&connection->link);
	shutdown(connection->fd, SHUT_RDWR);
}

void connection_refuse(struct connection *connection, unsigned status, const char *message)
{
	const struct http_handler *handler = &connection->lane->http->handler;
	struct http_request *request = connection->request, *stand_in = NULL;
	DEFER(bytes_buf_fini) struct bytes_buf body, answer;
	char trace_id[2 * ID_TRACE_BYTES];

	if (!request) {
		request = stand_in = request_new(connection);
		if (!request) {
			connection_shut_down(connection);
			return;
		}
	}
	if (!request->is_begun)
		request_set_trace_id(request);
	bytes_buf_init(&body, ERROR_MOST_BYTES);
	bytes_buf_init(&answer, 2 * ERROR_MOST_BYTES);
	handler->make_error(handler->context, request, status, message, &body);
	bytes_hex((struct bytes){ (const char *)request->trace_id, ID_TRACE_BYTES }, trace_id);
	bytes_buf_appendf(&answer,
		"HTTP/1.1 %u %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
		"X-Request-Id: %.*s\r\nContent-Length: %zu\r\n\r\n",
		status, MHD_get_reason_phrase_for(status), (int)sizeof trace_id, trace_id, body.n);
	bytes_buf_append(&answer, bytes_buf_view(&body));
	/* One try: the buffer of a socket that nothing was sent on takes it, or the client is not
	 * worth waiting for. */
	if (!answer.failed)
		(void)!send(connection->fd, answer.p, answer.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(connection->fd, SHUT_WR);
	if (stand_in)
		request_free(stand_in);
	else
		request->status = status;
	count(&connection->lane->counts.refused);
	connection_enter(connection, PHASE_LEAVING, LINGER_MS);
}

/* What the kernel knows about the connection: bytes that came, bytes that the peer has taken. */
static void look_at_socket(
	const struct connection *connection, uint64_t *ret_received, uint64_t *ret_acked)
{
	struct tcp_info info = { 0 };
	socklen_t n = sizeof info;

	getsockopt(connection->fd, IPPROTO_TCP, TCP_INFO, &info, &n);
	*ret_received = info.tcpi_bytes_received;
	*ret_acked = info.tcpi_bytes_acked;
}

/* Half of send_timeout has passed. The reader may go on when it took enough in that time. */
static void check_reader(struct connection *connection, uint64_t now_ns)
{
	uint64_t received, acked, span_ms = connection->lane->http->config.send_timeout_ms / 2 + 1;

	look_at_socket(connection, &received, &acked);
	if (acked - connection->acked_bytes >= LANE_MIN_RATE_BYTES * span_ms / 1000) {
		connection->acked_bytes = acked;
		set_deadline(connection, now_ns + span_ms * CLOCK_NS_PER_MS);
		return;
	}
	count(&connection->lane->counts.timed_out);
	if (connection->is_suspended)
		connection_resume(connection); /* so that the library sees the end */
	connection_shut_down(connection);
}

static void check_body(struct connection *connection, uint64_t now_ns)
{
	uint64_t may_take_ns =
		connection->lane->http->config.body_timeout_ms * CLOCK_NS_PER_MS +
		connection->request->body_received * (CLOCK_NS_PER_S / LANE_MIN_RATE_BYTES);

	if (now_ns - connection->phase_began_ns < may_take_ns) {
		set_deadline(connection, connection->phase_began_ns + may_take_ns);
		return;
	}
	count(&connection->lane->counts.timed_out);
	connection_refuse(connection, 408, "The body did not arrive in time.");
}

static void connection_expire(struct connection *connection, uint64_t now_ns)
{
	uint64_t received, acked;

	if (connection->is_half_closed && connection->phase != PHASE_SEND &&
		connection->phase != PHASE_STREAM) {
		connection_shut_down(connection); /* the rest of the request will never come */
		return;
	}
	switch (connection->phase) {
	case PHASE_FRESH:
		count(&connection->lane->counts.timed_out);
		look_at_socket(connection, &received, &acked);
		if (received == 0) {
			connection_shut_down(connection);
			return;
		}
		connection_refuse(connection, 408, "The request line did not arrive in time.");
		return;
	case PHASE_HEAD:
		count(&connection->lane->counts.timed_out);
		connection_refuse(connection, 408, "The headers did not arrive in time.");
		return;
	case PHASE_BODY:
		check_body(connection, now_ns);
		return;
	case PHASE_SEND:
		check_reader(connection, now_ns);
		return;
	case PHASE_STREAM:
		if (http_stream_pending(connection->request->stream) > 0)
			check_reader(connection, now_ns);
		else
			connection->deadline_ns = CLOCK_NEVER;
		return;
	case PHASE_IDLE:
	case PHASE_LEAVING:
		connection_shut_down(connection);
		return;
	case PHASE_HANDLER: /* has no deadline of ours */
		return;
	}
}

/* ---- departure ---- */

/*
 * Each connection is watched for its client's FIN from start to end, beside the library, which does
 * not look at a suspended connection, and overlooks a FIN that comes together with the last bytes.
 */
static void on_departure(struct loop_watch *watch, uint32_t events)
{
	struct connection *connection =
		(struct connection *)(void *)((char *)watch - offsetof(struct connection, watch));

	(void)events;
	loop_watch_remove(watch);
	connection->is_half_closed = true;
	switch (connection->phase) {
	case PHASE_FRESH:
	case PHASE_HEAD:
	case PHASE_BODY:
	case PHASE_IDLE:
		/* What was sent before the FIN may still be a whole request. */
		if (connection->request && connection->request->paused_ns)
			return; /* its reader decides how long that takes */
		set_deadline(connection,
			loop_now_ns(connection->lane->loop) + LAST_BYTES_MS * CLOCK_NS_PER_MS);
		return;
	case PHASE_HANDLER:
		request_abort(connection->request);
		return;
	case PHASE_STREAM:
		stream_close(connection->request->stream);
		return;
	case PHASE_SEND:
	case PHASE_LEAVING:
		return;
	}
}

void connection_suspend(struct connection *connection)
{
	MHD_suspend_connection(connection->mhd);
	connection->is_suspended = true;
	if (connection->phase == PHASE_HANDLER || connection->phase == PHASE_BODY)
		link_append(&connection->lane->suspended, &connection->link);
}

void connection_resume(struct connection *connection)
{
	connection->is_suspended = false;
	if (connection->phase == PHASE_HANDLER || connection->phase == PHASE_BODY)
		link_remove(&connection->link);
	MHD_resume_connection(connection->mhd);
	lane_make_due(connection->lane);
}

void connection_pause_body(struct connection *connection)
{
	connection->request->paused_ns = loop_now_ns(connection->lane->loop);
	connection->deadline_ns = CLOCK_NEVER;
	connection_suspend(connection);
}

void connection_resume_body(struct connection *connection)
{
	struct http_request *request = connection->request;
	uint64_t now_ns = loop_now_ns(connection->lane->loop);

	connection->phase_began_ns += now_ns - request->paused_ns;
	request->paused_ns = 0;
	set_deadline(connection,
		connection->is_half_closed
			? now_ns + LAST_BYTES_MS * CLOCK_NS_PER_MS
			: connection->phase_began_ns +
				  connection->lane->http->config.body_timeout_ms * CLOCK_NS_PER_MS);
	connection_resume(connection);
}

/* ---- start and end ---- */
static void format_peer(struct connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;
	const void *bytes = NULL;

	if (!address)
		return;
	if (address->sa_family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (bytes &&
		inet_ntop(address->sa_family, bytes, connection->peer, sizeof connection->peer))
		connection->peer_n = strlen(connection->peer);
}

/* One too many: the one that has waited longest for its client makes room; if none waits, one that
 * sends its headers slowly; if there is none either, the newest itself. */
static void make_room(struct lane *lane, struct connection *newest)
{
	struct connection *oldest = link_connection(lane->waiting.next);

	if (oldest == newest && !link_is_empty(&lane->heads))
		oldest = link_connection(lane->heads.next);
	count(&lane->counts.evicted);
	connection_shut_down(oldest);
}

static void connection_start(struct lane *lane, struct MHD_Connection *mhd, void **socket_context)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct connection *connection = calloc(1, sizeof *connection);

	*socket_context = connection;
	if (!connection) {
		shutdown(info->connect_fd, SHUT_RDWR);
		return;
	}
	connection->lane = lane;
	connection->mhd = mhd;
	connection->fd = info->connect_fd;
	connection->timer.on_fire = on_timer;
	connection->watch = (struct loop_watch){ .fd = connection->fd, .on_ready = on_departure };
	format_peer(connection);
	/* Without the watch a client's leaving is noticed late, nothing else. */
	loop_watch_add(lane->loop, &connection->watch, EPOLLRDHUP, NULL);
	count(&lane->counts.accepted);
	lane->n_connections++;
	atomic_store_explicit(&lane->counts.open, lane->n_connections, memory_order_relaxed);
	connection_enter(connection, PHASE_FRESH, lane->http->config.header_timeout_ms);
	if (lane->n_connections > lane->connection_limit)
		make_room(lane, connection);
}

static void connection_end(struct connection *connection)
{
	struct lane *lane = connection->lane;

	linger_start(connection);

	loop_timer_stop(&connection->timer);
	loop_watch_remove(&connection->watch);
	link_remove(&connection->link);
	lane->n_connections--;
	atomic_store_explicit(&lane->counts.open, lane->n_connections, memory_order_relaxed);
	free(connection);
}

void connection_notify(void *lane, struct MHD_Connection *mhd, void **socket_context,
	enum MHD_ConnectionNotificationCode code)
{
	((struct lane *)lane)->n_fruitless = 0;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		connection_start(lane, mhd, socket_context);
	else if (*socket_context)
		connection_end(*socket_context);
}
