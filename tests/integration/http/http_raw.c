/*
 * http_raw.c - bad HTTP input from raw bytes, row by row
 *
 *   http_raw                        against the listener in this process
 *   http_raw --port 8090 --path /api/x/echo/echo --big /api/x/echo/big   against one that runs
 *
 * Each case is sent whole, byte by byte and randomly split. It passes when the first answer's
 * status is one of the expected ones, when there is exactly one answer (so that nothing hidden in
 * the bytes was run), when the connection is closed within 10 s, and when another client is served
 * meanwhile.
 */
#include "echo_server.h"
#include "raw_cases.h"
#include "raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOSE_WITHIN_MS 10000

struct run {
	struct echo_server *server; /* NULL: another process */
	uint16_t port;
	const char *path; /* of a request that is answered */
	const char *big;  /* of one whose answer has megabytes */
	unsigned n_passed, n_failed;
};

static const char *const pace_names[] = { "whole", "bytes", "random" };

static void report(struct run *run, int row, const char *name, const char *pace,
	const char *expected, const char *seen, bool passed)
{
	printf("%-4s row %-2d %-48s %-6s expected %-28s seen %s\n", passed ? "PASS" : "FAIL", row,
		name, pace, expected, seen);
	if (passed)
		run->n_passed++;
	else
		run->n_failed++;
}

/* ---- the table ---- */

/* The bytes of a case, with its filler and with path in place of /echo. */
static char *build(const struct raw_case *c, const char *path, size_t *ret_n)
{
	size_t filler_n = c->filler ? strlen(c->filler) : 0;
	char *out = malloc(c->n + filler_n * c->n_filler + 8 * strlen(path) + 1);
	size_t n = 0;

	if (!out)
		abort();
	for (size_t i = 0; i < c->n; i++) {
		if (c->filler && c->bytes[i] == '\1') {
			for (size_t k = 0; k < c->n_filler; k++, n += filler_n)
				memcpy(out + n, c->filler, filler_n);
		} else if (c->n - i >= 5 && memcmp(c->bytes + i, "/echo", 5) == 0) {
			memcpy(out + n, path, strlen(path));
			n += strlen(path);
			i += 4;
		} else {
			out[n++] = c->bytes[i];
		}
	}
	*ret_n = n;
	return out;
}

static bool is_expected(const struct raw_case *c, int status, bool is_closed)
{
	for (size_t i = 0; i < 4 && c->expected[i] != 0; i++) {
		if (c->expected[i] == status || (c->expected[i] == -1 && status == 0 && is_closed))
			return true;
	}
	return false;
}

static void run_case(struct run *run, const struct raw_case *c, enum raw_pace pace)
{
	struct raw_exchange exchange;
	size_t n;
	char *bytes = build(c, run->path, &n), expected[64] = "", seen[96];
	int status = 0, n_answers = 0, other;
	unsigned n_smuggled = 0;

	if (raw_open(&exchange, run->port)) {
		raw_send(&exchange, bytes, n, pace);
		raw_receive(&exchange, c->keeps_open ? c->n_answers : 0, CLOSE_WITHIN_MS + 1000);
		n_answers = raw_count_answers(&exchange, &status);
	}
	other = raw_get(run->port, run->path);
	if (run->server)
		n_smuggled = atomic_exchange(&echo_server_counts(run->server)->n_smuggled, 0);
	for (size_t i = 0; i < 4 && c->expected[i] != 0; i++) {
		size_t at = strlen(expected);

		if (c->expected[i] == -1)
			snprintf(expected + at, sizeof expected - at, "%sclose", i ? "/" : "");
		else
			snprintf(expected + at, sizeof expected - at, "%s%d", i ? "/" : "",
				c->expected[i]);
	}
	bool ended = c->keeps_open ? !exchange.is_closed
				   : exchange.is_closed && exchange.closed_ms <= CLOSE_WITHIN_MS;
	int wanted = status == 0 ? 0 : (int)c->n_answers;
	bool passed = is_expected(c, status, exchange.is_closed) && n_answers == wanted &&
		      n_smuggled == 0 && ended && other == 200;

	snprintf(seen, sizeof seen, "%d, %d answers, %s after %u ms%s%s", status, n_answers,
		exchange.is_closed ? "closed" : "open", exchange.closed_ms,
		n_smuggled ? ", SMUGGLED" : "", other == 200 ? "" : ", others not served");
	report(run, c->row, c->name, pace_names[pace], expected, seen, passed);
	raw_fini(&exchange);
	free(bytes);
}

/* ---- what needs time or numbers ---- */
/* The path stands in place of /echo in start. */
static void slow_sender(struct run *run, const char *name, const char *start, const char *drip)
{
	struct raw_exchange exchange;
	char seen[96], begun[256];
	uint64_t began_ms = raw_now_ms();
	const char *path = strstr(start, "/echo");
	int status = 0, other = 0;
	int n = path ? snprintf(begun, sizeof begun, "%.*s%s%s", (int)(path - start), start,
			       run->path, path + 5)
		     : snprintf(begun, sizeof begun, "%s", start);

	if (!raw_open(&exchange, run->port))
		return;
	raw_send(&exchange, begun, (size_t)n, RAW_WHOLE);
	while (!exchange.is_closed && raw_now_ms() - began_ms < 2 * CLOSE_WITHIN_MS) {
		raw_send(&exchange, drip, 1, RAW_WHOLE);
		raw_receive(&exchange, 0, 200);
		other = raw_get(run->port, run->path);
		if (other != 200)
			break;
	}
	unsigned took_ms = (unsigned)(raw_now_ms() - began_ms);

	raw_count_answers(&exchange, &status);
	snprintf(seen, sizeof seen, "%d, %s after %u ms, others %d", status,
		exchange.is_closed ? "closed" : "open", took_ms, other);
	report(run, 27, name, "slow", "408 within 10 s", seen,
		exchange.is_closed && took_ms <= CLOSE_WITHIN_MS && status == 408 && other == 200);
	raw_fini(&exchange);
}

/* Whether the kernel still has a process behind the other end of a connection of this machine. What
 * the server has sent before it gave up can still be read for a long time. */
static bool is_served(const struct run *run, const struct raw_exchange *exchange)
{
	struct sockaddr_in own = { 0 };
	socklen_t own_n = sizeof own;
	unsigned local, remote, state;
	char line[256];
	bool is_there = false;
	FILE *table = fopen("/proc/net/tcp", "r");

	if (!table || getsockname(exchange->fd, (struct sockaddr *)&own, &own_n) < 0)
		abort();
	while (fgets(line, sizeof line, table))
		if (sscanf(line, "%*u: %*8x:%x %*8x:%x %x", &local, &remote, &state) == 3 &&
			local == run->port && remote == ntohs(own.sin_port))
			is_there = state == 1 || state == 8; /* ESTABLISHED, CLOSE_WAIT */
	fclose(table);
	return is_there;
}

static void slow_reader(struct run *run)
{
	struct raw_exchange exchange;
	const int small = 4096;
	char byte[16], seen[96], request[256];
	uint64_t began_ms = raw_now_ms();
	bool is_cut = false;
	int other = 0;
	int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", run->big);

	if (!raw_open(&exchange, run->port))
		return;
	setsockopt(exchange.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	raw_send(&exchange, request, (size_t)n, RAW_WHOLE);
	while (!is_cut && raw_now_ms() - began_ms < 2 * CLOSE_WITHIN_MS) {
		is_cut = recv(exchange.fd, byte, sizeof byte, 0) <= 0;
		usleep(100000);
		is_cut = is_cut || !is_served(run, &exchange);
		other = raw_get(run->port, run->path);
	}
	unsigned took_ms = (unsigned)(raw_now_ms() - began_ms);
	snprintf(seen, sizeof seen, "%s after %u ms, others %d", is_cut ? "closed" : "open",
		took_ms, other);
	report(run, 27, "slow reader, 160 bytes a second", "slow", "closed within 10 s", seen,
		is_cut && took_ms <= CLOSE_WITHIN_MS && other == 200);
	raw_fini(&exchange);
}

/* More idle connections than the server takes: it closes the oldest, and goes on to serve. */
static void idle_flood(struct run *run)
{
	const unsigned n = run->server ? 400 : 10000, least = run->server ? 340 : 1700;
	struct rlimit files;
	struct raw_exchange *idle = calloc(n, sizeof *idle);
	unsigned n_opened = 0, n_closed = 0, n_served = 0;
	char name[64], seen[96], expected[64];

	if (!idle || getrlimit(RLIMIT_NOFILE, &files) < 0)
		abort();
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned i = 0; i < n; i++) {
		n_opened += raw_open(&idle[i], run->port);
		if (i % 8 == 0)
			n_served += raw_get(run->port, run->path) == 200;
	}
	usleep(100000);
	for (unsigned i = 0; i < n; i++) {
		raw_receive(&idle[i], 0, 1);
		n_closed += idle[i].is_closed;
		raw_fini(&idle[i]);
	}
	snprintf(name, sizeof name, "%u idle connections, %u requests in between", n, n / 8);
	snprintf(expected, sizeof expected, "%u served, >= %u closed", n / 8, least);
	snprintf(
		seen, sizeof seen, "%u opened, %u closed, %u served", n_opened, n_closed, n_served);
	report(run, 28, name, "-", expected, seen,
		n_opened == n && n_served == n / 8 && n_closed >= least);
	free(idle);
}

static void pipeline(struct run *run, unsigned bad_at)
{
	enum { N = 1000 };
	struct raw_exchange exchange;
	char *bytes = malloc(N * 64), seen[96];
	size_t n = 0;
	int status = 0, n_answers = 0;
	unsigned wanted = bad_at ? bad_at + 1 : N;
	bool in_order = true;

	if (!bytes || !raw_open(&exchange, run->port))
		abort();
	for (unsigned i = 0; i < N; i++)
		n += (size_t)sprintf(bytes + n, "GET %s?%u HTTP/1.1\r\n%s\r\n", run->path, i,
			bad_at && i == bad_at ? "" : "Host: x\r\n");
	raw_send(&exchange, bytes, n, RAW_WHOLE);
	raw_receive(&exchange, bad_at ? 0 : N, CLOSE_WITHIN_MS);
	n_answers = raw_count_answers(&exchange, &status);
	if (bad_at) {
		/* The last answer is the refusal, and the connection ends with it. */
		const char *last = NULL;

		for (char *p = exchange.received; (p = strstr(p, "HTTP/1.1 ")); p++)
			last = p;
		in_order = last && atoi(last + 9) == 400 && exchange.is_closed;
	}
	snprintf(seen, sizeof seen, "%d answers, first %d%s", n_answers, status,
		in_order ? "" : ", out of order");
	report(run, 29,
		bad_at ? "1,000 pipelined requests, one of them bad" : "1,000 pipelined requests",
		"whole", bad_at ? "501 answers, 400 last" : "1000 answers", seen,
		n_answers == (int)wanted && status == 200 && in_order);
	raw_fini(&exchange);
	free(bytes);
}

/* Row 40: the client goes away, or stops sending, behind every byte of a valid request. */
static void cut_at_every_byte(struct run *run, bool is_reset)
{
	char request[256], seen[96];
	size_t n = (size_t)snprintf(request, sizeof request,
		"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", run->path);
	const struct linger reset = { .l_onoff = 1 };
	unsigned n_answered = 0, n_served = 0;

	for (size_t cut = 0; cut <= n; cut++) {
		struct raw_exchange exchange;
		int status = 0;

		if (!raw_open(&exchange, run->port))
			continue;
		raw_send(&exchange, request, cut, RAW_WHOLE);
		if (is_reset) {
			setsockopt(exchange.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		} else {
			shutdown(exchange.fd, SHUT_WR);
			raw_receive(&exchange, 0, 2000);
			n_answered += raw_count_answers(&exchange, &status) == 1;
		}
		raw_fini(&exchange);
		n_served += raw_get(run->port, run->path) == 200;
	}
	snprintf(seen, sizeof seen, "%u answered, %u of %zu others served", n_answered, n_served,
		n + 1);
	report(run, 40, is_reset ? "reset behind every byte" : "half-close behind every byte", "-",
		is_reset ? "others served" : "1 answered, others served", seen,
		n_served == n + 1 && (is_reset || n_answered == 1));
}

/* ---- suspended requests and streams, in this process only ---- */
static bool wait_for(atomic_uint *counter, unsigned value, unsigned timeout_ms)
{
	for (uint64_t began_ms = raw_now_ms(); raw_now_ms() - began_ms < timeout_ms; usleep(1000))
		if (atomic_load(counter) >= value)
			return true;
	return false;
}

/* Waits until so many requests are with the handler. */
static void await_in_flight(const struct run *run, unsigned n)
{
	for (int i = 0; i < 10000 && echo_server_in_flight(run->server) < n; i++)
		usleep(1000);
}

static void departures(struct run *run)
{
	static const char hang[] = "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char events[] = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
	struct echo_counts *counts = echo_server_counts(run->server);
	struct raw_exchange exchange;

	report(run, 0, "an answer that comes later", "-", "200", "",
		raw_get(run->port, "/later") == 200);
	raw_open(&exchange, run->port);
	raw_send(&exchange, hang, sizeof hang - 1, RAW_WHOLE);
	await_in_flight(run, 1);
	raw_fini(&exchange);
	report(run, 0, "a client that leaves while it waits is noticed", "-", "an abort", "",
		wait_for(&counts->n_aborted, 1, 10000));
	raw_open(&exchange, run->port);
	raw_send(&exchange, events, sizeof events - 1, RAW_WHOLE);
	bool has_events = false;
	for (int i = 0; i < 100 && !has_events && !exchange.is_closed; i++) {
		raw_receive(&exchange, 0, 100);
		has_events = exchange.received && strstr(exchange.received, "data: tick");
	}

	raw_fini(&exchange);
	report(run, 0, "a stream flows, and its end is noticed", "-", "ticks, then closed", "",
		has_events && wait_for(&counts->n_streams_closed, 1, 10000));
}

static void body_limits(struct run *run)
{
	static const char refused[] =
		"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
		"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char limited[] =
		"POST /limited HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"
		"hello world";
	struct raw_exchange exchange;
	int status = 0, n;

	raw_open(&exchange, run->port);
	raw_send(&exchange, refused, sizeof refused - 1, RAW_WHOLE);
	raw_receive(&exchange, 2, 10000);
	n = raw_count_answers(&exchange, &status);
	report(run, 0, "a small body that nobody wants is dropped", "-",
		"404, then the next request", "", n == 2 && status == 404);
	raw_fini(&exchange);
	raw_open(&exchange, run->port);
	raw_send(&exchange, limited, sizeof limited - 1, RAW_WHOLE);
	raw_receive(&exchange, 0, 10000);
	n = raw_count_answers(&exchange, &status);
	report(run, 0, "a body over the handler's limit", "-", "413", "", n == 1 && status == 413);
	raw_fini(&exchange);
}

/* Quiesce lets what is in flight end, and nothing new begin; stopping with requests that wait for
 * an answer and streams that are open neither hangs nor crashes. */
static void ending(struct run *run)
{
	static const char later[] = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char hang[] = "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char events[] = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
	struct raw_exchange idle, waiting, hanging[3], streaming;
	int status = 0;

	raw_open(&idle, run->port);
	raw_open(&waiting, run->port);
	raw_open(&streaming, run->port);
	raw_send(&streaming, events, sizeof events - 1, RAW_WHOLE);
	for (int i = 0; i < 3; i++) {
		raw_open(&hanging[i], run->port);
		raw_send(&hanging[i], hang, sizeof hang - 1, RAW_WHOLE);
	}
	await_in_flight(run, 4);
	raw_send(&waiting, later, sizeof later - 1, RAW_WHOLE);
	/* Answered after 20 ms: it is in flight, or has been. */
	for (int i = 0; i < 20 && echo_server_in_flight(run->server) < 5; i++)
		usleep(500);
	echo_server_quiesce(run->server);
	raw_receive(&waiting, 0, 10000);
	raw_count_answers(&waiting, &status);
	report(run, 0, "quiescing answers what is in flight, then closes", "-", "200, closed", "",
		status == 200 && waiting.is_closed);
	raw_receive(&idle, 0, 10000);
	raw_receive(&streaming, 0, 10000);
	report(run, 0, "quiescing closes idle connections and streams", "-", "closed", "",
		idle.is_closed && streaming.is_closed);
	report(run, 0, "quiescing refuses new connections", "-", "no answer", "",
		raw_get(run->port, "/echo") == 0);
	report(run, 0, "what still waits is counted", "-", "3 in flight", "",
		echo_server_in_flight(run->server) == 3);
	echo_server_stop(run->server);
	report(run, 0, "stopping with suspended requests", "-", "no panic", "", true);
	for (int i = 0; i < 3; i++)
		raw_fini(&hanging[i]);
	raw_fini(&idle);
	raw_fini(&waiting);
	raw_fini(&streaming);
}

int main(int argc, char **argv)
{
	struct run run = { .path = "/echo", .big = "/big" };

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--port") == 0)
			run.port = (uint16_t)atoi(argv[i + 1]);
		else if (strcmp(argv[i], "--path") == 0)
			run.path = argv[i + 1];
		else if (strcmp(argv[i], "--big") == 0)
			run.big = argv[i + 1];
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	srand(7);
	if (run.port == 0) {
		run.server = echo_server_start();
		run.port = echo_server_port(run.server);
	}
	for (size_t i = 0; i < n_raw_cases; i++)
		for (int pace = RAW_WHOLE; pace <= RAW_RANDOM; pace++)
			run_case(&run, &raw_cases[i], (enum raw_pace)pace);
	slow_sender(&run, "headers, byte by byte", "GET /echo HTTP/1.1\r\nHost: x\r\nA: ", "a");
	slow_sender(&run, "request line, byte by byte", "GET /", "a");
	slow_sender(&run, "body, byte by byte",
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n", "a");
	slow_sender(&run, "chunked body, byte by byte",
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
		"a");
	slow_reader(&run);
	idle_flood(&run);
	pipeline(&run, 0);
	pipeline(&run, 500);
	cut_at_every_byte(&run, false);
	cut_at_every_byte(&run, true);
	if (run.server) {
		departures(&run);
		body_limits(&run);
		ending(&run);
	}
	printf("%u passed, %u failed\n", run.n_passed, run.n_failed);
	return run.n_failed == 0 ? 0 : 1;
}
