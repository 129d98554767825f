#include "client.h"

#include "core.h"

#include "clock.h"
#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_TIMEOUT_MS  15000
#define FOLDER_WAIT_MS  10000
#define COLUMNS_MAX     12
#define CELL_MAX        64
#define ANSWER_TEXT_MAX 65536 /* of one member that is no string */

/* A list of all plugins of all tenants is an answer too. */
static const struct text_json_limits answer_limits = {
	.max_depth = 32, .max_nodes = 1000000, .max_bytes = 16u << 20
};

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

/* What a server sends is foreign text on this terminal: no control characters. */
static void clean(char *text)
{
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 32 || *p == 127)
			*p = ' ';
}

/* The text of a member of an object, "" when it has none: strings without quotation marks, all else
 * as JSON. A dot in the column's name goes a level down. */
static void cell(const struct json *object, const char *column, char out[static CELL_MAX + 1])
{
	char name[64];
	struct bytes text;

	(void)snprintf(name, sizeof name, "%s", column);
	char *rest = name;
	for (char *part; object && (part = strsep(&rest, "."));)
		object = json_get(object, part);
	out[0] = '\0';
	if (!object)
		return;
	if (json_as_string(object, &text)) {
		(void)bytes_to_string(text, out, CELL_MAX + 1);
	} else {
		DEFER(bytes_buf_fini) struct bytes_buf json;
		struct text_json_writer writer;
		bytes_buf_init(&json, ANSWER_TEXT_MAX);
		text_json_writer_init(&writer, &json);
		json_write(object, &writer);
		(void)bytes_to_string(bytes_buf_view(&json), out, CELL_MAX + 1);
	}
	clean(out);
}

/* Prints a member that is a string to stderr as people read it. */
static void tell_text(const struct json *object, const char *name)
{
	char text[1024];
	struct bytes message;

	if (!json_as_string(json_get(object, name), &message))
		return;
	(void)bytes_to_string(message, text, sizeof text);
	clean(text);
	(void)fputs(text, stderr);
}

/* {"name":{"code":"...","message":"Value must be unique."}}: a line for each field. */
static void tell_fields(const struct json *data)
{
	struct json_members members = json_members_of(data);
	const struct json *field;
	struct bytes key;

	while (json_members_next(&members, &key, &field)) {
		char name[128];
		if (!json_get(field, "message"))
			continue;
		(void)bytes_to_string(key, name, sizeof name);
		clean(name);
		fprintf(stderr, "tenon:   %s: ", name);
		tell_text(field, "message");
		(void)fputc('\n', stderr);
	}
}

/* What the server said, for people: message, fields, and where to look. */
static void tell_refusal(const char *method, const char *path, unsigned status, struct bytes answer)
{
	DEFER(json_free) struct json *said = NULL;
	char trace[CELL_MAX + 1] = "";

	if (json_parse(answer, NULL, &said, NULL) != TEXT_JSON_VALID ||
		json_kind(json_get(said, "message")) != JSON_STRING) {
		fprintf(stderr, "tenon: %s %s was answered with %u\n", method, path, status);
		return;
	}
	(void)fputs("tenon: ", stderr);
	tell_text(said, "message");
	(void)fputc('\n', stderr);
	tell_fields(json_get(said, "data"));
	cell(said, "traceId", trace);
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

/* Prints one row, or only measures it when widths is to be filled; NULL is the head. */
static void row(const struct json *object, const char *const *columns, unsigned n_columns,
	size_t *widths, bool is_print)
{
	char text[CELL_MAX + 1];

	for (unsigned i = 0; i < n_columns; i++) {
		if (object)
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
	DEFER(json_free) struct json *said = NULL;
	size_t widths[COLUMNS_MAX] = { 0 };

	if (client->wants_json || n_columns == 0 || n_columns > COLUMNS_MAX ||
		json_parse(answer, &answer_limits, &said, NULL) != TEXT_JSON_VALID) {
		printf("%.*s\n", (int)answer.n, answer.p);
		return;
	}
	const struct json *items = json_get(said, "items");
	size_t n_items = items ? json_count(items) : 1;
	row(NULL, columns, n_columns, widths, false);
	for (int pass = 0; pass < 2; pass++) {
		bool is_print = pass == 1;
		if (is_print)
			row(NULL, columns, n_columns, widths, true);
		for (size_t i = 0; i < n_items; i++)
			row(items ? json_at(items, i) : said, columns, n_columns, widths, is_print);
	}
}
