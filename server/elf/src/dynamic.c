#include "image.h"

#include <string.h>

/* Linkers write about 30 entries, one for each library needed among them. */
#define DYNAMIC_ENTRIES 512

/* The longest name. Bounds the work on a table whose names all share one long tail. */
#define STRING_BYTES 4096

/* The libraries that are in a worker already when it loads a plugin. */
static const char *const allowed_libraries[] = {
	"libc.so.6",
	"libm.so.6",
	"libgcc_s.so.1",
#if defined(__x86_64__)
	"ld-linux-x86-64.so.2",
#else
	"ld-linux-aarch64.so.1",
#endif
};

bool dynamic_string(const struct dynamic *dynamic, uint64_t offset, struct bytes *ret)
{
	if (offset >= dynamic->strings.n)
		return false;
	/* The table ends with a terminator, so the string does too. */
	size_t n = strnlen(dynamic->strings.p + offset, STRING_BYTES + 1);
	*ret = (struct bytes){ dynamic->strings.p + offset, n };
	return n <= STRING_BYTES;
}

/* Entries that alone are reason enough. */
static const struct {
	int64_t tag;
	enum elf_finding_id id;
	const char *what;
} refused_tags[] = {
	{ DT_TEXTREL, ELF_TEXT_RELOCATIONS, NULL },
	{ DT_RPATH, ELF_SEARCH_PATH, "RPATH" },
	{ DT_RUNPATH, ELF_SEARCH_PATH, "RUNPATH" },
	{ DT_AUDIT, ELF_AUDIT, "AUDIT" },
	{ DT_DEPAUDIT, ELF_AUDIT, "DEPAUDIT" },
	{ DT_FILTER, ELF_FILTER, "FILTER" },
	{ DT_AUXILIARY, ELF_FILTER, "AUXILIARY" },
	{ DT_REL, ELF_BAD_RELOCATION, "without addends" },
};

/* Entries that hold a value which is needed later, and the flag that it was seen. */
struct wanted {
	int64_t tag;
	uint64_t *value;
	bool *has; /* may be NULL */
};

static void flags_check(
	uint64_t flags, uint64_t flags_1, bool is_bound_now, struct elf_verdict *verdict)
{
	/* What linkers set without being asked for anything unusual. */
	static const uint64_t usual = DF_1_NOW | DF_1_NODELETE | DF_1_NOOPEN;

	if (flags & DF_TEXTREL)
		elf_verdict_add(verdict, ELF_TEXT_RELOCATIONS, NULL);
	if (flags & DF_STATIC_TLS)
		elf_verdict_add(verdict, ELF_STATIC_TLS, NULL);
	if (!is_bound_now && !(flags & DF_BIND_NOW) && !(flags_1 & DF_1_NOW))
		elf_verdict_add(verdict, ELF_LAZY_BINDING, NULL);
	if (flags_1 & DF_1_PIE)
		elf_verdict_add(
			verdict, ELF_NOT_SHARED_OBJECT, "a position-independent executable");
	else if (flags_1 & ~usual)
		elf_verdict_add(verdict, ELF_FLAGS, NULL);
}

static void needed_check(
	const struct dynamic *dynamic, uint64_t offset, struct elf_verdict *verdict)
{
	struct bytes name;

	if (!dynamic_string(dynamic, offset, &name)) {
		elf_verdict_add(verdict, ELF_BAD_DYNAMIC, "name of a needed library");
		return;
	}
	for (size_t i = 0; i < sizeof allowed_libraries / sizeof allowed_libraries[0]; i++)
		if (bytes_eq_string(name, allowed_libraries[i]))
			return;
	verdict_add_bytes(verdict, ELF_NEEDED, name);
}

/* Finds the table as the dynamic linker does: by the address in its program header. */
static bool find_table(
	const struct image *image, struct elf_verdict *verdict, Elf64_Dyn *out, size_t *ret_n)
{
	const Elf64_Phdr *header = NULL;

	for (size_t i = 0; i < image->n_headers; i++) {
		if (image->headers[i].p_type != PT_DYNAMIC)
			continue;
		if (header) {
			elf_verdict_add(verdict, ELF_BAD_DYNAMIC, "two tables");
			return false;
		}
		header = &image->headers[i];
	}
	if (!header) {
		elf_verdict_add(verdict, ELF_NO_DYNAMIC, NULL);
		return false;
	}
	for (size_t n = 0; n < DYNAMIC_ENTRIES; n++) {
		/* Below 64 MiB, as all segments: the sum does not wrap. */
		const char *at =
			header->p_vaddr > ELF_CHECK_FILE_BYTES
				? NULL
				: image_find(image, header->p_vaddr + n * sizeof *out, sizeof *out);
		if (!at)
			break;
		memcpy(&out[n], at, sizeof *out);
		if (out[n].d_tag == DT_NULL) {
			*ret_n = n;
			return true;
		}
	}
	elf_verdict_add(verdict, ELF_BAD_DYNAMIC, "no end");
	return false;
}

static bool strings_check(
	const struct image *image, struct dynamic *dynamic, struct elf_verdict *verdict)
{
	const char *at = dynamic->has_strtab && dynamic->strsz
				 ? image_find(image, dynamic->strtab, dynamic->strsz)
				 : NULL;
	if (!at || at[dynamic->strsz - 1] != '\0') {
		elf_verdict_add(verdict, ELF_BAD_DYNAMIC, "string table");
		return false;
	}
	dynamic->strings = (struct bytes){ at, dynamic->strsz };
	return true;
}

/* Functions that run while the file is loaded. Every C compiler's start-up files bring one pair of
 * their own, which does nothing in a shared object, so one is not worth a word. */
static void constructors_check(const struct image *image, uint64_t init, uint64_t array,
	uint64_t size, struct elf_verdict *verdict)
{
	if ((init && !image_has(image, init, 1, PF_X)) ||
		(size && (size % 8 || !image_has(image, array, size, 0))))
		elf_verdict_add(verdict, ELF_BAD_DYNAMIC, "constructors");
	else if (size > 8)
		elf_verdict_add(verdict, ELF_CONSTRUCTORS, NULL);
}

bool dynamic_check(const struct image *image, struct dynamic *ret, struct elf_verdict *verdict)
{
	Elf64_Dyn table[DYNAMIC_ENTRIES];
	size_t n = 0;
	uint64_t flags = 0, flags_1 = 0, symbol_size = 0, rela_size = 0, relr_size = 0,
		 plt_kind = 0;
	uint64_t init = 0, init_array = 0, init_size = 0, bind_now = 0;
	bool is_bound_now = false, has_twice = false;
	const struct wanted wanted[] = {
		{ DT_STRTAB, &ret->strtab, &ret->has_strtab },
		{ DT_STRSZ, &ret->strsz, NULL },
		{ DT_SYMTAB, &ret->symtab, &ret->has_symtab },
		{ DT_SYMENT, &symbol_size, NULL },
		{ DT_GNU_HASH, &ret->gnu_hash, &ret->has_gnu_hash },
		{ DT_HASH, &ret->hash, &ret->has_hash },
		{ DT_RELA, &ret->rela, &ret->has_rela },
		{ DT_RELASZ, &ret->relasz, NULL },
		{ DT_RELAENT, &rela_size, NULL },
		{ DT_JMPREL, &ret->jmprel, &ret->has_jmprel },
		{ DT_PLTRELSZ, &ret->pltrelsz, NULL },
		{ DT_PLTREL, &plt_kind, NULL },
		{ 36 /* DT_RELR */, &ret->relr, &ret->has_relr },
		{ 35 /* DT_RELRSZ */, &ret->relrsz, NULL },
		{ 37 /* DT_RELRENT */, &relr_size, NULL },
		{ DT_FLAGS, &flags, NULL },
		{ DT_FLAGS_1, &flags_1, NULL },
		{ DT_BIND_NOW, &bind_now, &is_bound_now },
		{ DT_INIT, &init, NULL },
		{ DT_INIT_ARRAY, &init_array, NULL },
		{ DT_INIT_ARRAYSZ, &init_size, NULL },
	};
	uint64_t seen = 0; /* a bit for each row of wanted */

	*ret = (struct dynamic){ .n_symbols = 0 };
	if (!find_table(image, verdict, table, &n))
		return false;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sizeof refused_tags / sizeof refused_tags[0]; k++)
			if (table[i].d_tag == refused_tags[k].tag)
				elf_verdict_add(verdict, refused_tags[k].id, refused_tags[k].what);
		for (size_t k = 0; k < sizeof wanted / sizeof wanted[0]; k++) {
			if (table[i].d_tag != wanted[k].tag)
				continue;
			has_twice = has_twice || seen >> k & 1;
			seen |= (uint64_t)1 << k;
			*wanted[k].value = table[i].d_un.d_val;
			if (wanted[k].has)
				*wanted[k].has = true;
		}
	}
	/* The dynamic linker would take the last of two; nobody writes two. */
	if (has_twice)
		elf_verdict_add(verdict, ELF_BAD_DYNAMIC, "an entry stands twice");
	if ((symbol_size && symbol_size != sizeof(Elf64_Sym)) ||
		(rela_size && rela_size != sizeof(Elf64_Rela)) || (relr_size && relr_size != 8) ||
		(ret->has_jmprel && plt_kind != DT_RELA))
		elf_verdict_add(verdict, ELF_BAD_DYNAMIC, "size of an entry");
	flags_check(flags, flags_1, is_bound_now, verdict);
	constructors_check(image, init, init_array, init_size, verdict);
	if (!strings_check(image, ret, verdict))
		return false;
	for (size_t i = 0; i < n; i++)
		if (table[i].d_tag == DT_NEEDED)
			needed_check(ret, table[i].d_un.d_val, verdict);
	return true;
}
