/*
 * elf_check.h - reads a plugin file as the dynamic linker would, and says what is wrong with it
 *
 * Bytes in, verdict out: nothing is mapped, relocated or run. Only what the dynamic linker itself
 * believes is believed here (program headers, the dynamic table, the hash and symbol tables);
 * section headers are never looked at. Every refusal has a stable id, one sentence and the fix.
 *
 * These checks make early, clear messages; they are not the boundary. The boundary is the sandbox
 * in which the file is loaded and the core that judges every frame.
 *
 * Threads: any. Memory: the verdict borrows from the file's bytes and owns nothing.
 */
#ifndef ELF_CHECK_H
#define ELF_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

/* The one symbol that a plugin exports. */
#define ELF_CHECK_ENTRY "tenon_plugin_v1"
/* The note that carries the manifest: owner (with its terminator) and type. */
#define ELF_CHECK_NOTE_OWNER     "Tenon"
#define ELF_CHECK_NOTE_TYPE      1

#define ELF_CHECK_FILE_BYTES     (64u << 20) /* largest file, and largest image in memory */
#define ELF_CHECK_MANIFEST_BYTES (256u << 10)

/* One row per id in src/findings.c: severity, sentence, fix. Ids are stable: never renamed or
 * reused. */
enum elf_finding_id {
	ELF_TOO_BIG,
	ELF_TRUNCATED,
	ELF_NOT_ELF,
	ELF_WRONG_MACHINE,
	ELF_NOT_SHARED_OBJECT,
	ELF_BAD_HEADER,
	ELF_BAD_SEGMENT,
	ELF_OVERLAPPING_SEGMENTS,
	ELF_IMAGE_TOO_BIG,
	ELF_INTERPRETER,
	ELF_WRITABLE_CODE,
	ELF_NO_STACK_HEADER,
	ELF_EXECUTABLE_STACK,
	ELF_NO_DYNAMIC,
	ELF_BAD_DYNAMIC,
	ELF_TEXT_RELOCATIONS,
	ELF_LAZY_BINDING,
	ELF_NO_RELRO,
	ELF_SEARCH_PATH,
	ELF_AUDIT,
	ELF_FILTER,
	ELF_FLAGS,
	ELF_STATIC_TLS,
	ELF_BAD_RELOCATION,
	ELF_IFUNC,
	ELF_NEEDED,
	ELF_BAD_SYMBOLS,
	ELF_NO_ENTRY,
	ELF_ENTRY_NOT_DATA,
	ELF_OTHER_EXPORT,
	ELF_UNIQUE_SYMBOL,
	ELF_NO_MANIFEST,
	ELF_BAD_NOTE,
	ELF_MANIFEST_TOO_BIG,
	ELF_MANIFEST_NOT_JSON, /* not found here but by tenon-inspect, which has a JSON validator */
	/* reported without refusing */
	ELF_CONSTRUCTORS,
	ELF_RAW_SYSCALL,
	ELF_THREAD_LOCALS,
	ELF_FINDING_IDS
};

struct elf_finding {
	enum elf_finding_id id;
	char what[96]; /* the name or number at fault, printable, may be empty */
};

/* More than that, in all and of one id, are counted and not kept. */
#define ELF_FINDINGS       32
#define ELF_FINDINGS_OF_ID 4

struct elf_verdict {
	bool is_ok; /* nothing refuses the file */
	size_t n_findings, n_dropped;
	struct elf_finding findings[ELF_FINDINGS];
	struct bytes manifest; /* the note's text, borrowed from the file, not yet validated; {NULL,
				  0}: none */
};

/* Judges the file. Always fills *ret. Reads no byte outside file. */
void elf_check(struct bytes file, struct elf_verdict *ret);

/* Adds a finding; what may be NULL. Bytes of it that are not printable become '?'. When the verdict
 * is full the finding is counted only; one that refuses makes is_ok false in any case. */
void elf_verdict_add(struct elf_verdict *verdict, enum elf_finding_id id, const char *what);

/* The stable id in text: "elf-text-relocations". */
const char *elf_finding_name(enum elf_finding_id id);
bool elf_finding_refuses(enum elf_finding_id id);
/* One sentence that says what is wrong, and one that says what to do. */
const char *elf_finding_message(enum elf_finding_id id);
const char *elf_finding_fix(enum elf_finding_id id);

/* The verdict for people, one finding per line. False when out is full. */
bool elf_verdict_text(const struct elf_verdict *verdict, struct bytes_buf *out);

#endif
