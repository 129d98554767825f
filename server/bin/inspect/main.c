/*
 * main.c - tenon-inspect: judges a plugin file, from inside a jail of its own
 *
 *   tenon-inspect          the file is standard input; one JSON object on standard output
 *   tenon-inspect FILE     the same for people, one finding per line
 *
 * Exit status: 0 nothing refuses the file, 1 something does, 2 it could not be read.
 *
 * The file is a stranger's, so before its first byte is read the process can do nothing any more
 * but read descriptor 0, write 1 and 2, and end. Whoever breaks the parser gains that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bytes.h"
#include "elf_check.h"
#include "sandbox_filter.h"
#include "text_json_check.h"
#include "text_json_writer.h"

#define EXIT_OK      0
#define EXIT_REFUSED 1
#define EXIT_UNREAD  2

/* The file twice, while its buffer grows, and the answer. */
#define ADDRESS_SPACE_BYTES (512u << 20)
#define CPU_S               10

static int complain(const char *what, int number)
{
	(void)dprintf(STDERR_FILENO, "tenon-inspect: %s%s%s\n", what, number ? ": " : "",
		number ? strerror(number) : "");
	return EXIT_UNREAD;
}

/* Returns 0, or -1 with *err set. */
static int enter_jail(struct err *err)
{
	const struct rlimit none = { 0, 0 }, memory = { ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES },
			    time = { CPU_S, CPU_S };

	if (syscall(SYS_close_range, 3, ~0u, 0) || setrlimit(RLIMIT_CORE, &none) ||
		setrlimit(RLIMIT_AS, &memory) || setrlimit(RLIMIT_CPU, &time) ||
		setrlimit(RLIMIT_NOFILE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return ERR_SET(err, ERR_IO, "cannot enter the jail");
	return sandbox_filter_install(SANDBOX_LIST_INSPECTOR, false, err);
}

/* Reads one byte more than a file may have, so that the check sees that it is too big. Returns 0 or
 * an errno. */
static int read_all(struct bytes_buf *file)
{
	for (;;) {
		size_t want = file->max - file->n < 65536 ? file->max - file->n : 65536;
		char *to = want ? bytes_buf_reserve(file, want) : NULL;
		if (!to)
			return want ? ENOMEM : 0;
		ssize_t n = read(STDIN_FILENO, to, want);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : 0;
		file->n += (size_t)n;
	}
}

static void manifest_check(struct elf_verdict *verdict)
{
	const struct text_json_limits limits = { 32, 10000, ELF_CHECK_MANIFEST_BYTES };
	size_t offset = 0;
	char what[96];

	if (!verdict->manifest.n)
		return;
	enum text_json_verdict json = text_json_check(verdict->manifest, &limits, &offset);
	if (json == TEXT_JSON_VALID)
		return;
	(void)snprintf(what, sizeof what, "at byte %zu: %s", offset, text_json_reason(json));
	elf_verdict_add(verdict, ELF_MANIFEST_NOT_JSON, what);
	/* What is not JSON might not be UTF-8 either, and could not be quoted. */
	verdict->manifest = (struct bytes){ NULL, 0 };
}

static void write_member(struct text_json_writer *writer, struct bytes key, const char *value)
{
	text_json_write_key(writer, key);
	text_json_write_string(writer, bytes_of(value));
}

static bool write_json(const struct elf_verdict *verdict, struct bytes_buf *out)
{
	struct text_json_writer writer;

	text_json_writer_init(&writer, out);
	text_json_begin_object(&writer);
	text_json_write_key(&writer, BYTES("ok"));
	text_json_write_bool(&writer, verdict->is_ok);
	text_json_write_key(&writer, BYTES("findings"));
	text_json_begin_array(&writer);
	for (size_t i = 0; i < verdict->n_findings; i++) {
		const struct elf_finding *finding = &verdict->findings[i];
		text_json_begin_object(&writer);
		write_member(&writer, BYTES("id"), elf_finding_name(finding->id));
		write_member(&writer, BYTES("severity"),
			elf_finding_refuses(finding->id) ? "refuse" : "report");
		write_member(&writer, BYTES("what"), finding->what);
		write_member(&writer, BYTES("message"), elf_finding_message(finding->id));
		write_member(&writer, BYTES("fix"), elf_finding_fix(finding->id));
		text_json_end_object(&writer);
	}
	text_json_end_array(&writer);
	text_json_write_key(&writer, BYTES("dropped"));
	text_json_write_uint64(&writer, verdict->n_dropped);
	text_json_write_key(&writer, BYTES("manifestText"));
	if (verdict->manifest.n)
		text_json_write_string(&writer, verdict->manifest);
	else
		text_json_write_null(&writer);
	text_json_end_object(&writer);
	return text_json_write_done(&writer) && bytes_buf_append_byte(out, '\n');
}

static bool write_out(struct bytes text)
{
	while (text.n) {
		ssize_t n = write(STDOUT_FILENO, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text = (struct bytes){ text.p + n, text.n - (size_t)n };
	}
	return true;
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	struct elf_verdict verdict;
	struct bytes_buf file, out;
	bool is_for_people = argc == 2;

	if (argc > 2)
		return complain("usage: tenon-inspect [FILE]", 0);
	if (is_for_people) {
		int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
		if (fd < 0 || dup2(fd, STDIN_FILENO) < 0)
			return complain(argv[1], errno);
	}
	if (enter_jail(&err))
		return complain(err.message, err.os_errno);

	bytes_buf_init(&file, ELF_CHECK_FILE_BYTES + 1);
	/* A manifest grows when it is quoted, sixfold at most. */
	bytes_buf_init(&out, 6 * ELF_CHECK_MANIFEST_BYTES + 65536);
	int failed = read_all(&file);
	if (failed)
		return complain("cannot read the file", failed);
	elf_check(bytes_buf_view(&file), &verdict);
	manifest_check(&verdict);
	bool is_written =
		is_for_people ? elf_verdict_text(&verdict, &out) : write_json(&verdict, &out);
	if (is_for_people && verdict.is_ok)
		is_written = is_written && bytes_buf_append_string(&out, "accepted\n");
	if (!is_written || !write_out(bytes_buf_view(&out)))
		return complain("cannot write the verdict", 0);
	return verdict.is_ok ? EXIT_OK : EXIT_REFUSED;
}
