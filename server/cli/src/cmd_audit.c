/* tenon audit tail|query|verify: read from the data folder itself, beside a running server or
 * without one. */
#include "args.h"
#include "commands.h"
#include "inspect.h"

#include "audit_reader.h"
#include "clock.h"
#include "id.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	OPTION_DATA,
	OPTION_TENANT,
	OPTION_PLUGIN,
	OPTION_ACTION,
	OPTION_TRACE,
	OPTION_DENIED,
	OPTION_SINCE,
	OPTION_LIMIT,
	OPTION_FOLLOW,
	OPTIONS
};

static bool print_entry(const struct audit_entry *entry, void *context)
{
	DEFER(bytes_buf_fini) struct bytes_buf line;

	(void)context;
	bytes_buf_init(&line, 65536);
	if (audit_entry_format(entry, &line))
		(void)fwrite(line.p, 1, line.n, stdout);
	(void)putchar('\n');
	return true;
}

/* The newest records come first out of a query; people read downwards, so the page is turned round.
 */
struct page {
	struct bytes_buf *lines;
	unsigned n, cap;
};

static bool keep_entry(const struct audit_entry *entry, void *context)
{
	struct page *page = context;

	if (page->n == page->cap)
		return false;
	bytes_buf_init(&page->lines[page->n], 65536);
	(void)audit_entry_format(entry, &page->lines[page->n]);
	page->n++;
	return true;
}

static int query(const char *folder, const struct audit_filter *filter, unsigned limit)
{
	struct err err = { 0 };
	struct page page = { calloc(limit, sizeof *page.lines), 0, limit };

	if (!page.lines) {
		fprintf(stderr, "tenon: no memory for %u records\n", limit);
		return 1;
	}
	int rc = audit_query(folder, filter, limit, keep_entry, &page, &err);
	while (page.n > 0) {
		struct bytes_buf *line = &page.lines[--page.n];
		if (rc == 0)
			printf("%.*s\n", (int)line->n, line->p);
		bytes_buf_fini(line);
	}
	free(page.lines);
	if (rc < 0)
		fprintf(stderr, "tenon: %s\n", err.message);
	return rc < 0;
}

static int follow(const char *folder, struct audit_filter *filter)
{
	const struct timespec pause = { .tv_nsec = 200 * 1000000 };
	DEFER(audit_reader_close) struct audit_reader *reader = NULL;
	struct audit_entry entry;
	struct err err = { 0 };
	bool found;

	filter->since_us = filter->since_us ? filter->since_us : clock_wall_us();
	if (audit_reader_open(folder, filter, &reader, &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	for (;;) {
		if (audit_reader_next(reader, &entry, &found, &err) < 0) {
			fprintf(stderr, "tenon: %s\n", err.message);
			return 1;
		}
		if (found) {
			(void)print_entry(&entry, NULL);
		} else {
			(void)fflush(stdout);
			(void)nanosleep(&pause, NULL);
		}
	}
}

static int verify(const char *data)
{
	char program[] = "tenon-verify", folder[PATH_MAX];
	char *arguments[] = { program, folder, NULL };

	(void)snprintf(folder, sizeof folder, "%s/audit", data);
	return verify_run(arguments);
}

static void usage(FILE *to)
{
	fprintf(to, "usage: tenon audit query    the newest records that match, one JSON object a "
		    "line\n"
		    "       tenon audit tail     the last ones, and with -f those that come\n"
		    "       tenon audit verify   proves that nothing was changed, cut or swapped; "
		    "exit status\n"
		    "                            0 whole, 10 torn tail, 11 changed, 12 gap, 13 bad "
		    "seal,\n"
		    "                            14 cut below a seal, 15 segment missing\n");
}

int command_audit(int argc, char **argv)
{
	struct args_option options[OPTIONS] = {
		[OPTION_DATA] = { "--data", "DIR", "the server's data folder", "tenon-data" },
		[OPTION_TENANT] = { "--tenant", "T", "only this tenant's", NULL },
		[OPTION_PLUGIN] = { "--plugin", "P", "only this plugin's", NULL },
		[OPTION_ACTION] = { "--action", "A",
			"only this action, or all that start with \"A.\"", NULL },
		[OPTION_TRACE] = { "--trace", "ID", "only this trace id", NULL },
		[OPTION_DENIED] = { "--denied", NULL, "only what was denied", NULL },
		[OPTION_SINCE] = { "--since", "SECONDS", "only the last so many seconds", NULL },
		[OPTION_LIMIT] = { "--limit", "N", "at most so many records, up to 1000", "20" },
		[OPTION_FOLLOW] = { "-f", NULL, "tail: go on with records as they come", NULL },
	};
	uint8_t trace[ID_TRACE_BYTES];
	uint64_t limit = 0, since_s = 0;
	struct args args;

	if (!args_parse(argc, argv, options, OPTIONS, &args))
		return 2;
	const char *verb = args.n_words == 1 ? args.words[0] : "";
	bool is_query = strcmp(verb, "query") == 0, is_tail = strcmp(verb, "tail") == 0;
	bool is_verify = strcmp(verb, "verify") == 0;
	if (args.wants_help || !(is_query || is_tail || is_verify)) {
		usage(args.wants_help ? stdout : stderr);
		if (args.wants_help)
			args_print(options, OPTIONS);
		return args.wants_help ? 0 : 2;
	}
	if (is_verify)
		return verify(options[OPTION_DATA].value);

	struct audit_filter filter = {
		.tenant = bytes_of(options[OPTION_TENANT].value),
		.plugin = bytes_of(options[OPTION_PLUGIN].value),
		.action = bytes_of(options[OPTION_ACTION].value),
		.decision = options[OPTION_DENIED].value ? AUDIT_DENIED : AUDIT_UNDECIDED,
	};
	if (!bytes_parse_u64(bytes_of(options[OPTION_LIMIT].value), AUDIT_QUERY_MAX, &limit) ||
		limit == 0) {
		fprintf(stderr, "tenon: --limit is a number from 1 to %d\n", AUDIT_QUERY_MAX);
		return 2;
	}
	if (options[OPTION_SINCE].value) {
		if (!bytes_parse_u64(bytes_of(options[OPTION_SINCE].value), 1000000000, &since_s)) {
			fprintf(stderr, "tenon: --since is a number of seconds\n");
			return 2;
		}
		filter.since_us = clock_wall_us() - (int64_t)since_s * 1000000;
	}
	if (options[OPTION_TRACE].value) {
		if (!bytes_unhex(bytes_of(options[OPTION_TRACE].value), trace, sizeof trace)) {
			fprintf(stderr, "tenon: --trace is 32 hexadecimal digits\n");
			return 2;
		}
		filter.trace = trace;
	}
	char folder[PATH_MAX];
	(void)snprintf(folder, sizeof folder, "%s/audit", options[OPTION_DATA].value);
	int status = query(folder, &filter, (unsigned)limit);
	if (status == 0 && is_tail && options[OPTION_FOLLOW].value)
		status = follow(folder, &filter);
	return status;
}
