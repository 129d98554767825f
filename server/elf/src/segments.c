#include "image.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#error "no plugin files for this architecture"
#endif

static bool header_check(struct image *image, struct elf_verdict *verdict)
{
	Elf64_Ehdr *header = &image->header;

	if (image->file.n > ELF_CHECK_FILE_BYTES) {
		elf_verdict_add(verdict, ELF_TOO_BIG, NULL);
		return false;
	}
	if (image->file.n < SELFMAG || memcmp(image->file.p, ELFMAG, SELFMAG) != 0) {
		elf_verdict_add(verdict, ELF_NOT_ELF, NULL);
		return false;
	}
	const char *at = image_file(image, 0, sizeof *header);
	if (!at) {
		elf_verdict_add(verdict, ELF_TRUNCATED, "header");
		return false;
	}
	memcpy(header, at, sizeof *header);
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB) {
		elf_verdict_add(verdict, ELF_NOT_ELF, "not 64-bit little-endian");
		return false;
	}
	if (header->e_machine != OWN_MACHINE) {
		elf_verdict_add(verdict, ELF_WRONG_MACHINE, NULL);
		return false;
	}
	if (header->e_type != ET_DYN) {
		elf_verdict_add(verdict, ELF_NOT_SHARED_OBJECT, NULL);
		return false;
	}
	if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT ||
		(header->e_ident[EI_OSABI] != ELFOSABI_NONE &&
			header->e_ident[EI_OSABI] != ELFOSABI_GNU) ||
		header->e_ehsize != sizeof *header || header->e_phentsize != sizeof(Elf64_Phdr) ||
		header->e_phnum == 0 || header->e_phnum > IMAGE_HEADERS) {
		elf_verdict_add(verdict, ELF_BAD_HEADER, NULL);
		return false;
	}
	return true;
}

/* What the linker maps must be in the file, in ascending order, and no two segments on one page: a
 * page that is mapped twice would have the later one's rights and bytes. */
static bool segment_check(
	const struct image *image, const Elf64_Phdr *segment, struct elf_verdict *verdict)
{
	if (segment->p_filesz > segment->p_memsz || segment->p_memsz > ELF_CHECK_FILE_BYTES ||
		segment->p_vaddr > ELF_CHECK_FILE_BYTES || segment->p_align < IMAGE_PAGE ||
		segment->p_align & (segment->p_align - 1) ||
		segment->p_align > ELF_CHECK_FILE_BYTES ||
		(segment->p_vaddr - segment->p_offset) & (segment->p_align - 1)) {
		elf_verdict_add(verdict, ELF_BAD_SEGMENT, NULL);
		return false;
	}
	if (!image_file(image, segment->p_offset, segment->p_filesz)) {
		elf_verdict_add(verdict, ELF_TRUNCATED, "segment");
		return false;
	}
	if (segment->p_vaddr + segment->p_memsz > ELF_CHECK_FILE_BYTES) {
		elf_verdict_add(verdict, ELF_IMAGE_TOO_BIG, NULL);
		return false;
	}
	if (image->n_segments) {
		const Elf64_Phdr *last = &image->segments[image->n_segments - 1];
		uint64_t end = (last->p_vaddr + last->p_memsz + IMAGE_PAGE - 1) &
			       ~(uint64_t)(IMAGE_PAGE - 1);
		if ((segment->p_vaddr & ~(uint64_t)(IMAGE_PAGE - 1)) < end) {
			elf_verdict_add(verdict, ELF_OVERLAPPING_SEGMENTS, NULL);
			return false;
		}
	}
	if (segment->p_flags & PF_W && segment->p_flags & PF_X)
		elf_verdict_add(verdict, ELF_WRITABLE_CODE, NULL);
	return true;
}

static bool load_segments(struct image *image, struct elf_verdict *verdict)
{
	for (size_t i = 0; i < image->n_headers; i++) {
		if (image->headers[i].p_type != PT_LOAD)
			continue;
		if (image->n_segments == IMAGE_SEGMENTS) {
			elf_verdict_add(verdict, ELF_BAD_SEGMENT, "too many");
			return false;
		}
		if (!segment_check(image, &image->headers[i], verdict))
			return false;
		image->segments[image->n_segments++] = image->headers[i];
	}
	if (image->n_segments == 0)
		elf_verdict_add(verdict, ELF_BAD_SEGMENT, "none is loadable");
	return image->n_segments > 0;
}

/* Begins in writable data and ends on its last page: the linker rounds the end up to a page. */
static bool relro_is_good(const struct image *image, const Elf64_Phdr *header)
{
	if (header->p_memsz == 0 || !image_has(image, header->p_vaddr, 1, PF_W))
		return false;
	uint64_t last_page = (header->p_vaddr + header->p_memsz - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
	return header->p_memsz <= ELF_CHECK_FILE_BYTES &&
	       (last_page <= header->p_vaddr || image_has(image, last_page, 1, PF_W));
}

/* The headers that are not segments: each at most once, and those that a plugin must have. */
static void marks_check(const struct image *image, struct elf_verdict *verdict)
{
	bool has_stack = false, has_relro = false;

	for (size_t i = 0; i < image->n_headers; i++) {
		const Elf64_Phdr *header = &image->headers[i];
		switch (header->p_type) {
		case PT_INTERP:
			elf_verdict_add(verdict, ELF_INTERPRETER, NULL);
			break;
		case PT_GNU_STACK:
			has_stack = true;
			if (header->p_flags & PF_X)
				elf_verdict_add(verdict, ELF_EXECUTABLE_STACK, NULL);
			break;
		case PT_GNU_RELRO:
			has_relro = relro_is_good(image, header);
			break;
		case PT_TLS:
			if (header->p_filesz > header->p_memsz ||
				header->p_memsz > ELF_CHECK_FILE_BYTES ||
				header->p_align > IMAGE_PAGE ||
				!image_find(image, header->p_vaddr, header->p_filesz))
				elf_verdict_add(verdict, ELF_BAD_SEGMENT, "thread-local storage");
			else
				elf_verdict_add(verdict, ELF_THREAD_LOCALS, NULL);
			break;
		default:
			break;
		}
	}
	if (!has_stack)
		elf_verdict_add(verdict, ELF_NO_STACK_HEADER, NULL);
	if (!has_relro)
		elf_verdict_add(verdict, ELF_NO_RELRO, NULL);
}

/* Counts the byte sequences that enter the kernel. Data between functions can look like one, so
 * this is a hint for a reviewer and refuses nothing. */
static void code_check(const struct image *image, struct elf_verdict *verdict)
{
	size_t found = 0;
	char what[48];

	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *segment = &image->segments[i];
		if (!(segment->p_flags & PF_X))
			continue;
		const unsigned char *code = (const unsigned char *)image_file(
			image, segment->p_offset, segment->p_filesz);
#if defined(__x86_64__)
		/* syscall, sysenter, int 0x80 */
		for (uint64_t at = 0; at + 1 < segment->p_filesz; at++)
			found += (code[at] == 0x0f &&
					 (code[at + 1] == 0x05 || code[at + 1] == 0x34)) ||
				 (code[at] == 0xcd && code[at + 1] == 0x80);
#else
		/* svc #0 */
		for (uint64_t at = 0; at + 3 < segment->p_filesz; at += 4)
			found += memcmp(code + at, "\x01\x00\x00\xd4", 4) == 0;
#endif
	}
	if (!found)
		return;
	(void)snprintf(what, sizeof what, "%zu", found);
	elf_verdict_add(verdict, ELF_RAW_SYSCALL, what);
}

bool segments_check(struct image *image, struct elf_verdict *verdict)
{
	if (!header_check(image, verdict))
		return false;
	image->n_headers = image->header.e_phnum;
	const char *at =
		image_file(image, image->header.e_phoff, image->n_headers * sizeof(Elf64_Phdr));
	if (!at) {
		elf_verdict_add(verdict, ELF_TRUNCATED, "program headers");
		return false;
	}
	memcpy(image->headers, at, image->n_headers * sizeof(Elf64_Phdr));
	if (!load_segments(image, verdict))
		return false;
	marks_check(image, verdict);
	code_check(image, verdict);
	return true;
}
