#include "client.h"

#include "core.h"

#include "clock.h"
#include "text_json_check.h"
#include "text_json_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_TIMEOUT_MS 15000
#define FOLDER_WAIT_MS 10000
#define COLUMNS_MAX    12
#define CELL_MAX       64

/* Reads a small file of the data folder; false when it is not there. */
static bool read_line(const char *data_folder, const char *name, char *out, size_t cap)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof path, "%s/%s", data_folder, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, out, cap - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return true;
}

static int make_http(const char *url, const char *token, struct client *client, struct err *err)
{
	char authorization[160];

	(void)snprintf(authorization, sizeof authorization, "Bearer %s", token);
	const struct egress_client_header header = { "Authorization", authorization };
	return egress_client_new(url, &header, 1, &client->http, err);
}

/* True when the server of this folder answers. What a killed server left behind may lead to nobody,
 * or to a server that runs on another folder: that one does not know our token. */
static bool find_server(const char *data_folder, struct client *client)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	char address[256], token[128];
	unsigned status = 0;

	bytes_buf_init(&out, 4096);
	if (!read_line(data_folder, CLIENT_ADDRESS_FILE, address, sizeof address) ||
		!read_line(data_folder, CLIENT_TOKEN_FILE, token, sizeof token) ||
		make_http(address, token, client, NULL) < 0)
		return false;
	if (egress_client_send(client->http, "GET", "/platform/session", NULL, (struct bytes){ 0 },
		    2000, &status, &out, NULL) == 0 &&
		status == 200)
		return true;
	egress_client_free(client->http);
	client->http = NULL;
	return false;
}

/* A server of this command's own, which nobody else hears of. */
static int start_own(const char *data_folder, struct client *client, struct err *err)
{
	struct core_config config = { .data_folder = data_folder,
		.address = "127.0.0.1",
		.port = 0,
		.n_loops = 1,
		.is_private = true };

	if (core_open(&config, &client->own, err) < 0)
		return -1;
	if (core_start(client->own, err) == 0 &&
		make_http(core_url(client->own), core_token(client->own), client, err) == 0)
		return 0;
	client_close(client);
	return -1;
}

int client_open(const char *data_folder, bool wants_json, struct client *ret, struct err *err)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000000 };
	uint64_t until_ns = clock_mono_ns() + FOLDER_WAIT_MS * CLOCK_NS_PER_MS;
	struct client client = { .wants_json = wants_json };

	/* Who holds the folder without answering is a server that starts or ends, or another
	 * command: it will answer, or go. */
	for (;;) {
		struct err why = { 0 };
		if (find_server(data_folder, &client) || start_own(data_folder, &client, &why) == 0)
			break;
		if (why.code != ERR_STATE || clock_mono_ns() >= until_ns) {
			*err = why;
			return -1;
		}
		(void)nanosleep(&pause, NULL);
	}
	client.wants_json = wants_json;
	*ret = client;
	return 0;
}

void client_close(struct client *client)
{
	egress_client_free(client->http);
	if (client->own) {
		core_stop(client->own);
		core_close(client->own);
	}
	*client = (struct client){ 0 };
}

/* The text of a member of a JSON object, "" when it has none. Strings come without quotation marks.
 */
static void cell(struct bytes object, const char *column, char out[static CELL_MAX + 1])
{
	char pointer[64] = "/";
	struct bytes value = { 0 };

	(void)snprintf(pointer, sizeof pointer, "/%s", column);
	for (char *p = pointer + 1; *p; p++)
		if (*p == '.')
			*p = '/';
	out[0] = '\0';
	if (text_json_find(object, bytes_of(pointer), &value) != TEXT_JSON_FOUND)
		return;
	if (value.n >= 2 && value.p[0] == '"') {
		char text[1024];
		size_t n = 0;
		struct bytes raw = { value.p + 1, value.n - 2 };
		if (raw.n <= sizeof text && text_json_unescape(raw, text, &n))
			(void)bytes_to_string((struct bytes){ text, n }, out, CELL_MAX + 1);
	} else {
		(void)bytes_to_string(value, out, CELL_MAX + 1);
	}
	/* What a server sends is foreign text on this terminal: no control characters. */
	for (char *p = out; *p; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = ' ';
}

/* Prints a JSON string to stderr as people read it. What a server sends is foreign text on this
 * terminal: no control characters. */
static void tell_text(struct bytes json)
{
	char text[1024];
	size_t n = 0;

	if (json.n < 2 || json.p[0] != '"' || json.n > sizeof text ||
		!text_json_unescape((struct bytes){ json.p + 1, json.n - 2 }, text, &n))
		return;
	for (size_t i = 0; i < n; i++)
		(void)fputc((unsigned char)text[i] < 32 || text[i] == 127 ? ' ' : text[i], stderr);
}

/* {"name":{"code":"...","message":"Value must be unique."}}: a line for each field. */
static void tell_fields(struct bytes data)
{
	struct text_json_reader reader;
	struct text_json_token token;
	struct bytes message;

	text_json_reader_init(&reader, data);
	if (text_json_next(&reader, &token) != TEXT_JSON_OBJECT)
		return;
	while (text_json_next(&reader, &token) == TEXT_JSON_KEY) {
		struct bytes name = token.raw;
		struct bytes value = text_json_skip(&reader, &token);
		if (text_json_find(value, BYTES("/message"), &message) != TEXT_JSON_FOUND)
			continue;
		fprintf(stderr, "tenon:   %.*s: ", (int)name.n, name.p);
		tell_text(message);
		(void)fputc('\n', stderr);
	}
}

/* What the server said, for people: message, fields, and where to look. */
static void tell_refusal(const char *method, const char *path, unsigned status, struct bytes answer)
{
	char trace[CELL_MAX + 1] = "";
	struct bytes value = { 0 };

	if (text_json_check(answer, &TEXT_JSON_LIMITS, NULL) != TEXT_JSON_VALID ||
		text_json_find(answer, BYTES("/message"), &value) != TEXT_JSON_FOUND) {
		fprintf(stderr, "tenon: %s %s was answered with %u\n", method, path, status);
		return;
	}
	(void)fputs("tenon: ", stderr);
	tell_text(value);
	(void)fputc('\n', stderr);
	if (text_json_find(answer, BYTES("/data"), &value) == TEXT_JSON_FOUND)
		tell_fields(value);
	cell(answer, "traceId", trace);
	if (trace[0])
		fprintf(stderr, "tenon: trace id %s (tenon audit query --trace %s)\n", trace,
			trace);
}

int client_send(struct client *client, const char *method, const char *path,
	const char *content_type, struct bytes body, unsigned timeout_ms, struct bytes_buf *out)
{
	struct err err = { 0 };
	unsigned status = 0;

	if (egress_client_send(client->http, method, path, content_type, body, timeout_ms, &status,
		    out, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	if (status >= 200 && status < 300)
		return 0;
	tell_refusal(method, path, status, bytes_buf_view(out));
	return 1;
}

int client_ask(struct client *client, const char *method, const char *path, struct bytes body,
	struct bytes_buf *out)
{
	return client_send(client, method, path, body.p ? "application/json" : NULL, body,
		ASK_TIMEOUT_MS, out);
}

int client_fetch(struct client *client, const char *path,
	bool (*take)(void *context, struct bytes data), void *context)
{
	DEFER(bytes_buf_fini) struct bytes_buf out;
	struct err err = { 0 };
	unsigned status = 0;

	bytes_buf_init(&out, 65536);
	if (egress_client_fetch(
		    client->http, path, ASK_TIMEOUT_MS, take, context, &status, &out, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	if (status >= 200 && status < 300)
		return 0;
	tell_refusal("GET", path, status, bytes_buf_view(&out));
	return 1;
}

/* Prints one row, or only measures it when widths is to be filled. */
static void row(struct bytes object, const char *const *columns, unsigned n_columns, size_t *widths,
	bool is_print)
{
	char text[CELL_MAX + 1];

	for (unsigned i = 0; i < n_columns; i++) {
		if (object.p)
			cell(object, columns[i], text);
		else
			(void)bytes_to_string(bytes_of(columns[i]), text, sizeof text);
		if (!is_print && strlen(text) > widths[i])
			widths[i] = strlen(text);
		if (is_print)
			printf("%-*s%s", (int)(i + 1 < n_columns ? widths[i] : 0), text,
				i + 1 < n_columns ? "  " : "\n");
	}
}

void client_print(const struct client *client, struct bytes answer, const char *const *columns,
	unsigned n_columns)
{
	size_t widths[COLUMNS_MAX] = { 0 };
	struct bytes items = answer;
	bool is_list = text_json_find(answer, BYTES("/items"), &items) == TEXT_JSON_FOUND;

	if (client->wants_json || n_columns == 0 || n_columns > COLUMNS_MAX) {
		printf("%.*s\n", (int)answer.n, answer.p);
		return;
	}
	row((struct bytes){ 0 }, columns, n_columns, widths, false);
	for (int pass = 0; pass < 2; pass++) {
		bool is_print = pass == 1;
		if (is_print)
			row((struct bytes){ 0 }, columns, n_columns, widths, true);
		if (!is_list) {
			row(answer, columns, n_columns, widths, is_print);
			continue;
		}
		for (unsigned i = 0;; i++) {
			char pointer[16];
			struct bytes item;
			(void)snprintf(pointer, sizeof pointer, "/%u", i);
			if (text_json_find(items, bytes_of(pointer), &item) != TEXT_JSON_FOUND)
				break;
			row(item, columns, n_columns, widths, is_print);
		}
	}
}
