#include "image.h"

#include <stdio.h>
#include <string.h>

enum kind {
	KIND_UNKNOWN,
	KIND_NONE,
	KIND_WORD, /* writes 8 bytes */
	KIND_PAIR, /* writes 16 bytes */
	KIND_STATIC_TLS,
	KIND_IFUNC
};

/* Every kind that a compiler needs in a position-independent file. */
static enum kind kind_of(uint64_t type)
{
#if defined(__x86_64__)
	switch (type) {
	case R_X86_64_NONE:
		return KIND_NONE;
	case R_X86_64_64:
	case R_X86_64_GLOB_DAT:
	case R_X86_64_JUMP_SLOT:
	case R_X86_64_RELATIVE:
	case R_X86_64_DTPMOD64:
	case R_X86_64_DTPOFF64:
		return KIND_WORD;
	case R_X86_64_TLSDESC:
		return KIND_PAIR;
	case R_X86_64_TPOFF64:
		return KIND_STATIC_TLS;
	case R_X86_64_IRELATIVE:
		return KIND_IFUNC;
	default:
		return KIND_UNKNOWN;
	}
#else
	switch (type) {
	case R_AARCH64_NONE:
		return KIND_NONE;
	case R_AARCH64_ABS64:
	case R_AARCH64_GLOB_DAT:
	case R_AARCH64_JUMP_SLOT:
	case R_AARCH64_RELATIVE:
	case R_AARCH64_TLS_DTPMOD:
	case R_AARCH64_TLS_DTPREL:
		return KIND_WORD;
	case R_AARCH64_TLSDESC:
		return KIND_PAIR;
	case R_AARCH64_TLS_TPREL:
		return KIND_STATIC_TLS;
	case R_AARCH64_IRELATIVE:
		return KIND_IFUNC;
	default:
		return KIND_UNKNOWN;
	}
#endif
}

/* One finding of each kind is enough: a file can have millions of relocations. */
struct seen {
	bool unknown, static_tls, ifunc, text, outside, symbol;
};

static void add_once(
	bool *seen, struct elf_verdict *verdict, enum elf_finding_id id, const char *what)
{
	if (!*seen)
		elf_verdict_add(verdict, id, what);
	*seen = true;
}

static void target_check(const struct image *image, uint64_t address, uint64_t n, struct seen *seen,
	struct elf_verdict *verdict)
{
	if (!image_has(image, address, n, 0))
		add_once(&seen->outside, verdict, ELF_BAD_RELOCATION, "target outside the image");
	else if (!image_has(image, address, n, PF_W))
		add_once(&seen->text, verdict, ELF_TEXT_RELOCATIONS, "target is read-only");
}

static void relocation_check(const struct image *image, const struct dynamic *dynamic,
	const Elf64_Rela *relocation, struct seen *seen, struct elf_verdict *verdict)
{
	char what[48];
	uint64_t type = ELF64_R_TYPE(relocation->r_info);

	if (ELF64_R_SYM(relocation->r_info) >= dynamic->n_symbols &&
		ELF64_R_SYM(relocation->r_info) != 0)
		add_once(&seen->symbol, verdict, ELF_BAD_RELOCATION, "symbol outside the table");
	switch (kind_of(type)) {
	case KIND_NONE:
		break;
	case KIND_WORD:
		target_check(image, relocation->r_offset, 8, seen, verdict);
		break;
	case KIND_PAIR:
		target_check(image, relocation->r_offset, 16, seen, verdict);
		break;
	case KIND_STATIC_TLS:
		add_once(&seen->static_tls, verdict, ELF_STATIC_TLS, "relocation");
		break;
	case KIND_IFUNC:
		add_once(&seen->ifunc, verdict, ELF_IFUNC, "relocation");
		break;
	case KIND_UNKNOWN:
		(void)snprintf(what, sizeof what, "kind %llu", (unsigned long long)type);
		add_once(&seen->unknown, verdict, ELF_BAD_RELOCATION, what);
		break;
	}
}

static void table_check(const struct image *image, const struct dynamic *dynamic, uint64_t address,
	uint64_t size, struct seen *seen, struct elf_verdict *verdict)
{
	const char *at = image_find(image, address, size);
	if (!at || size % sizeof(Elf64_Rela)) {
		elf_verdict_add(verdict, ELF_BAD_RELOCATION, "table");
		return;
	}
	for (uint64_t i = 0; i < size; i += sizeof(Elf64_Rela)) {
		Elf64_Rela relocation;
		memcpy(&relocation, at + i, sizeof relocation);
		relocation_check(image, dynamic, &relocation, seen, verdict);
	}
}

/* A packed table of this size covers 64 MiB of pointers, more than any image may have. */
#define PACKED_BYTES (1u << 20)

/* The packed form: an even word is an address; an odd one has a bit for each of the 63 words behind
 * the last address covered. */
static void packed_check(const struct image *image, const struct dynamic *dynamic,
	struct seen *seen, struct elf_verdict *verdict)
{
	const char *at = image_find(image, dynamic->relr, dynamic->relrsz);
	uint64_t next = 0;

	if (!at || dynamic->relrsz % 8 || dynamic->relrsz > PACKED_BYTES) {
		elf_verdict_add(verdict, ELF_BAD_RELOCATION, "packed table");
		return;
	}
	for (uint64_t i = 0; i < dynamic->relrsz; i += 8) {
		uint64_t word;
		memcpy(&word, at + i, sizeof word);
		if (!(word & 1)) {
			target_check(image, word, 8, seen, verdict);
			next = word + 8;
			continue;
		}
		for (uint64_t bits = word >> 1, to = next; bits; bits >>= 1, to += 8)
			if (bits & 1)
				target_check(image, to, 8, seen, verdict);
		next += UINT64_C(63) * 8;
	}
}

void relocations_check(
	const struct image *image, const struct dynamic *dynamic, struct elf_verdict *verdict)
{
	struct seen seen = { .unknown = false };

	if (dynamic->has_rela)
		table_check(image, dynamic, dynamic->rela, dynamic->relasz, &seen, verdict);
	if (dynamic->has_jmprel)
		table_check(image, dynamic, dynamic->jmprel, dynamic->pltrelsz, &seen, verdict);
	if (dynamic->has_relr)
		packed_check(image, dynamic, &seen, verdict);
}
