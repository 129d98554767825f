#include "elf_check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

/* The verdict must be consistent, and the manifest must lie in the file. */
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	struct elf_verdict verdict;
	struct bytes file = { (const char *)data, n };
	bool refuses = false;

	elf_check(file, &verdict);
	for (size_t i = 0; i < verdict.n_findings; i++)
		refuses = refuses || elf_finding_refuses(verdict.findings[i].id);
	/* A finding that was only counted may refuse, too. */
	if (refuses == verdict.is_ok && verdict.n_dropped == 0)
		abort();
	if (verdict.manifest.n &&
		(verdict.manifest.p < file.p || verdict.manifest.n > n ||
			(size_t)(verdict.manifest.p - file.p) > n - verdict.manifest.n))
		abort();

	DEFER(bytes_buf_fini) struct bytes_buf out;
	bytes_buf_init(&out, 65536);
	if (!elf_verdict_text(&verdict, &out))
		abort();
	return 0;
}
