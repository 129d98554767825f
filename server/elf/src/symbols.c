/*
 * symbols.c - which names the file offers
 *
 * The symbol table does not carry its length. The dynamic linker finds names through the hash
 * table, so the hash table says which symbols there are: the chains of the GNU table end at the
 * last symbol, and the old table counts them.
 */
#include "image.h"

#include <stdio.h>
#include <string.h>

/* Enough for any plugin; bounds the work on a hostile one. */
#define SYMBOLS 1000000u

/* The frozen size of struct tenon_plugin as of ABI 1.0. */
#define ENTRY_BYTES 64u

static bool read_u32(const struct image *image, uint64_t address, uint32_t *ret)
{
	const char *at = image_find(image, address, sizeof *ret);

	if (at)
		memcpy(ret, at, sizeof *ret);
	return at != NULL;
}

/* The number of symbols, by the GNU table: header, bloom filter, buckets, chains. */
static bool count_gnu(const struct image *image, uint64_t table, uint64_t *ret)
{
	uint32_t n_buckets, first, n_bloom, last = 0, link = 0;

	if (!read_u32(image, table, &n_buckets) || !read_u32(image, table + 4, &first) ||
		!read_u32(image, table + 8, &n_bloom) || n_buckets > SYMBOLS || n_bloom > SYMBOLS ||
		n_buckets == 0 || n_bloom == 0 || n_bloom & (n_bloom - 1) || first > SYMBOLS)
		return false;
	uint64_t buckets = table + 16 + (uint64_t)n_bloom * 8;
	uint64_t chains = buckets + (uint64_t)n_buckets * 4;
	if (!image_find(image, buckets - (uint64_t)n_bloom * 8, (uint64_t)n_bloom * 8))
		return false;
	for (uint32_t i = 0; i < n_buckets; i++) {
		uint32_t start;
		if (!read_u32(image, buckets + (uint64_t)i * 4, &start) || start > SYMBOLS ||
			(start && start < first))
			return false;
		if (start > last)
			last = start;
	}
	if (last == 0) {
		*ret = first;
		return true;
	}
	/* The chain that starts last ends last; its end has the lowest bit set. */
	do {
		if (last > SYMBOLS ||
			!read_u32(image, chains + (uint64_t)(last - first) * 4, &link))
			return false;
		last++;
	} while (!(link & 1));
	*ret = last;
	return true;
}

static bool count_symbols(const struct image *image, const struct dynamic *dynamic, uint64_t *ret)
{
	uint64_t by_gnu = 0;
	uint32_t by_old = 0;

	/* An address above all segments would wrap in the sums of count_gnu(). */
	if (dynamic->has_gnu_hash && (dynamic->gnu_hash > ELF_CHECK_FILE_BYTES ||
					     !count_gnu(image, dynamic->gnu_hash, &by_gnu)))
		return false;
	if (dynamic->has_hash &&
		(dynamic->hash > ELF_CHECK_FILE_BYTES ||
			!read_u32(image, dynamic->hash + 4, &by_old) || by_old > SYMBOLS))
		return false;
	*ret = by_gnu > by_old ? by_gnu : by_old;
	return dynamic->has_gnu_hash || dynamic->has_hash;
}

/* tenon_plugin_v1, and those of later majors, which this server does not look at. */
static bool is_entry_name(struct bytes name)
{
	static const char stem[] = "tenon_plugin_v";
	uint64_t major = 0;

	if (!bytes_starts_with(name, (struct bytes){ stem, sizeof stem - 1 }))
		return false;
	return bytes_parse_u64(
		       (struct bytes){ name.p + sizeof stem - 1, name.n - (sizeof stem - 1) }, 999,
		       &major) &&
	       major >= 1;
}

static void export_check(const struct image *image, const Elf64_Sym *symbol, struct bytes name,
	bool *has_entry, struct elf_verdict *verdict)
{
	if (!is_entry_name(name)) {
		verdict_add_bytes(verdict, ELF_OTHER_EXPORT, name);
		return;
	}
	if (bytes_eq_string(name, ELF_CHECK_ENTRY))
		*has_entry = true;
	if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || symbol->st_shndx >= SHN_LORESERVE ||
		symbol->st_size < ENTRY_BYTES || symbol->st_value % 8 ||
		!image_has(image, symbol->st_value, symbol->st_size, 0) ||
		image_has(image, symbol->st_value, symbol->st_size, PF_X))
		elf_verdict_add(verdict, ELF_ENTRY_NOT_DATA, NULL);
}

static bool symbol_check(const struct image *image, const struct dynamic *dynamic,
	const Elf64_Sym *symbol, bool *has_entry, struct elf_verdict *verdict)
{
	struct bytes name;
	unsigned bind = ELF64_ST_BIND(symbol->st_info), type = ELF64_ST_TYPE(symbol->st_info);

	if (!dynamic_string(dynamic, symbol->st_name, &name))
		return false;
	if (type == STT_GNU_IFUNC)
		verdict_add_bytes(verdict, ELF_IFUNC, name);
	if (symbol->st_shndx == SHN_UNDEF || bind == STB_LOCAL)
		return true;
	if (bind == STB_GNU_UNIQUE)
		verdict_add_bytes(verdict, ELF_UNIQUE_SYMBOL, name);
	/* The dynamic linker does not look at the visibility of what it finds in the table. */
	export_check(image, symbol, name, has_entry, verdict);
	return true;
}

bool symbols_check(const struct image *image, struct dynamic *dynamic, struct elf_verdict *verdict)
{
	uint64_t n = 0;
	bool has_entry = false;

	if (!dynamic->has_symtab || !count_symbols(image, dynamic, &n)) {
		elf_verdict_add(verdict, ELF_BAD_SYMBOLS, "hash table");
		return false;
	}
	const char *at = image_find(image, dynamic->symtab, n * sizeof(Elf64_Sym));
	if (!at) {
		elf_verdict_add(verdict, ELF_BAD_SYMBOLS, "symbol table");
		return false;
	}
	/* Symbol 0 is no symbol. */
	for (uint64_t i = 1; i < n; i++) {
		Elf64_Sym symbol;
		memcpy(&symbol, at + i * sizeof symbol, sizeof symbol);
		if (!symbol_check(image, dynamic, &symbol, &has_entry, verdict)) {
			elf_verdict_add(verdict, ELF_BAD_SYMBOLS, "name");
			return false;
		}
	}
	if (!has_entry)
		elf_verdict_add(verdict, ELF_NO_ENTRY, NULL);
	dynamic->n_symbols = n;
	return true;
}
