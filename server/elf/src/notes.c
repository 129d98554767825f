#include "image.h"

#include <string.h>

/* What a note is made of: header, owner, description, the last two padded. */
static bool next_note(struct bytes *rest, uint64_t align, Elf64_Nhdr *ret, struct bytes *ret_owner,
	struct bytes *ret_text)
{
	if (rest->n < sizeof *ret)
		return false;
	memcpy(ret, rest->p, sizeof *ret);
	/* Both sizes are 32 bits wide: no sum below wraps in 64. */
	uint64_t owner_at = sizeof *ret;
	uint64_t text_at = (owner_at + ret->n_namesz + align - 1) & ~(align - 1);
	uint64_t end = text_at + ret->n_descsz;
	if (end > rest->n)
		return false;
	*ret_owner = (struct bytes){ rest->p + owner_at, ret->n_namesz };
	*ret_text = (struct bytes){ rest->p + text_at, ret->n_descsz };
	/* The padding of the last one may be missing. */
	uint64_t next = (end + align - 1) & ~(align - 1);
	if (next > rest->n)
		next = rest->n;
	*rest = (struct bytes){ rest->p + next, rest->n - next };
	return true;
}

static void segment_notes_check(
	const struct image *image, const Elf64_Phdr *header, struct elf_verdict *verdict)
{
	static const char owner_name[] = ELF_CHECK_NOTE_OWNER;
	const char *at = image_file(image, header->p_offset, header->p_filesz);
	if (!at) {
		elf_verdict_add(verdict, ELF_TRUNCATED, "note");
		return;
	}
	struct bytes rest = { at, header->p_filesz };
	uint64_t align = header->p_align == 8 ? 8 : 4;
	while (rest.n) {
		Elf64_Nhdr note;
		struct bytes owner, text;
		if (!next_note(&rest, align, &note, &owner, &text)) {
			elf_verdict_add(verdict, ELF_BAD_NOTE, NULL);
			return;
		}
		/* The owner's length counts its terminator. */
		if (note.n_type != ELF_CHECK_NOTE_TYPE ||
			!bytes_eq(owner, (struct bytes){ owner_name, sizeof owner_name }))
			continue;
		if (verdict->manifest.p)
			elf_verdict_add(verdict, ELF_BAD_NOTE, "two manifests");
		else if (text.n > ELF_CHECK_MANIFEST_BYTES)
			elf_verdict_add(verdict, ELF_MANIFEST_TOO_BIG, NULL);
		else
			verdict->manifest = text;
	}
}

void notes_check(const struct image *image, struct elf_verdict *verdict)
{
	for (size_t i = 0; i < image->n_headers; i++)
		if (image->headers[i].p_type == PT_NOTE)
			segment_notes_check(image, &image->headers[i], verdict);
	if (!verdict->manifest.n)
		elf_verdict_add(verdict, ELF_NO_MANIFEST, NULL);
}
