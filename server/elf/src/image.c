#include "image.h"

#include <stdio.h>
#include <string.h>

const char *image_file(const struct image *image, uint64_t offset, uint64_t n)
{
	/* Subtract on the limit side: offset + n could wrap around. */
	if (offset > image->file.n || n > image->file.n - offset)
		return NULL;
	return image->file.p + offset;
}

const char *image_find(const struct image *image, uint64_t address, uint64_t n)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *segment = &image->segments[i];
		uint64_t at = address - segment->p_vaddr;
		if (address >= segment->p_vaddr && at <= segment->p_filesz &&
			n <= segment->p_filesz - at)
			return image_file(image, segment->p_offset + at, n);
	}
	return NULL;
}

bool image_has(const struct image *image, uint64_t address, uint64_t n, uint32_t flags)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *segment = &image->segments[i];
		uint64_t at = address - segment->p_vaddr;
		if (address >= segment->p_vaddr && at <= segment->p_memsz &&
			n <= segment->p_memsz - at)
			return (segment->p_flags & flags) == flags;
	}
	return false;
}

void verdict_add_bytes(struct elf_verdict *verdict, enum elf_finding_id id, struct bytes what)
{
	if (elf_finding_refuses(id))
		verdict->is_ok = false;
	size_t n_same = 0;
	for (size_t i = 0; i < verdict->n_findings; i++)
		n_same += verdict->findings[i].id == id;
	if (verdict->n_findings == ELF_FINDINGS || n_same == ELF_FINDINGS_OF_ID) {
		verdict->n_dropped++;
		return;
	}
	struct elf_finding *finding = &verdict->findings[verdict->n_findings++];
	finding->id = id;
	(void)bytes_to_string(what, finding->what, sizeof finding->what);
	for (char *c = finding->what; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void elf_verdict_add(struct elf_verdict *verdict, enum elf_finding_id id, const char *what)
{
	verdict_add_bytes(verdict, id, bytes_of(what));
}
