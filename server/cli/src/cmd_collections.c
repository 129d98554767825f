/* tenon collections export|import FILE: all definitions of a tenant, in the JSON that PocketBase
 * exports and imports: an array of collections. */
#include "args.h"
#include "client.h"
#include "commands.h"

#include "text_json_check.h"
#include "text_json_reader.h"
#include "text_url.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX   (4u << 20)
#define TIMEOUT_MS 120000 /* values of a changed field are converted meanwhile */

/* "-" is the standard input. False having said why not. */
static bool read_file(const char *path, struct bytes_buf *out)
{
	bool is_input = strcmp(path, "-") == 0;
	int fd = is_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
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
	else if (out->failed || out->n > FILE_MAX)
		fprintf(stderr, "tenon: %s is larger than %u MiB\n", path, FILE_MAX >> 20);
	if (fd >= 0 && !is_input)
		(void)close(fd);
	return n >= 0 && !out->failed && out->n <= FILE_MAX;
}

/* A new file, or what stood there is left alone unless it may be replaced. */
static bool write_file(const char *path, struct bytes text, bool may_replace)
{
	bool is_output = strcmp(path, "-") == 0;
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (may_replace ? O_TRUNC : O_EXCL);
	int fd = is_output ? STDOUT_FILENO : open(path, flags, 0644);
	bool is_good = fd >= 0;

	while (is_good && text.n > 0) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		is_good = n > 0;
		if (is_good)
			text = (struct bytes){ text.p + n, text.n - (size_t)n };
	}
	if (!is_good)
		fprintf(stderr, "tenon: %s: %s%s\n", path, strerror(errno),
			fd < 0 && errno == EEXIST ? "; --force replaces it" : "");
	if (fd >= 0 && !is_output && close(fd) < 0 && is_good) {
		fprintf(stderr, "tenon: %s: %s\n", path, strerror(errno));
		is_good = false;
	}
	return is_good;
}

static void make_path(struct bytes_buf *path, const char *tenant, const char *query)
{
	bytes_buf_append_string(path, "/platform/tenants/");
	text_url_encode(path, bytes_of(tenant));
	bytes_buf_append_string(path, "/collections");
	bytes_buf_append_string(path, query);
	bytes_buf_append_byte(path, '\0');
}

static int export(struct client *client, const char *tenant, const char *file, bool may_replace)
{
	DEFER(bytes_buf_fini) struct bytes_buf path, answer, text;
	struct bytes items;

	bytes_buf_init(&path, 1024);
	bytes_buf_init(&answer, 2 * FILE_MAX);
	bytes_buf_init(&text, 2 * FILE_MAX);
	make_path(&path, tenant, "?perPage=1000");
	if (client_ask(client, "GET", path.p, (struct bytes){ 0 }, &answer) != 0)
		return 1;
	if (text_json_find(bytes_buf_view(&answer), BYTES("/items"), &items) != TEXT_JSON_FOUND) {
		fprintf(stderr, "tenon: the server's answer has no collections\n");
		return 1;
	}
	bytes_buf_append(&text, items);
	bytes_buf_append_byte(&text, '\n');
	return write_file(file, bytes_buf_view(&text), may_replace) ? 0 : 1;
}

/* An array of collections, or the body of an import itself. */
static bool make_body(struct bytes text, bool delete_missing, struct bytes_buf *out)
{
	struct text_json_limits limits = { 32, 200000, FILE_MAX };
	struct bytes list = text;
	size_t offset = 0;
	enum text_json_verdict verdict = text_json_check(text, &limits, &offset);

	if (verdict != TEXT_JSON_VALID) {
		fprintf(stderr, "tenon: the file is not JSON that can be taken: %s, at byte %zu\n",
			text_json_reason(verdict), offset);
		return false;
	}
	(void)text_json_find(text, BYTES("/collections"), &list);
	bytes_buf_append_string(out, "{\"deleteMissing\":");
	bytes_buf_append_string(out, delete_missing ? "true" : "false");
	bytes_buf_append_string(out, ",\"collections\":");
	bytes_buf_append(out, list);
	bytes_buf_append_byte(out, '}');
	return !out->failed;
}

struct import_options {
	bool is_dry, is_lossy, delete_missing;
};

static int import(struct client *client, const char *tenant, const char *file,
	const struct import_options *options)
{
	DEFER(bytes_buf_fini) struct bytes_buf path, answer, text, body;
	char query[64];

	bytes_buf_init(&path, 1024);
	bytes_buf_init(&answer, 2 * FILE_MAX);
	bytes_buf_init(&text, FILE_MAX + 65536);
	bytes_buf_init(&body, FILE_MAX + 65536);
	if (!read_file(file, &text) ||
		!make_body(bytes_buf_view(&text), options->delete_missing, &body))
		return 1;
	(void)snprintf(
		query, sizeof query, "?dryRun=%d&lossy=%d", options->is_dry, options->is_lossy);
	make_path(&path, tenant, query);
	if (client_send(client, "PUT", path.p, "application/json", bytes_buf_view(&body),
		    TIMEOUT_MS, &answer) != 0)
		return 1;
	if (options->is_dry)
		printf("%.*s\n", (int)answer.n, answer.n ? answer.p : "");
	else
		printf("the collections of %s are those of %s\n", tenant, file);
	return 0;
}

int command_collections(int argc, char **argv)
{
	struct args_option options[] = {
		{ "--data", "DIR", "the server's data folder", "tenon-data" },
		{ "--json", NULL, "print the answer as JSON", NULL },
		{ "--tenant", "T", "the tenant", "default" },
		{ "--force", NULL, "export: replace a file that exists", NULL },
		{ "--dry-run", NULL, "import: tell what it would touch, change nothing", NULL },
		{ "--delete-missing", NULL,
			"import: drop collections and fields that the file does not have", NULL },
		{ "--lossy", NULL, "import: change types although values would be lost", NULL },
	};
	enum { N = sizeof options / sizeof options[0] };
	struct args args;
	struct client client = { 0 };
	struct err err = { 0 };

	if (!args_parse(argc, argv, options, N, &args))
		return 2;
	bool is_export = args.n_words == 2 && strcmp(args.words[0], "export") == 0;
	bool is_import = args.n_words == 2 && strcmp(args.words[0], "import") == 0;
	if (args.wants_help || (!is_export && !is_import)) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon collections export FILE    writes all definitions of a "
			"tenant's collections\n"
			"       tenon collections import FILE    makes the tenant's collections "
			"those of the file, all or none\n"
			"FILE is an array of collections as JSON, as PocketBase exports it; - is "
			"the "
			"standard input or output.\n");
		args_print(options, N);
		return args.wants_help ? 0 : 2;
	}
	const struct import_options how = { .is_dry = args_value(options, N, "--dry-run") != NULL,
		.is_lossy = args_value(options, N, "--lossy") != NULL,
		.delete_missing = args_value(options, N, "--delete-missing") != NULL };
	const char *tenant = args_value(options, N, "--tenant");
	if (client_open(args_value(options, N, "--data"), args_value(options, N, "--json") != NULL,
		    &client, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	int status = is_export ? export(&client, tenant, args.words[1],
					 args_value(options, N, "--force") != NULL)
			       : import(&client, tenant, args.words[1], &how);
	client_close(&client);
	return status;
}
