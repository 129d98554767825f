/*
 * sink.c - a mail server for tests: takes every letter and writes it into a file
 *
 *   sink FOLDER [refuse]     prints the port it listens on (127.0.0.1); letters are FOLDER/1, 2,
 * ...
 *
 * A letter's file has the envelope's addresses in front, "MAIL FROM" and "RCPT TO", and quoted
 * lines as they came. With "refuse" each recipient is refused for good. It ends with its parent.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(FILE *out, const char *line)
{
	(void)fprintf(out, "%s\r\n", line);
	(void)fflush(out);
}

/* The lines up to the lone dot. */
static void take_data(FILE *in, FILE *letter)
{
	char line[2048];

	while (fgets(line, sizeof line, in) && strcmp(line, ".\r\n") != 0)
		(void)fputs(line[0] == '.' ? line + 1 : line, letter);
}

static void serve(FILE *in, FILE *out, const char *folder, int is_refusing, int *n_letters)
{
	char line[2048], part[512], path[512], envelope[4096] = "";

	say(out, "220 sink");
	while (fgets(line, sizeof line, in)) {
		if (strncasecmp(line, "QUIT", 4) == 0) {
			say(out, "221 bye");
			return;
		}
		if (strncasecmp(line, "RCPT", 4) == 0 && is_refusing) {
			say(out, "550 nobody of that name");
			continue;
		}
		if (strncasecmp(line, "MAIL", 4) == 0 || strncasecmp(line, "RCPT", 4) == 0) {
			if (strlen(envelope) + strlen(line) < sizeof envelope)
				strcat(envelope, line);
			say(out, "250 ok");
			continue;
		}
		if (strncasecmp(line, "DATA", 4) != 0) {
			say(out, "250 ok");
			continue;
		}
		say(out, "354 go on");
		/* Whole or not there: a reader waits for the name. */
		(void)snprintf(part, sizeof part, "%s/part", folder);
		(void)snprintf(path, sizeof path, "%s/%06d", folder, ++*n_letters);
		FILE *letter = fopen(part, "w");
		if (!letter)
			exit(1);
		(void)fputs(envelope, letter);
		take_data(in, letter);
		(void)fclose(letter);
		if (rename(part, path) < 0)
			exit(1);
		envelope[0] = '\0';
		say(out, "250 taken");
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n = sizeof address;
	int n_letters = 0;
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	if (argc < 2 || listener < 0 || bind(listener, (struct sockaddr *)&address, n) < 0 ||
		listen(listener, 16) < 0 ||
		getsockname(listener, (struct sockaddr *)&address, &n) < 0)
		return 1;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGPIPE, SIG_IGN);
	printf("%u\n", ntohs(address.sin_port));
	(void)fflush(stdout);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0)
			continue;
		FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
		if (in && out)
			serve(in, out, argv[1], argc > 2, &n_letters);
		if (in)
			(void)fclose(in);
		if (out)
			(void)fclose(out);
	}
}
