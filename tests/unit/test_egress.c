#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "egress.h"
#include "unit.h"

/* ---- the guard ---- */

struct group {
	enum egress_guard_verdict verdict;
	const char *const *addresses; /* ends with NULL */
};

static const char *const this_host[] = { "0.0.0.0", "0.0.0.1", "0.1.2.3", "0.255.255.255",
	"127.0.0.0", "127.0.0.1", "127.0.0.2", "127.0.0.53", "127.0.1.1", "127.1.1.1",
	"127.127.127.127", "127.255.255.254", "127.255.255.255", "::", "::1", "0:0:0:0:0:0:0:0",
	"0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::0:1", NULL };
static const char *const private[] = { "10.0.0.0", "10.0.0.1", "10.1.2.3", "10.128.0.1",
	"10.255.255.255", "100.64.0.0", "100.64.0.1", "100.100.100.199", "100.100.100.201",
	"100.127.0.1", "100.127.255.255", "169.254.0.0", "169.254.0.1", "169.254.1.1",
	"169.254.169.253", "169.254.169.255", "169.254.170.1", "169.254.170.3", "169.254.255.255",
	"172.16.0.0", "172.16.0.1", "172.17.0.1", "172.20.10.1", "172.31.255.254", "172.31.255.255",
	"192.168.0.0", "192.168.0.1", "192.168.1.1", "192.168.99.100", "192.168.255.255",
	"fc00::", "fc00::1", "fcff:ffff::1", "fd00::", "fd00::1", "fd00:ec2::253", "fd00:ec2::255",
	"fd12:3456:789a:1::1", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fe80::", "fe80::1",
	"fe80::dead:beef", "fe90::1", "fea0::1", "feb0::1", "febf:ffff::1", "fec0::", "fec0::1",
	"fed0::1", "feff::1", NULL };
static const char *const metadata[] = { "169.254.169.254", "169.254.170.2", "169.254.170.23",
	"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:0ec2:0::0254",
	NULL };
static const char *const reserved[] = { "192.0.0.0", "192.0.0.1", "192.0.0.8", "192.0.0.170",
	"192.0.0.171", "192.0.0.191", "192.0.0.255", "192.0.2.0", "192.0.2.1", "192.0.2.255",
	"192.88.99.0", "192.88.99.1", "192.88.99.2", "192.88.99.255", "198.18.0.0", "198.18.0.1",
	"198.19.0.1", "198.19.255.255", "198.51.100.0", "198.51.100.1", "198.51.100.255",
	"203.0.113.0", "203.0.113.1", "203.0.113.255", "224.0.0.0", "224.0.0.1", "224.0.0.251",
	"232.1.1.1", "233.252.0.1", "239.255.255.250", "239.255.255.255", "240.0.0.0", "240.0.0.1",
	"250.1.1.1", "255.0.0.0", "255.255.255.254", "255.255.255.255", "100::", "100::1",
	"100:0:0:1::1", "2001:db8::", "2001:db8::1", "2001:db8:ffff:ffff::1", "2001:10::1",
	"2001:1f::1", "2001:20::1", "2001:2f::1", "2001:1::1", "2001:2::1", "2001:3::1",
	"2001:4:112::1", "2001:1ff::1", "3fff::1", "3fff:fff::1", "ff00::", "ff01::1", "ff02::1",
	"ff02::2", "ff02::fb", "ff05::1:3", "ff0e::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	"1::1", "200::1", "400::1", "800::1", "1000::1", "1fff:ffff::1", "4000::1", "5f00::1",
	"6000::1", "8000::1", "a000::1", "c000::1", "e000::1", "f000::1", "fbff::1", "fe00::1",
	"fe7f::1", NULL };
static const char *const embedded[] = { "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:7f00:0001",
	"0:0:0:0:0:ffff:7f00:1", "0:0:0:0:0:ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:0:0",
	"::ffff:10.0.0.1", "::ffff:a00:1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
	"::ffff:192.168.1.1", "::ffff:8.8.8.8", "::ffff:808:808", "::ffff:255.255.255.255",
	"::127.0.0.1", "::7f00:1", "::169.254.169.254", "::a9fe:a9fe", "::8.8.8.8", "::2", "::ffff",
	"::1:1", "::ffff:0:127.0.0.1", "::ffff:0:7f00:1", "::ffff:0:8.8.8.8", "64:ff9b::127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8",
	"64:ff9b::10.0.0.1", "64:ff9b:1::1", "64:ff9b:1::a00:1", "64:ff9b:1:ffff::1",
	"64:ff9b:1:ffff:ffff:ffff:127.0.0.1", "2002::", "2002:7f00:1::", "2002:7f00:0001::1",
	"2002:a00:1::1", "2002:c0a8:101::1", "2002:a9fe:a9fe::1", "2002:808:808::1",
	"2002:ffff:ffff::1", "2001::", "2001::1", "2001:0:7f00:1::1",
	"2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:0:53aa:64c:0:fbff:55f0:d1bc",
	"2a00:1450::5efe:7f00:1", "2a00:1450::5efe:10.0.0.1", "2600:1::200:5efe:169.254.169.254",
	"2600:1::0:5efe:8.8.8.8", NULL };
static const char *const public[] = { "1.0.0.1", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0",
	"93.184.216.34", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
	"168.63.129.15", "168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255",
	"172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0",
	"192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255",
	"198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255", "2000::1", "2001:200::1",
	"2001:4860:4860::8888", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700:4700::1111",
	"2a00:1450:4001:80b::200e", "2600::", "3ffe::1", "3fff:1000::1", NULL };

static const struct group groups[] = {
	{ EGRESS_GUARD_THIS_HOST, this_host },
	{ EGRESS_GUARD_PRIVATE, private },
	{ EGRESS_GUARD_METADATA, metadata },
	{ EGRESS_GUARD_RESERVED, reserved },
	{ EGRESS_GUARD_EMBEDDED, embedded },
	{ EGRESS_GUARD_ALLOWED, public },
};

static socklen_t make_address(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	memset(ret, 0, sizeof *ret);
	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		memcpy(ret, &in, sizeof in);
		return sizeof in;
	}
	CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	memcpy(ret, &in6, sizeof in6);
	return sizeof in6;
}

static enum egress_guard_verdict judge(const char *text, uint16_t port, const char *allowed)
{
	struct sockaddr_storage address;
	socklen_t n = make_address(text, port, &address);
	struct egress_range range;

	if (allowed)
		CU_ASSERT_FATAL(egress_range_parse(bytes_of(allowed), &range));
	return egress_guard_check(
		(const struct sockaddr *)&address, n, &range, allowed ? 1 : 0, NULL);
}

static void every_address_gets_its_one_verdict(void)
{
	size_t n = 0;

	for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
		for (const char *const *at = groups[g].addresses; *at; at++, n++) {
			enum egress_guard_verdict verdict = judge(*at, 443, NULL);
			if (verdict != groups[g].verdict)
				printf("\n  %s: %s", *at, egress_guard_name(verdict));
			CU_ASSERT_EQUAL(verdict, groups[g].verdict);
		}
	CU_ASSERT(n >= 200);
}

static void other_families_and_cut_addresses_are_refused(void)
{
	struct sockaddr_storage address;
	socklen_t n = make_address("8.8.8.8", 443, &address);
	const struct sockaddr *at = (const struct sockaddr *)&address;

	CU_ASSERT_EQUAL(egress_guard_check(at, n, NULL, 0, NULL), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(egress_guard_check(at, n - 1, NULL, 0, NULL), EGRESS_GUARD_FAMILY);
	address.ss_family = AF_UNIX;
	CU_ASSERT_EQUAL(egress_guard_check(at, sizeof address, NULL, 0, NULL), EGRESS_GUARD_FAMILY);
	n = make_address("2600::1", 443, &address);
	CU_ASSERT_EQUAL(egress_guard_check(at, n, NULL, 0, NULL), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(egress_guard_check(at, n - 1, NULL, 0, NULL), EGRESS_GUARD_FAMILY);
}

static void ports_of_other_protocols_are_refused(void)
{
	static const uint16_t refused[] = { 0, 22, 23, 25, 53, 110, 143, 445, 587, 2375, 3306, 5432,
		6379, 9200, 11211, 27017 };
	static const uint16_t allowed[] = { 80, 443, 8080, 8443, 3000, 65535 };

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		CU_ASSERT_EQUAL(judge("8.8.8.8", refused[i], NULL), EGRESS_GUARD_PORT);
	for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
		CU_ASSERT_EQUAL(judge("8.8.8.8", allowed[i], NULL), EGRESS_GUARD_ALLOWED);
}

static void only_the_allowed_range_and_port_pass(void)
{
	CU_ASSERT_EQUAL(judge("127.0.0.1", 8080, "127.0.0.1/32:8080"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("127.0.0.1", 8081, "127.0.0.1/32:8080"), EGRESS_GUARD_THIS_HOST);
	CU_ASSERT_EQUAL(judge("127.0.0.2", 8080, "127.0.0.1/32:8080"), EGRESS_GUARD_THIS_HOST);
	CU_ASSERT_EQUAL(
		judge("::ffff:127.0.0.1", 8080, "127.0.0.1/32:8080"), EGRESS_GUARD_EMBEDDED);
	CU_ASSERT_EQUAL(judge("::1", 8080, "127.0.0.1/32:8080"), EGRESS_GUARD_THIS_HOST);
	CU_ASSERT_EQUAL(judge("::1", 8080, "[::1/128]:8080"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("10.1.255.255", 443, "10.1.0.0/16:443"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("10.2.0.0", 443, "10.1.0.0/16:443"), EGRESS_GUARD_PRIVATE);
	CU_ASSERT_EQUAL(judge("10.1.0.1", 9000, "10.1.0.0/16"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("10.1.0.1", 22, "10.1.0.0/16"), EGRESS_GUARD_PRIVATE);
	CU_ASSERT_EQUAL(judge("10.1.0.1", 22, "10.1.0.0/16:22"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("10.1.0.1", 0, "10.1.0.0/16"), EGRESS_GUARD_PRIVATE);
	CU_ASSERT_EQUAL(judge("172.31.0.1", 443, "172.16.0.0/12"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("172.32.0.1", 25, "172.16.0.0/12"), EGRESS_GUARD_PORT);
	/* Who allows all of IPv4 does not mean the metadata service. */
	CU_ASSERT_EQUAL(judge("192.168.1.1", 80, "0.0.0.0/0"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("169.254.169.254", 80, "0.0.0.0/0"), EGRESS_GUARD_METADATA);
	CU_ASSERT_EQUAL(
		judge("169.254.169.254", 80, "169.254.169.254/32:80"), EGRESS_GUARD_ALLOWED);
	CU_ASSERT_EQUAL(judge("fd00:ec2::254", 80, "[fd00::/8]"), EGRESS_GUARD_METADATA);
}

static void our_own_public_addresses_are_refused(void)
{
	struct sockaddr_storage own[2], address;
	struct egress_guard_self self = { own, 2 };

	make_address("93.184.216.34", 0, &own[0]);
	make_address("2600::7", 0, &own[1]);
	socklen_t n = make_address("93.184.216.34", 443, &address);
	CU_ASSERT_EQUAL(egress_guard_check((const struct sockaddr *)&address, n, NULL, 0, &self),
		EGRESS_GUARD_THIS_HOST);
	n = make_address("2600::7", 443, &address);
	CU_ASSERT_EQUAL(egress_guard_check((const struct sockaddr *)&address, n, NULL, 0, &self),
		EGRESS_GUARD_THIS_HOST);
	n = make_address("93.184.216.35", 443, &address);
	CU_ASSERT_EQUAL(egress_guard_check((const struct sockaddr *)&address, n, NULL, 0, &self),
		EGRESS_GUARD_ALLOWED);
}

static void ranges_parse_strictly(void)
{
	static const char *const good[] = { "10.0.0.0/8", "10.0.0.0/8:443", "0.0.0.0/0",
		"1.2.3.4/32:1", "[fd00::/8]:443", "[fd00::/8]", "[::1/128]:65535", "[::/0]" };
	static const char *const bad[] = { "", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8",
		"10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/8:443x", "10.0.0.0/08",
		"10.0.0/8", "010.0.0.0/8", "fd00::/8", "fd00::/8:443", "[fd00::/8", "[fd00::/8]443",
		"[10.0.0.0/8]", "[fd00::/129]", "[fd00::1/8]", "[]", "[/8]", "/8", " 10.0.0.0/8",
		"0x0a.0.0.0/8", "10.0.0.0/8 ", "[::ffff:10.0.0.0/104]:80x", "localhost/32" };
	struct egress_range range;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		CU_ASSERT(egress_range_parse(bytes_of(good[i]), &range));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!egress_range_parse(bytes_of(bad[i]), &range));
	CU_ASSERT(!egress_range_parse(BYTES("10.0.0.0/8\0:443"), &range));
}

static void metadata_names_are_refused_in_any_case(void)
{
	CU_ASSERT(egress_guard_is_forbidden_name(BYTES("metadata.google.internal")));
	CU_ASSERT(egress_guard_is_forbidden_name(BYTES("Metadata.Google.Internal.")));
	CU_ASSERT(egress_guard_is_forbidden_name(BYTES("metadata.amazonaws.com")));
	CU_ASSERT(!egress_guard_is_forbidden_name(BYTES("metadata.google.internal.example.com")));
	CU_ASSERT(!egress_guard_is_forbidden_name(BYTES("example.com")));
	CU_ASSERT(!egress_guard_is_forbidden_name(BYTES("")));
}

/* ---- an upstream that counts ---- */

struct upstream {
	int fd;
	uint16_t port;
	pthread_t thread;
	pthread_mutex_t lock; /* of last */
	_Atomic int n_connections, n_requests, n_open;
	_Atomic uint64_t closed_ns; /* when a client left /hang */
	char location[256];         /* of /redirect */
	char last[4096];            /* the last request */
};

struct connection {
	struct upstream *upstream;
	int fd;
};

static void send_text(int fd, const char *text, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		text += sent;
		n -= (size_t)sent;
	}
}

static void answer(struct upstream *up, int fd, const char *request)
{
	char text[4096];
	static const char filler[] =
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n";

	if (strstr(request, " /redirect")) {
		(void)snprintf(text, sizeof text,
			"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 4\r\n\r\nbody",
			up->location);
	} else if (strstr(request, " /hang")) {
		char byte;
		while (recv(fd, &byte, 1, 0) > 0)
			;
		atomic_store(&up->closed_ns, clock_mono_ns());
		return;
	} else if (strstr(request, " /big")) {
		(void)snprintf(
			text, sizeof text, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
		send_text(fd, text, strlen(text));
		for (int i = 0; i < 1000; i++) {
			(void)snprintf(text, sizeof text, "40\r\n%s\r\n", filler);
			send_text(fd, text, strlen(text));
		}
		(void)snprintf(text, sizeof text, "0\r\n\r\n");
	} else if (strstr(request, " /length")) {
		(void)snprintf(
			text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n");
	} else if (strstr(request, " /headers")) {
		(void)snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\n");
		send_text(fd, text, strlen(text));
		for (int i = 0; i < 2000; i++) {
			(void)snprintf(text, sizeof text, "X-%d: %.60s\r\n", i, filler);
			send_text(fd, text, strlen(text));
		}
		(void)snprintf(text, sizeof text, "Content-Length: 0\r\n\r\n");
	} else if (strstr(request, " /cookie")) {
		(void)snprintf(text, sizeof text,
			"HTTP/1.1 201 Created\r\nSet-Cookie: a=b\r\nAlt-Svc: h2=\":1\"\r\nX-Good: "
			"yes\r\n"
			"Connection: keep-alive\r\nContent-Type: text/plain\r\nContent-Length: "
			"2\r\n\r\nok");
	} else if (strstr(request, " /cut")) {
		(void)snprintf(
			text, sizeof text, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
		send_text(fd, text, strlen(text));
		shutdown(fd, SHUT_RDWR);
		return;
	} else if (strstr(request, " /old")) {
		(void)snprintf(text, sizeof text, "no status line at all\r\n\r\n");
		send_text(fd, text, strlen(text));
		shutdown(fd, SHUT_RDWR);
		return;
	} else {
		(void)snprintf(text, sizeof text,
			"HTTP/1.1 200 OK\r\nX-Echo: tok_0123456789\r\nContent-Length: "
			"%zu\r\n\r\n%s",
			strlen(request), request);
	}
	send_text(fd, text, strlen(text));
}

static void *serve_connection(void *arg)
{
	struct connection *c = arg;
	char request[2048];
	size_t n = 0;

	for (;;) {
		ssize_t got = recv(c->fd, request + n, sizeof request - 1 - n, 0);
		if (got <= 0)
			break;
		n += (size_t)got;
		request[n] = '\0';
		if (!strstr(request, "\r\n\r\n"))
			continue;
		pthread_mutex_lock(&c->upstream->lock);
		(void)snprintf(c->upstream->last, sizeof c->upstream->last, "%s", request);
		pthread_mutex_unlock(&c->upstream->lock);
		atomic_fetch_add(&c->upstream->n_requests, 1);
		answer(c->upstream, c->fd, request);
		n = 0;
	}
	close(c->fd);
	atomic_fetch_sub(&c->upstream->n_open, 1);
	free(c);
	return NULL;
}

static void *accept_all(void *arg)
{
	struct upstream *up = arg;
	int fd;

	while ((fd = accept(up->fd, NULL, NULL)) >= 0) {
		pthread_t thread;
		struct connection *c = malloc(sizeof *c);
		*c = (struct connection){ up, fd };
		atomic_fetch_add(&up->n_open, 1);
		atomic_fetch_add(&up->n_connections, 1);
		pthread_create(&thread, NULL, serve_connection, c);
		pthread_detach(thread);
	}
	return NULL;
}

static void upstream_open(struct upstream *up)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof address;

	memset(up, 0, sizeof *up);
	pthread_mutex_init(&up->lock, NULL);
	up->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(up->fd, (struct sockaddr *)&address, sizeof address), 0);
	CU_ASSERT_EQUAL_FATAL(listen(up->fd, 64), 0);
	getsockname(up->fd, (struct sockaddr *)&address, &n);
	up->port = ntohs(address.sin_port);
	pthread_create(&up->thread, NULL, accept_all, up);
}

static void upstream_close(struct upstream *up)
{
	shutdown(up->fd, SHUT_RDWR);
	pthread_join(up->thread, NULL);
	close(up->fd);
	/* The clients are gone, so each connection's thread finds its end. */
	for (int i = 0; i < 5000 && up->n_open > 0; i++)
		usleep(1000);
	CU_ASSERT_EQUAL_FATAL(up->n_open, 0);
	pthread_mutex_destroy(&up->lock);
}

/* ---- a sender ---- */

/* While it is set, slow.test has no answer: for 20 s at most. */
static atomic_bool resolver_is_held;

/* Names that only these tests know; all else does not exist. */
static size_t fake_resolve(const char *host, struct sockaddr_storage *addresses, size_t cap)
{
	static const struct {
		const char *host, *first, *second;
	} names[] = {
		{ "rebound.test", "127.0.0.1", NULL },
		{ "private.test", "10.0.0.1", "::1" },
		{ "meta.test", "169.254.169.254", NULL },
		{ "mapped.test", "::ffff:127.0.0.1", NULL },
		{ "mixed.test", "10.0.0.1", "127.0.0.1" },
		{ "local.test", "127.0.0.1", NULL },
	};
	if (strcmp(host, "slow.test") == 0)
		usleep(300000);
	for (unsigned i = 0; i < 20000 && atomic_load(&resolver_is_held); i++)
		usleep(1000);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (cap >= 2 && strcmp(host, names[i].host) == 0) {
			make_address(names[i].first, 0, &addresses[0]);
			if (names[i].second)
				make_address(names[i].second, 0, &addresses[1]);
			return names[i].second ? 2 : 1;
		}
	return 0;
}

struct bench {
	struct loop *loop;
	struct egress *egress;
	struct upstream up, other;
	struct egress_range allowed;
	char allowed_text[64];
	struct egress_response *response; /* of the last request */
	unsigned n_awaited;
};

static void bench_open(struct bench *b, const struct egress_options *options)
{
	struct egress_options o = *options;

	memset(b, 0, sizeof *b);
	o.resolve = fake_resolve;
	upstream_open(&b->up);
	upstream_open(&b->other);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &b->loop, NULL), 0);
	CU_ASSERT_EQUAL_FATAL(egress_new(&o, &b->egress, NULL), 0);
	(void)snprintf(b->allowed_text, sizeof b->allowed_text, "127.0.0.1/32:%u", b->up.port);
	CU_ASSERT_FATAL(egress_range_parse(bytes_of(b->allowed_text), &b->allowed));
}

static void bench_close(struct bench *b)
{
	egress_response_free(b->response);
	egress_free(b->egress);
	loop_free(b->loop);
	upstream_close(&b->up);
	upstream_close(&b->other);
}

static void on_done(struct egress_response *response)
{
	struct bench *b = response->user;

	egress_response_free(b->response);
	b->response = response;
	if (--b->n_awaited == 0)
		loop_stop(b->loop);
}

static const struct bytes any_path = { "/*", 2 };

static struct egress_request to(struct bench *b, const char *host, const char *target)
{
	return (struct egress_request){
		.tenant = BYTES("shop"),
		.scheme = BYTES("http"),
		.host = bytes_of(host),
		.port = b->up.port,
		.method = BYTES("GET"),
		.target = bytes_of(target),
		.paths = &any_path,
		.n_paths = 1,
		.timeout_ms = 3000,
		.max_response_bytes = 8192,
		.allowed = &b->allowed,
		.n_allowed = 1,
	};
}

static struct egress_handle begin(struct bench *b, const struct egress_request *request)
{
	struct egress_handle handle;

	b->n_awaited++;
	CU_ASSERT_EQUAL_FATAL(
		egress_send(b->egress, request, b->loop, on_done, b, &handle, NULL), 0);
	return handle;
}

static enum egress_outcome run(struct bench *b, const struct egress_request *request)
{
	begin(b, request);
	loop_run(b->loop, NULL);
	return b->response->outcome;
}

/* ---- from end to end ---- */

static void an_allowed_upstream_answers(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	struct egress_request request = to(&b, "127.0.0.1", "/cookie?x=1");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(b.response->status, 201);
	CU_ASSERT(bytes_eq(b.response->body, BYTES("ok")));
	/* Set-Cookie, Alt-Svc, Connection and Content-Length stay here. */
	CU_ASSERT_EQUAL_FATAL(b.response->n_headers, 2);
	CU_ASSERT(bytes_eq(b.response->headers[0].name, BYTES("X-Good")));
	CU_ASSERT(bytes_eq(b.response->headers[0].value, BYTES("yes")));
	CU_ASSERT(bytes_eq(b.response->headers[1].name, BYTES("Content-Type")));
	CU_ASSERT_EQUAL(b.up.n_connections, 1);
	CU_ASSERT_EQUAL(strncmp(b.response->address, "127.0.0.1:", 10), 0);
	CU_ASSERT(b.response->bytes_in > 0 && b.response->bytes_out > 0);
	bench_close(&b);
}

static void no_spelling_of_loopback_reaches_the_canary(void)
{
	static const char *const hosts[] = { "127.0.0.1", "127.1", "127.0.1", "127.0.0.1.",
		"0x7f.1", "0x7f.0.0.1", "0x7f000001", "0X7F000001", "017700000001", "0177.0.0.1",
		"0177.1", "2130706433", "00000177.0.0.1", "0x7f.0x0.0x0.0x1", "127.0.0.2",
		"127.1.2.3", "0", "0.0.0.0", "0x0", "00", "::1", "0:0:0:0:0:0:0:1",
		"::", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::7f00:1",
		"2002:7f00:1::", "10.0.0.1", "192.168.0.1", "169.254.169.254", "0xa9fea9fe",
		"2852039166", "fd00:ec2::254", "fe80::1", "255.255.255.255", "224.0.0.1",
		"rebound.test", "private.test", "meta.test", "mapped.test", "REBOUND.TEST",
		"rebound.test.", "metadata.google.internal", "METADATA.GOOGLE.INTERNAL.",
		"localhost" };
	static const char *const no_hosts[] = { "", "[::1]", "127.0.0.1%00", "127.0.0.1#",
		"127.0.0.1/", "127.0.0.1?", "127.0.0.1:80", "a@127.0.0.1", "127.0.0.1\\",
		("127\xe3\x80\x82"
		 "0.0.1"),
		"\xe2\x91\xa0.1", "::1%25lo", "fe80::1%lo", "%31%32%37.0.0.1", "127.0.0.1 ",
		" 127.0.0.1", "127.0.0.1\r\nX: y", "127.0.0.1\t", "-a", ".", "::gg", ":::" };
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		struct egress_request request = to(&b, hosts[i], "/");
		request.n_allowed = 0;
		enum egress_outcome outcome = run(&b, &request);
		/* "localhost" is no name that this resolver knows, and libcurl was not asked. */
		bool is_refused =
			outcome == EGRESS_DENIED ||
			(outcome == EGRESS_UNREACHABLE && strcmp(hosts[i], "localhost") == 0);
		if (!is_refused)
			printf("\n  %s: %s %s", hosts[i], egress_outcome_name(outcome),
				b.response->reason);
		CU_ASSERT(is_refused);
	}
	for (size_t i = 0; i < sizeof no_hosts / sizeof no_hosts[0]; i++) {
		struct egress_request request = to(&b, no_hosts[i], "/");
		CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
		CU_ASSERT_STRING_EQUAL(b.response->reason, "host");
	}
	CU_ASSERT_EQUAL(b.up.n_connections, 0);
	bench_close(&b);
}

static void a_name_is_pinned_to_the_addresses_that_passed(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	struct egress_request request = to(&b, "mixed.test", "/");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(b.up.last, "Host: mixed.test:"));
	request = to(&b, "Local.Test.", "/");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	request = to(&b, "absent.test", "/");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_UNREACHABLE);
	CU_ASSERT_STRING_EQUAL(b.response->reason, "dns");
	bench_close(&b);
}

static void a_redirect_leads_nowhere_but_to_the_declared_upstream(void)
{
	static const char *const elsewhere[] = { "http://127.0.0.1:%u/", "http://127.0.0.1:%u",
		"http://localhost:%u/", "http://127.1:%u/", "http://2130706433:%u/",
		"//127.0.0.1:%u/", "https://127.0.0.1:%u/", "http://[::1]:%u/",
		"http://[::ffff:127.0.0.1]:%u/", "ftp://127.0.0.1:%u/", "gopher://127.0.0.1:%u/_x",
		"dict://127.0.0.1:%u/x", "http://local.test:%u/", "//local.test:%u/redirect" };
	static const char *const odd[] = { "file:///etc/passwd", "http://local.test/x",
		"http://user:pw@local.test:%u/redirect", "http://127.0.0.1:%u/redirect",
		"http://127.1:%u/redirect", "https://local.test:%u/redirect", "javascript:alert(1)",
		"http://", "///", "http:///x", "http://local.test:%u@127.0.0.1:1/",
		"http://local.test:0/", "http://local.test:99999/", "/inside/../../other",
		"/inside/%%2e%%2e/x", "/inside/..%%2fother", "/inside/%%5cother", "/inside//x",
		"/redirect/x", "/insid", "/other", "http://LOCAL.test:%u/other", "" };
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
		/* Even where an operator allowed both ports. */
		struct egress_range allowed;
		CU_ASSERT_FATAL(egress_range_parse(BYTES("127.0.0.1/32"), &allowed));
		(void)snprintf(b.up.location, sizeof b.up.location, "%s", "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(b.up.location, sizeof b.up.location, elsewhere[i], b.other.port);
#pragma GCC diagnostic pop
		struct egress_request request = to(&b, "local.test", "/redirect");
		request.allowed = &allowed;
		CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
		CU_ASSERT_STRING_EQUAL(b.response->reason, "redirect");
	}
	CU_ASSERT_EQUAL(b.other.n_connections, 0);
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		(void)snprintf(b.up.location, sizeof b.up.location, odd[i], b.up.port);
#pragma GCC diagnostic pop
		struct egress_request request = to(&b, "local.test", "/redirect");
		request.paths = (const struct bytes[]){ BYTES("/redirect"), BYTES("/inside/*") };
		request.n_paths = 2;
		int before = b.up.n_requests;
		enum egress_outcome outcome = run(&b, &request);
		bool is_refused =
			outcome == EGRESS_DENIED && strcmp(b.response->reason, "redirect") == 0;
		if (!is_refused)
			printf("\n  %s: %s %s", odd[i], egress_outcome_name(outcome),
				b.response->reason);
		CU_ASSERT(is_refused);
		CU_ASSERT_EQUAL(b.up.n_requests, before + 1);
	}
	bench_close(&b);
}

static void redirects_within_the_upstream_are_followed_three_times(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	(void)snprintf(b.up.location, sizeof b.up.location, "http://LOCAL.TEST:%u/end?x=1#part",
		b.up.port);
	struct egress_request request = to(&b, "local.test", "/redirect");
	request.method = BYTES("POST");
	request.body = BYTES("some body");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(b.response->status, 200);
	/* A POST goes on as a GET, without its body, and on the same connection. */
	CU_ASSERT(bytes_starts_with(b.response->body, BYTES("GET /end?x=1 HTTP/1.1\r\n")));
	CU_ASSERT_PTR_NULL(strstr(b.up.last, "some body"));
	CU_ASSERT_EQUAL(b.up.n_connections, 1);
	(void)snprintf(b.up.location, sizeof b.up.location, "/redirect");
	int before = b.up.n_requests;
	request = to(&b, "local.test", "/redirect");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
	CU_ASSERT_STRING_EQUAL(b.response->reason, "redirects");
	CU_ASSERT_EQUAL(b.up.n_requests - before, 4);
	bench_close(&b);
}

static void an_open_connection_is_checked_again_and_never_shared(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	struct egress_request request = to(&b, "local.test", "/1");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(b.up.n_connections, 1); /* it is reused */
	CU_ASSERT_EQUAL(b.up.n_requests, 2);
	/* The same tenant after the operator took the range back: by address, so that nothing is
	 * looked up and only the check on the connection is left. */
	request = to(&b, "127.0.0.1", "/2");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(b.up.n_connections, 2);
	request.n_allowed = 0;
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
	CU_ASSERT_STRING_EQUAL(b.response->reason, "this_host");
	CU_ASSERT_EQUAL(b.up.n_requests, 3);
	/* Another tenant with the range opens a connection of its own. */
	request = to(&b, "local.test", "/3");
	request.tenant = BYTES("other");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(b.up.n_connections, 3);
	bench_close(&b);
}

static void what_an_upstream_sends_is_bounded(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	struct egress_request request = to(&b, "local.test", "/big");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_TOO_BIG);
	request = to(&b, "local.test", "/length");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_TOO_BIG);
	request = to(&b, "local.test", "/headers");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_TOO_BIG);
	CU_ASSERT_STRING_EQUAL(b.response->reason, "answer"); /* cut off, not counted afterwards */
	CU_ASSERT(b.response->bytes_in < 90000);
	request = to(&b, "local.test", "/big");
	request.max_response_bytes = 64000;
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(b.response->body.n, 64000);
	request = to(&b, "local.test", "/cut");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_UNREACHABLE);
	request = to(&b, "local.test", "/old");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_UNREACHABLE);
	bench_close(&b);
}

static void time_is_bounded_from_the_send_on(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	struct egress_request request = to(&b, "local.test", "/hang");
	request.timeout_ms = 150;
	uint64_t start_ns = clock_mono_ns();
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_TIMEOUT);
	uint64_t took_ms = (clock_mono_ns() - start_ns) / CLOCK_NS_PER_MS;
	CU_ASSERT(took_ms >= 140 && took_ms < 20000); /* it would hang for ever */
	request = to(&b, "slow.test", "/");
	request.timeout_ms = 100;
	atomic_store(&resolver_is_held, true);
	start_ns = clock_mono_ns();
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_TIMEOUT);
	took_ms = (clock_mono_ns() - start_ns) / CLOCK_NS_PER_MS;
	CU_ASSERT(took_ms >= 95 && took_ms < 15000);
	atomic_store(&resolver_is_held, false);
	bench_close(&b);
}

struct cancelling {
	struct loop_timer timer;
	struct bench *bench;
	struct egress_handle handle;
	uint64_t cancelled_ns;
};

static void cancel_now(struct loop_timer *timer)
{
	struct cancelling *c = (struct cancelling *)(void *)timer;

	c->cancelled_ns = clock_mono_ns();
	egress_cancel(c->bench->egress, c->handle);
	egress_cancel(c->bench->egress, c->handle); /* twice is once */
}

static void a_cancelled_request_closes_its_connection_at_once(void)
{
	static const char *const targets[] = { "local.test", "slow.test" };
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	for (size_t i = 0; i < 2; i++) {
		struct egress_request request = to(&b, targets[i], "/hang");
		struct cancelling c = { .timer = { .on_fire = cancel_now }, .bench = &b };
		c.handle = begin(&b, &request);
		loop_timer_start(b.loop, &c.timer, clock_mono_ns() + 100 * CLOCK_NS_PER_MS, NULL);
		loop_run(b.loop, NULL);
		CU_ASSERT_EQUAL(b.response->outcome, EGRESS_CANCELLED);
		egress_cancel(b.egress, c.handle); /* it has ended: harmless */
	}
	for (int i = 0; i < 10000 && !b.up.closed_ns; i++)
		usleep(1000);
	CU_ASSERT(b.up.closed_ns != 0);
	bench_close(&b);
}

static void what_a_plugin_may_not_say_is_denied(void)
{
	const struct egress_header bad[] = {
		{ BYTES("Host"), BYTES("x") },
		{ BYTES("content-length"), BYTES("5") },
		{ BYTES("Transfer-Encoding"), BYTES("chunked") },
		{ BYTES("Connection"), BYTES("close") },
		{ BYTES("Proxy-Authorization"), BYTES("x") },
		{ BYTES("Authorization"), BYTES("x") },
		{ BYTES("Cookie"), BYTES("x") },
		{ BYTES("TE"), BYTES("trailers") },
		{ BYTES("Upgrade"), BYTES("h2c") },
		{ BYTES("Expect"), BYTES("100-continue") },
		{ BYTES("X"), BYTES("a\r\nHost: b") },
		{ BYTES("X"), BYTES("a\nb") },
		{ BYTES("X"), BYTES("a\0b") },
		{ BYTES("X"), BYTES("a\x7f") },
		{ BYTES("X Y"), BYTES("a") },
		{ BYTES("X:"), BYTES("a") },
		{ BYTES(""), BYTES("a") },
		{ BYTES("X\r\nY"), BYTES("a") },
		{ BYTES("\xc3\xa9"), BYTES("a") },
	};
	static const char *const targets[] = { "", "x", "http://a/", "/a b", "/a\r\nX: y", "/a#b",
		"/../a", "/a/..", "/a/%2e%2E/b", "/.", "/a/./b", "/a//b", "/a%2fb", "/a%5Cb",
		"/a%00", "/a\\b", "/\xc3\xa9", "/a\x7f" };
	static const char *const methods[] = { "", "get", "CONNECT", "TRACE", "GET /x", "G\r\nET" };
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct egress_request request = to(&b, "local.test", "/");
		request.headers = &bad[i];
		request.n_headers = 1;
		CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
		CU_ASSERT_STRING_EQUAL(b.response->reason, "header");
	}
	for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
		struct egress_request request = to(&b, "local.test", targets[i]);
		CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
		CU_ASSERT_STRING_EQUAL(b.response->reason, "target");
	}
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		struct egress_request request = to(&b, "local.test", "/");
		request.method = bytes_of(methods[i]);
		CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
		CU_ASSERT_STRING_EQUAL(b.response->reason, "method");
	}
	struct egress_request request = to(&b, "local.test", "/");
	request.scheme = BYTES("file");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
	request = to(&b, "local.test", "/v2/x");
	request.paths = (const struct bytes[]){ BYTES("/v1/*"), BYTES("/v2"), BYTES("/v2/x/*") };
	request.n_paths = 3;
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_DENIED);
	CU_ASSERT_EQUAL(b.up.n_connections, 0);
	bench_close(&b);
}

static void a_secret_is_sent_and_never_seen(void)
{
	const struct egress_header secret = { BYTES("Authorization"),
		BYTES("Bearer tok_0123456789") };
	const struct egress_header plain = { BYTES("X-Empty"), BYTES("") };
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	struct egress_request request = to(&b, "local.test", "/echo");
	request.secret_headers = &secret;
	request.n_secret_headers = 1;
	request.headers = &plain;
	request.n_headers = 1;
	request.trace_id[0] = 0xab;
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(b.up.last, "Authorization: Bearer tok_0123456789\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(b.up.last, "X-Empty:\r\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(b.up.last, "traceparent: 00-ab000000000000000000000000000000-"));
	CU_ASSERT(b.response->body.n > 0);
	CU_ASSERT_PTR_NULL(memmem(b.response->body.p, b.response->body.n, "tok_", 4));
	CU_ASSERT_EQUAL_FATAL(b.response->n_headers, 1);
	CU_ASSERT(bytes_eq(b.response->headers[0].value, BYTES("**************")));
	bench_close(&b);
}

static void bodies_and_methods_arrive_as_sent(void)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
	struct bench b;
	char expected[64];

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		struct egress_request request = to(&b, "local.test", "/m");
		request.method = bytes_of(methods[i]);
		request.body = i > 0 && i < 4 ? BYTES("{\"a\":1}") : (struct bytes){ NULL, 0 };
		CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
		(void)snprintf(expected, sizeof expected, "%s /m HTTP/1.1\r\n", methods[i]);
		CU_ASSERT_EQUAL(strncmp(b.up.last, expected, strlen(expected)), 0);
		CU_ASSERT_EQUAL(
			strstr(b.up.last, "Content-Length: 7\r\n") != NULL, request.body.n == 7);
		CU_ASSERT_PTR_NULL(strstr(b.up.last, "Expect"));
		CU_ASSERT_PTR_NULL(strstr(b.up.last, "Content-Type"));
	}
	struct egress_request request = to(&b, "local.test", "/m");
	request.method = BYTES("HEAD");
	CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	CU_ASSERT_EQUAL(b.response->body.n, 0);
	bench_close(&b);
}

static void more_than_the_bound_is_busy(void)
{
	struct bench b;
	unsigned n_busy = 0;

	bench_open(
		&b, &(struct egress_options){
			    .thread_index = 1, .max_requests = 3, .max_requests_per_tenant = 2 });
	struct egress_request request = to(&b, "local.test", "/hang");
	request.timeout_ms = 300;
	for (int i = 0; i < 5; i++)
		begin(&b, &request);
	while (b.n_awaited > 0) {
		unsigned before = b.n_awaited;
		loop_stop(b.loop); /* one iteration at a time */
		loop_run(b.loop, NULL);
		if (b.n_awaited < before)
			n_busy += b.response->outcome == EGRESS_BUSY;
		usleep(2000);
	}
	CU_ASSERT(n_busy >= 1);
	bench_close(&b);
}

static void stopping_answers_all_that_is_under_way(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1 });
	struct egress_request hang = to(&b, "local.test", "/hang"), slow = to(&b, "slow.test", "/");
	begin(&b, &hang);
	begin(&b, &slow);
	begin(&b, &hang);
	usleep(50000);
	begin(&b, &hang); /* its start may not have arrived */
	egress_free(b.egress);
	b.egress = NULL;
	loop_run(b.loop, NULL);
	CU_ASSERT_EQUAL(b.n_awaited, 0);
	CU_ASSERT_EQUAL(b.response->outcome, EGRESS_CANCELLED);
	bench_close(&b);
}

static void the_least_used_tenant_makes_room(void)
{
	struct bench b;

	bench_open(&b, &(struct egress_options){ .thread_index = 1, .max_tenants = 2 });
	for (int i = 0; i < 10; i++) {
		struct egress_request request = to(&b, "local.test", "/");
		char tenant[8];
		(void)snprintf(tenant, sizeof tenant, "t%d", i % 5);
		request.tenant = bytes_of(tenant);
		CU_ASSERT_EQUAL(run(&b, &request), EGRESS_OK);
	}
	CU_ASSERT_EQUAL(b.up.n_connections, 10);
	bench_close(&b);
}

static const struct unit_test tests[] = {
	UNIT(every_address_gets_its_one_verdict),
	UNIT(other_families_and_cut_addresses_are_refused),
	UNIT(ports_of_other_protocols_are_refused),
	UNIT(only_the_allowed_range_and_port_pass),
	UNIT(our_own_public_addresses_are_refused),
	UNIT(ranges_parse_strictly),
	UNIT(metadata_names_are_refused_in_any_case),
	UNIT(an_allowed_upstream_answers),
	UNIT(no_spelling_of_loopback_reaches_the_canary),
	UNIT(a_name_is_pinned_to_the_addresses_that_passed),
	UNIT(a_redirect_leads_nowhere_but_to_the_declared_upstream),
	UNIT(redirects_within_the_upstream_are_followed_three_times),
	UNIT(an_open_connection_is_checked_again_and_never_shared),
	UNIT(what_an_upstream_sends_is_bounded),
	UNIT(time_is_bounded_from_the_send_on),
	UNIT(a_cancelled_request_closes_its_connection_at_once),
	UNIT(what_a_plugin_may_not_say_is_denied),
	UNIT(a_secret_is_sent_and_never_seen),
	UNIT(bodies_and_methods_arrive_as_sent),
	UNIT(more_than_the_bound_is_busy),
	UNIT(stopping_answers_all_that_is_under_way),
	UNIT(the_least_used_tenant_makes_room),
};

UNIT_MAIN("egress", tests)
