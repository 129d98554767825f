#include "elf_check.h"

#include "image.h"

void elf_check(struct bytes file, struct elf_verdict *ret)
{
	struct image image = { .file = file };
	struct dynamic dynamic;

	*ret = (struct elf_verdict){ .is_ok = true };
	if (!segments_check(&image, ret))
		return;
	notes_check(&image, ret);
	if (dynamic_check(&image, &dynamic, ret) && symbols_check(&image, &dynamic, ret))
		relocations_check(&image, &dynamic, ret);
}

bool elf_verdict_text(const struct elf_verdict *verdict, struct bytes_buf *out)
{
	for (size_t i = 0; i < verdict->n_findings; i++) {
		const struct elf_finding *finding = &verdict->findings[i];
		const char *fix = elf_finding_fix(finding->id);
		(void)bytes_buf_appendf(out, "%s %s: %s%s%s%s",
			elf_finding_refuses(finding->id) ? "refused " : "reported",
			elf_finding_name(finding->id), elf_finding_message(finding->id),
			finding->what[0] ? " (" : "", finding->what, finding->what[0] ? ")" : "");
		if (fix[0])
			(void)bytes_buf_appendf(out, " Fix: %s.", fix);
		(void)bytes_buf_append_byte(out, '\n');
	}
	if (verdict->n_dropped)
		(void)bytes_buf_appendf(out, "and %zu more\n", verdict->n_dropped);
	return !out->failed;
}
