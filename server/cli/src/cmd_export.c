/* tenon export: the records of a collection into a file, as the server reads them. */
#include "args.h"
#include "client.h"
#include "commands.h"

#include "text_url.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4000

static bool take(void *context, struct bytes data)
{
	return fwrite(data.p, 1, data.n, context) == data.n;
}

/* "csv" or "json" by the end of the file's name; NULL: neither. */
static const char *format_of(const char *file)
{
	const char *dot = strrchr(file, '.');

	if (dot && strcmp(dot, ".csv") == 0)
		return "csv";
	return dot && strcmp(dot, ".json") == 0 ? "json" : NULL;
}

static bool make_path(const char *tenant, const char *collection, const char *format,
	const struct args_option *options, size_t n_options, struct bytes_buf *out)
{
	static const char *const passed[] = { "--filter", "--sort", "--fields", "--formulas" };

	bytes_buf_append_string(out, "/platform/tenants/");
	text_url_encode(out, bytes_of(tenant));
	bytes_buf_append_string(out, "/collections/");
	text_url_encode(out, bytes_of(collection));
	bytes_buf_appendf(out, "/export?format=%s", format);
	for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
		const char *value = args_value(options, n_options, passed[i]);
		if (!value)
			continue;
		bytes_buf_appendf(out, "&%s=", passed[i] + 2);
		text_url_encode(out, bytes_of(value));
	}
	bytes_buf_append_byte(out, '\0');
	return !out->failed;
}

/* Into a file beside the one that is asked for, which takes its place when it is whole. */
static int export_to(const char *data, const char *path, const char *file)
{
	char part[PATH_MAX];
	struct err err = { 0 };
	struct client client = { 0 };

	if (snprintf(part, sizeof part, "%s.part", file) >= (int)sizeof part) {
		fprintf(stderr, "tenon: the name of the file is too long\n");
		return 1;
	}
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *to = fd < 0 ? NULL : fdopen(fd, "w");
	if (!to) {
		fprintf(stderr, "tenon: %s: %s\n", part, strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return 1;
	}
	int status = 1;
	if (client_open(data, false, &client, &err) < 0)
		fprintf(stderr, "tenon: %s\n", err.message);
	else
		status = client_fetch(&client, path, take, to);
	client_close(&client);
	if (fclose(to) != 0 && status == 0) {
		fprintf(stderr, "tenon: %s: %s\n", part, strerror(errno));
		status = 1;
	}
	if (status == 0 && rename(part, file) != 0) {
		fprintf(stderr, "tenon: %s: %s\n", file, strerror(errno));
		status = 1;
	}
	if (status != 0)
		(void)unlink(part);
	return status;
}

int command_export(int argc, char **argv)
{
	struct args_option options[] = {
		{ "--data", "DIR", "the server's data folder", "tenon-data" },
		{ "--tenant", "T", "the tenant", "default" },
		{ "--filter", "F", "only records that meet this filter", NULL },
		{ "--sort", "S", "in this order", NULL },
		{ "--fields", "F", "only these fields", NULL },
		{ "--formulas", "prefix", "an apostrophe before text that spreadsheets would run",
			NULL },
	};
	const size_t n_options = sizeof options / sizeof options[0];
	struct args args;

	if (!args_parse(argc, argv, options, n_options, &args))
		return 2;
	const char *format = args.n_words == 2 ? format_of(args.words[1]) : NULL;
	if (args.wants_help || !format) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon export [--tenant T] COLLECTION FILE.{csv,json}\n"
			"Writes the collection's records, hidden fields too, into the file.\n");
		args_print(options, n_options);
		return args.wants_help ? 0 : 2;
	}
	DEFER(bytes_buf_fini) struct bytes_buf path;
	bytes_buf_init(&path, PATH_BYTES);
	if (!make_path(args_value(options, n_options, "--tenant"), args.words[0], format, options,
		    n_options, &path)) {
		fprintf(stderr, "tenon: the filter is too long\n");
		return 1;
	}
	return export_to(args_value(options, n_options, "--data"), path.p, args.words[1]);
}
