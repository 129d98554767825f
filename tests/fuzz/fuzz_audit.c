/* A journal's folder with one file out of the input: the verifier and the readers must each come to
 * an end. The first byte chooses which file it is; for seals the signature would stop nearly all
 * inputs, so lanes are the deeper target. */
#include "audit_reader.h"
#include "verify.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SEGMENT 65536 /* the size that the seed's header names */

static char folder[] = "/tmp/tenon-fuzz-audit-XXXXXX";

static bool see(const struct audit_entry *entry, void *arg)
{
	struct bytes_buf *out = arg;

	bytes_buf_clear(out);
	audit_entry_format(entry, out);
	return true;
}

static void put(const char *name, const uint8_t *data, size_t n, off_t size)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0);
	ssize_t written = write(fd, data, n);
	assert(written == (ssize_t)n);
	if ((off_t)n < size) {
		int cut = ftruncate(fd, size);
		assert(cut == 0);
	}
	close(fd);
}

static void follow(void)
{
	struct audit_reader *reader = NULL;
	struct audit_entry entry;
	bool found = true;

	if (audit_reader_open(folder, &(struct audit_filter){ 0 }, &reader, NULL) != 0)
		return;
	while (found && audit_reader_next(reader, &entry, &found, NULL) == 0)
		;
	audit_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool is_made;
	struct verify_report report;
	struct bytes_buf out;

	if (!is_made && !mkdtemp(folder))
		abort();
	is_made = true;
	if (n == 0)
		return 0;
	bool is_seals = data[0] & 1;
	put("lane-01-0000000001.seg", data + 1, is_seals ? 0 : n - 1, SEGMENT);
	put("seals-0000000001.log", data + 1, is_seals ? n - 1 : 0, 0);
	verify_folder(&(struct verify_options){ .folder = folder }, &report, NULL);

	bytes_buf_init(&out, 16384);
	audit_query(folder, &(struct audit_filter){ 0 }, 10, see, &out, NULL);
	bytes_buf_fini(&out);
	follow();
	return 0;
}
