/*
 * image.h - the file as the dynamic linker would place it, read without placing it
 *
 * All reading goes through three functions that check their range first: image_file() by offset in
 * the file, image_find() by address in the loaded image, image_has() for addresses that need not be
 * backed by the file. No pointer into the file is made in any other way, and every table entry is
 * copied out, so that alignment does not matter.
 *
 * Threads: any. Memory: borrows the file's bytes.
 */
#ifndef ELF_IMAGE_H
#define ELF_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "elf_check.h"

#define IMAGE_PAGE     4096u
#define IMAGE_HEADERS  64 /* program headers; linkers write about 12 */
#define IMAGE_SEGMENTS 16 /* of them loadable; linkers write 4 or 5 */

struct image {
	struct bytes file;
	Elf64_Ehdr header;
	size_t n_headers, n_segments;
	Elf64_Phdr headers[IMAGE_HEADERS];
	Elf64_Phdr
		segments[IMAGE_SEGMENTS]; /* the loadable ones, in the order of their addresses */
};

/* n bytes at an offset of the file, or NULL when they are not all in it. */
const char *image_file(const struct image *image, uint64_t offset, uint64_t n);
/* n bytes at an address, where the file backs all of them in one segment; else NULL. */
const char *image_find(const struct image *image, uint64_t address, uint64_t n);
/* True when all n bytes at the address are in one segment that has all the flags (PF_W, PF_X). */
bool image_has(const struct image *image, uint64_t address, uint64_t n, uint32_t flags);

/* elf_verdict_add() for a name out of the file. */
void verdict_add_bytes(struct elf_verdict *verdict, enum elf_finding_id id, struct bytes what);

/* ---- the parts of the check, in their order; each may rely on those before it ---- */

/* The ELF header and the program headers. False when nothing further can be read. */
bool segments_check(struct image *image, struct elf_verdict *verdict);
/* Manifest and other notes. */
void notes_check(const struct image *image, struct elf_verdict *verdict);

/* What the dynamic table says, ranges not yet checked. */
struct dynamic {
	uint64_t strtab, strsz, symtab, gnu_hash, hash;
	uint64_t rela, relasz, jmprel, pltrelsz, relr, relrsz;
	bool has_strtab, has_symtab, has_gnu_hash, has_hash, has_rela, has_jmprel, has_relr;
	struct bytes strings; /* strtab, checked: ends with a terminator */
	uint64_t n_symbols;   /* set by symbols_check() */
};

/* The dynamic table, its flags, and the names it mentions. False when it cannot be read. */
bool dynamic_check(const struct image *image, struct dynamic *ret, struct elf_verdict *verdict);
/* The hash and symbol tables: exports. False when they cannot be read. */
bool symbols_check(const struct image *image, struct dynamic *dynamic, struct elf_verdict *verdict);
/* The relocations: kinds, targets, symbols. */
void relocations_check(
	const struct image *image, const struct dynamic *dynamic, struct elf_verdict *verdict);

/* A string of the string table, without its terminator; false when the offset is outside. */
bool dynamic_string(const struct dynamic *dynamic, uint64_t offset, struct bytes *ret);

#endif
