/*
 * idle_clients.c - what clients that listen and hear nothing cost the server in memory
 *
 *   idle_clients PORT TENANT N PID [TOPIC [SECONDS]]
 *
 * Opens N streams one after the other, from addresses of the loopback network that each take a
 * thousand, sets a topic for each if one is given, prints what the server's process holds, and
 * stays for as long as it is told to.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PER_ADDRESS 900
#define TEXT        4096

static unsigned long memory_kib(const char *pid, const char *name)
{
	char path[64], line[256];
	unsigned long kib = 0;

	(void)snprintf(path, sizeof path, "/proc/%s/smaps_rollup", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	while (fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			kib += strtoul(line + strlen(name), NULL, 10);
	(void)fclose(file);
	return kib;
}

static int open_connection(unsigned short port, unsigned number)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(0x7f000002u + number / PER_ADDRESS);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(port);
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) < 0 ||
		connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		perror("idle_clients");
		exit(1);
	}
	return fd;
}

/* Reads until text stands in it; the whole is in out. */
static void read_until(int fd, char out[static TEXT], const char *text)
{
	size_t n = 0;

	out[0] = '\0';
	while (n < TEXT - 1 && !strstr(out, text)) {
		ssize_t got = read(fd, out + n, TEXT - 1 - n);
		if (got <= 0) {
			fprintf(stderr, "idle_clients: no '%s' in: %s\n", text, out);
			exit(1);
		}
		n += (size_t)got;
		out[n] = '\0';
	}
}

static void write_all(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
}

static void subscribe(
	unsigned short port, const char *tenant, const char *answer, const char *topic)
{
	char id[128] = "", body[512], text[TEXT];
	const char *at = strstr(answer, "\nid:");
	int fd = open_connection(port, 60000);

	if (at)
		(void)snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 4, "\r\n"), at + 4);
	(void)snprintf(
		body, sizeof body, "{\"clientId\":\"%s\",\"subscriptions\":[\"%s\"]}", id, topic);
	(void)snprintf(text, sizeof text,
		"POST /t/%s/api/realtime HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
		"Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
		tenant, strlen(body), body);
	write_all(fd, text);
	read_until(fd, text, " 204 ");
	(void)close(fd);
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	char text[TEXT];

	if (argc < 5) {
		fprintf(stderr, "usage: idle_clients PORT TENANT N PID [TOPIC]\n");
		return 2;
	}
	unsigned short port = (unsigned short)strtoul(argv[1], NULL, 10);
	unsigned n = (unsigned)strtoul(argv[3], NULL, 10);

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	printf("before    %8lu KiB resident, %8lu KiB private\n", memory_kib(argv[4], "Rss:"),
		memory_kib(argv[4], "Private_Dirty:") + memory_kib(argv[4], "Private_Clean:"));
	for (unsigned i = 0; i < n; i++) {
		int fd = open_connection(port, i);
		(void)snprintf(text, sizeof text,
			"GET /t/%s/api/realtime HTTP/1.1\r\nHost: localhost\r\nAccept: "
			"text/event-stream\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) "
			"AppleWebKit/537.36\r\nAccept-Language: en\r\nCache-Control: "
			"no-cache\r\nConnection: keep-alive\r\n\r\n",
			argv[2]);
		write_all(fd, text);
		read_until(fd, text, "clientId");
		if (argc > 5)
			subscribe(port, argv[2], text, argv[5]);
	}
	(void)sleep(2);
	printf("%-9u %8lu KiB resident, %8lu KiB private\n", n, memory_kib(argv[4], "Rss:"),
		memory_kib(argv[4], "Private_Dirty:") + memory_kib(argv[4], "Private_Clean:"));
	(void)fflush(stdout);
	if (argc > 6)
		(void)sleep((unsigned)strtoul(argv[6], NULL, 10));
	return 0;
}
