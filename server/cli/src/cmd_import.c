/* tenon import COLLECTION FILE: records out of a CSV or JSON file, all of them or none. */
#include "args.h"
#include "client.h"
#include "commands.h"

#include "record_import.h"
#include "text_json_reader.h"
#include "text_url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX (1u << 20)
#define TIMEOUT_MS 75000 /* the server gives an import a minute */

/* The whole file. False having said why not. */
static bool read_file(const char *path, struct bytes_buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0 && !out->failed) {
		char *at = bytes_buf_reserve(out, 65536);
		n = at ? read(fd, at, 65536) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->n += (size_t)n;
	}
	if (n < 0)
		fprintf(stderr, "tenon: %s: %s\n", path, strerror(errno));
	else if (out->failed || out->n > RECORD_IMPORT_BYTES_MAX)
		fprintf(stderr, "tenon: %s is larger than %u MiB: import it in parts\n", path,
			RECORD_IMPORT_BYTES_MAX >> 20);
	if (fd >= 0)
		(void)close(fd);
	return n >= 0 && !out->failed && out->n <= RECORD_IMPORT_BYTES_MAX;
}

/* A string member as it can go to a terminal. */
static void put_member(struct bytes object, const char *pointer)
{
	char text[512];
	size_t n = 0;
	struct bytes value;

	if (text_json_find(object, bytes_of(pointer), &value) != TEXT_JSON_FOUND)
		return;
	if (value.n >= 2 && value.p[0] == '"') {
		value = (struct bytes){ value.p + 1, value.n - 2 };
		if (value.n > sizeof text || !text_json_unescape(value, text, &n))
			return;
		value = (struct bytes){ text, n };
	}
	for (size_t i = 0; i < value.n; i++) {
		unsigned char byte = (unsigned char)value.p[i];
		(void)fputc(byte < 32 || byte == 127 ? ' ' : byte, stderr);
	}
}

/* "line 3, price: Invalid value." for each. */
static void tell_errors(struct bytes answer)
{
	static const struct text_json_token between = { .type = TEXT_JSON_NULL };
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes errors;

	if (text_json_check(answer, &TEXT_JSON_LIMITS, NULL) != TEXT_JSON_VALID ||
		text_json_find(answer, BYTES("/data/errors"), &errors) != TEXT_JSON_FOUND)
		return;
	text_json_reader_init(&reader, errors);
	if (text_json_next(&reader, &token) != TEXT_JSON_ARRAY)
		return;
	for (;;) {
		struct bytes error = text_json_skip(&reader, &between);
		if (error.n == 0)
			return;
		(void)fputs("tenon:   line ", stderr);
		put_member(error, "/line");
		(void)fputs(", ", stderr);
		put_member(error, "/column");
		(void)fputs(": ", stderr);
		put_member(error, "/message");
		(void)fputc('\n', stderr);
	}
}

static const char *format_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && strcasecmp(dot, ".csv") == 0)
		return "csv";
	return dot && strcasecmp(dot, ".json") == 0 ? "json" : NULL;
}

int command_import(int argc, char **argv)
{
	struct args_option options[] = {
		{ "--data", "DIR", "the server's data folder", "tenon-data" },
		{ "--json", NULL, "print the answer as JSON", NULL },
		{ "--tenant", "T", "the tenant", "default" },
		{ "--upsert", NULL, "change the records whose id exists", NULL },
		{ "--dry-run", NULL, "check everything, write nothing", NULL },
		{ "--skip-hooks", NULL, "do not mind the plugins that guard the collection", NULL },
	};
	enum { N = sizeof options / sizeof options[0] };
	static const char *const columns[] = { "rows", "created", "updated", "dryRun", "ignored" };
	struct args args;

	if (!args_parse(argc, argv, options, N, &args))
		return 2;
	const char *format = args.n_words == 2 ? format_of(args.words[1]) : NULL;
	if (args.wants_help || !format) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon import COLLECTION FILE.{csv,json}\n"
			"Writes the file's records into the collection, all of them or none.\n");
		args_print(options, N);
		return args.wants_help ? 0 : 2;
	}

	DEFER(bytes_buf_fini) struct bytes_buf text, path, answer;
	bytes_buf_init(&text, RECORD_IMPORT_BYTES_MAX + 65536);
	bytes_buf_init(&path, 1024);
	bytes_buf_init(&answer, ANSWER_MAX);
	if (!read_file(args.words[1], &text))
		return 1;
	bytes_buf_append_string(&path, "/platform/tenants/");
	text_url_encode(&path, bytes_of(args_value(options, N, "--tenant")));
	bytes_buf_append_string(&path, "/collections/");
	text_url_encode(&path, bytes_of(args.words[0]));
	bytes_buf_appendf(&path, "/import?format=%s%s%s%s", format,
		args_value(options, N, "--upsert") ? "&mode=upsert" : "",
		args_value(options, N, "--dry-run") ? "&dryRun=1" : "",
		args_value(options, N, "--skip-hooks") ? "&skipHooks=1" : "");
	bytes_buf_append_byte(&path, '\0');

	struct client client = { 0 };
	struct err err = { 0 };
	if (path.failed) {
		fprintf(stderr, "tenon: these names are too long\n");
		return 1;
	}
	if (client_open(args_value(options, N, "--data"), args_value(options, N, "--json") != NULL,
		    &client, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	int status = client_send(&client, "POST", path.p,
		strcmp(format, "csv") == 0 ? "text/csv" : "application/json", bytes_buf_view(&text),
		TIMEOUT_MS, &answer);
	if (status == 0)
		client_print(&client, bytes_buf_view(&answer), columns, 5);
	else
		tell_errors(bytes_buf_view(&answer));
	client_close(&client);
	return status;
}
