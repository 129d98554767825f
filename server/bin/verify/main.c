/*
 * tenon-verify: prove that an audit journal is whole and unchanged, or say where it is not
 *
 * Its answer is its exit status, so that a script needs to read nothing else.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "clock.h"
#include "verify.h"

static const char usage[] =
	"usage: tenon-verify FOLDER [--from SEAL[:HASH]] [--key FILE]\n"
	"\n"
	"Checks the audit journal in FOLDER (DATA/audit) and changes nothing. It may run beside "
	"the server.\n"
	"\n"
	"  --from SEAL[:HASH]  begin behind the seal of that number; with a hash that you kept "
	"elsewhere\n"
	"                      (each run prints the last one) it must be exactly that seal\n"
	"  --key FILE          the public key that the seals must have, 64 hexadecimal digits;\n"
	"                      without it the first seal's key is taken at its word\n"
	"\n"
	"exit status: 0 whole and unchanged, 1 wrong usage, 2 unreadable, 10 torn tail, 11 "
	"tampered record,\n"
	"12 gap or other order, 13 bad seal, 14 truncated below a seal, 15 missing file\n";

static bool parse_from(const char *text, struct verify_options *options, uint8_t *hash)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);

	if (!bytes_parse_u64((struct bytes){ text, n }, UINT64_MAX, &options->from_seal) ||
		options->from_seal == 0)
		return false;
	if (!colon)
		return true;
	options->from_hash = hash;
	return bytes_unhex(bytes_of(colon + 1), hash, VERIFY_HASH_BYTES);
}

static bool read_key(const char *path, uint8_t key[32])
{
	char text[80];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text)) : -1;

	if (fd >= 0)
		close(fd);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	return n > 0 && bytes_unhex((struct bytes){ text, (size_t)n }, key, 32);
}

static void print_hex(const char *name, const uint8_t *data, const char *note)
{
	char digits[2 * VERIFY_HASH_BYTES];

	bytes_hex((struct bytes){ (const char *)data, VERIFY_HASH_BYTES }, digits);
	printf("%-9s %.64s%s\n", name, digits, note);
}

static void print_neighbour(const char *name, const struct verify_neighbour *neighbour)
{
	char time[CLOCK_TEXT_BYTES];

	if (!neighbour->is_there)
		return;
	clock_format(neighbour->wall_us, time);
	printf("%-9s seq %" PRIu64 " at byte %" PRIu64 ", %s\n", name, neighbour->seq,
		neighbour->offset, time);
}

static void print_totals(const struct verify_options *options, const struct verify_report *report)
{
	char first[CLOCK_TEXT_BYTES], last[CLOCK_TEXT_BYTES];

	clock_format(report->first_seal_us, first);
	clock_format(report->last_seal_us, last);
	printf("journal   %s\n", options->folder);
	printf("records   %" PRIu64 " in %u lanes, %" PRIu64 " segments; %" PRIu64
	       " sealed, %" PRIu64 " not yet\n",
		report->n_records, report->n_lanes, report->n_segments, report->n_sealed,
		report->n_records - report->n_sealed);
	if (report->n_seals > 0) {
		char digits[2 * VERIFY_HASH_BYTES];
		printf("seals     %" PRIu64 ", %s to %s\n", report->n_seals, first, last);
		bytes_hex((struct bytes){ (const char *)report->last_seal_hash, VERIFY_HASH_BYTES },
			digits);
		printf("anchor    %" PRIu64 ":%.64s\n", report->last_seal, digits);
		print_hex("key", report->key,
			options->key ? "" : "  (the first seal's own: compare it, or give --key)");
	}
	if (report->n_cuts > 0 || report->n_torn_segments > 0)
		printf("cuts      %" PRIu64 " on record, %u files set aside\n", report->n_cuts,
			report->n_torn_segments);
	if (report->has_unfinished)
		printf("note      an append was under way when the server was killed, or still "
		       "is\n");
}

static void print_break(const struct verify_report *report)
{
	printf("what      %s\n", report->what);
	printf("where     %s, byte %" PRIu64, report->file, report->offset);
	if (report->lane >= 0)
		printf(", lane %d, seq %" PRIu64, report->lane, report->seq);
	if (report->seal > 0)
		printf(", under seal %" PRIu64, report->seal);
	printf("\n");
	print_neighbour("before", &report->before);
	print_neighbour("after", &report->after);
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{ "from", required_argument, NULL, 'f' },
		{ "key", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct verify_options options = { 0 };
	struct verify_report report;
	struct err err = { 0 };
	uint8_t key[32], hash[VERIFY_HASH_BYTES];
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == 'h') {
			(void)fputs(usage, stdout);
			return 0;
		}
		if (option == 'k')
			options.key = key;
		if ((option != 'f' || !parse_from(optarg, &options, hash)) &&
			(option != 'k' || !read_key(optarg, key))) {
			(void)fputs(usage, stderr);
			return VERIFY_USAGE;
		}
	}
	if (optind != argc - 1) {
		(void)fputs(usage, stderr);
		return VERIFY_USAGE;
	}
	options.folder = argv[optind];
	enum verify_result result = verify_folder(&options, &report, &err);
	if (result == VERIFY_UNREADABLE) {
		fprintf(stderr, "tenon-verify: %s%s%s\n", err.message, err.os_errno ? ": " : "",
			err.os_errno ? strerror(err.os_errno) : "");
		return (int)result;
	}
	print_totals(&options, &report);
	printf("result    %s (%d)\n", verify_result_name(result), (int)result);
	if (result != VERIFY_OK)
		print_break(&report);
	return (int)result;
}
