#include "elf_check.h"
#include "unit.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/*
 * A plugin file of three pages, laid out as a linker would: tables, code, data. Each claim below
 * spoils one thing in a fresh copy of it.
 */
enum { PAGE = 4096, HEADERS = 8 };

static const char manifest[] = "{\"id\":\"x\"}"; /* 10 bytes: the note is padded */

struct tables {
	Elf64_Ehdr header;
	Elf64_Phdr headers[HEADERS];
	struct {
		Elf64_Nhdr header;
		char owner[8], text[12];
	} note;
	uint32_t pad;
	Elf64_Sym symbols[3];
	struct {
		uint32_t n_buckets, first, n_bloom, shift;
		uint64_t bloom[1];
		uint32_t buckets[1], chains[1];
	} hash;
	char strings[64];
	Elf64_Rela relocations[2];
	uint64_t packed[2];
};

struct data {
	Elf64_Dyn dynamic[24];
	uint64_t constructors[2];
	uint64_t entry[10];
	uint64_t pointers[4];
};

union file {
	struct {
		union {
			struct tables tables;
			char page[PAGE];
		};
		union {
			unsigned char code[PAGE];
		};
		union {
			struct data data;
			char data_page[PAGE];
		};
	};
	char bytes[3 * PAGE];
};

enum { H_TABLES, H_CODE, H_DATA, H_DYNAMIC, H_STACK, H_RELRO, H_NOTE, H_TLS };

#define AT(member)   ((uint64_t)offsetof(union file, member))
#define ENTRY_NAME   1 /* offset in the string table */
#define LIBC_NAME    17
#define OTHER_NAME   27
#define FOREIGN_NAME 33

#if defined(__x86_64__)
#define MACHINE    EM_X86_64
#define RELATIVE   R_X86_64_RELATIVE
#define SLOT       R_X86_64_JUMP_SLOT
#define STATIC_TLS R_X86_64_TPOFF64
#define IFUNC_KIND R_X86_64_IRELATIVE
#else
#define MACHINE    EM_AARCH64
#define RELATIVE   R_AARCH64_RELATIVE
#define SLOT       R_AARCH64_JUMP_SLOT
#define STATIC_TLS R_AARCH64_TLS_TPREL
#define IFUNC_KIND R_AARCH64_IRELATIVE
#endif

static void set_header(union file *f, int at, uint32_t type, uint32_t flags, uint64_t from,
	uint64_t n, uint64_t align)
{
	f->tables.headers[at] = (Elf64_Phdr){ .p_type = type,
		.p_flags = flags,
		.p_offset = from,
		.p_vaddr = from,
		.p_paddr = from,
		.p_filesz = n,
		.p_memsz = n,
		.p_align = align };
}

static void set_dynamic(union file *f)
{
	const Elf64_Dyn entries[] = {
		{ DT_NEEDED, { LIBC_NAME } },
		{ DT_STRTAB, { AT(tables.strings) } },
		{ DT_STRSZ, { sizeof f->tables.strings } },
		{ DT_SYMTAB, { AT(tables.symbols) } },
		{ DT_SYMENT, { sizeof(Elf64_Sym) } },
		{ DT_GNU_HASH, { AT(tables.hash) } },
		{ DT_RELA, { AT(tables.relocations) } },
		{ DT_RELASZ, { sizeof f->tables.relocations } },
		{ DT_RELAENT, { sizeof(Elf64_Rela) } },
		{ DT_FLAGS, { DF_BIND_NOW } },
		{ DT_FLAGS_1, { DF_1_NOW } },
		{ DT_INIT_ARRAY, { AT(data.constructors) } },
		{ DT_INIT_ARRAYSZ, { 8 } },
	};

	memcpy(f->data.dynamic, entries, sizeof entries);
}

static union file *good_file(void)
{
	union file *f = calloc(1, sizeof *f);
	struct tables *t = &f->tables;

	memcpy(t->header.e_ident, ELFMAG, SELFMAG);
	t->header.e_ident[EI_CLASS] = ELFCLASS64;
	t->header.e_ident[EI_DATA] = ELFDATA2LSB;
	t->header.e_ident[EI_VERSION] = EV_CURRENT;
	t->header.e_type = ET_DYN;
	t->header.e_machine = MACHINE;
	t->header.e_version = EV_CURRENT;
	t->header.e_phoff = AT(tables.headers);
	t->header.e_ehsize = sizeof t->header;
	t->header.e_phentsize = sizeof(Elf64_Phdr);
	t->header.e_phnum = HEADERS - 1; /* without H_TLS */
	set_header(f, H_TABLES, PT_LOAD, PF_R, 0, PAGE, PAGE);
	set_header(f, H_CODE, PT_LOAD, PF_R | PF_X, PAGE, PAGE, PAGE);
	set_header(f, H_DATA, PT_LOAD, PF_R | PF_W, 2 * PAGE, PAGE, PAGE);
	set_header(
		f, H_DYNAMIC, PT_DYNAMIC, PF_R | PF_W, AT(data.dynamic), sizeof f->data.dynamic, 8);
	set_header(f, H_STACK, PT_GNU_STACK, PF_R | PF_W, 0, 0, 16);
	set_header(f, H_RELRO, PT_GNU_RELRO, PF_R, 2 * PAGE, PAGE, 1);
	set_header(f, H_NOTE, PT_NOTE, PF_R, AT(tables.note), sizeof t->note, 4);
	t->note.header = (Elf64_Nhdr){ 6, sizeof manifest - 1, 1 };
	memcpy(t->note.owner, "Tenon", 6);
	memcpy(t->note.text, manifest, sizeof manifest - 1);
	memcpy(t->strings, "\0tenon_plugin_v1\0libc.so.6\0other\0libevil.so", 44);
	t->symbols[1] = (Elf64_Sym){ .st_name = OTHER_NAME,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC) }; /* an import */
	t->symbols[2] = (Elf64_Sym){ .st_name = ENTRY_NAME,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
		.st_shndx = 5,
		.st_value = AT(data.entry),
		.st_size = 80 };
	t->hash.n_buckets = t->hash.n_bloom = 1;
	t->hash.first = t->hash.buckets[0] = 2;
	t->hash.chains[0] = 1;
	t->relocations[0] = (Elf64_Rela){ AT(data.entry), RELATIVE, PAGE };
	t->relocations[1] = (Elf64_Rela){ AT(data.pointers), ELF64_R_INFO(1, SLOT), 0 };
	set_dynamic(f);
	return f;
}

/* Judges the first n bytes from memory of exactly that size, so that a read past them is seen. */
static struct elf_verdict judge_bytes(const union file *f, size_t n)
{
	struct elf_verdict verdict;
	char *copy = malloc(n ? n : 1);

	memcpy(copy, f->bytes, n);
	elf_check((struct bytes){ copy, n }, &verdict);
	verdict.manifest.n = verdict.manifest.n ? 1 : 0; /* what it borrows is about to go */
	free(copy);
	return verdict;
}

static bool has_finding(const struct elf_verdict *verdict, enum elf_finding_id id)
{
	for (size_t i = 0; i < verdict->n_findings; i++)
		if (verdict->findings[i].id == id)
			return true;
	return false;
}

static Elf64_Dyn *dynamic_of(union file *f, int64_t tag)
{
	for (Elf64_Dyn *at = f->data.dynamic;; at++)
		if (at->d_tag == tag || at->d_tag == DT_NULL)
			return at;
}

static void set_tag(union file *f, int64_t tag, uint64_t value)
{
	*dynamic_of(f, tag) = (Elf64_Dyn){ tag, { value } };
}

/* Spoils a good file and expects one finding, which refuses or only reports. */
static void expect(void (*spoil)(union file *f), enum elf_finding_id id)
{
	union file *f = good_file();

	spoil(f);
	struct elf_verdict verdict = judge_bytes(f, sizeof *f);
	CU_ASSERT(has_finding(&verdict, id));
	CU_ASSERT_EQUAL(verdict.is_ok, !elf_finding_refuses(id));
	if (!has_finding(&verdict, id))
		(void)fprintf(stderr, "\nnot found: %s; first: %s", elf_finding_name(id),
			verdict.n_findings ? elf_finding_name(verdict.findings[0].id) : "none");
	free(f);
}

#define SPOIL(name, statement)                                                                     \
	static void name(union file *f)                                                            \
	{                                                                                          \
		statement;                                                                         \
	}

/* ---- claims ---- */

static void a_good_file_is_accepted_with_its_manifest(void)
{
	union file *f = good_file();
	struct elf_verdict verdict;

	elf_check((struct bytes){ f->bytes, sizeof *f }, &verdict);
	CU_ASSERT(verdict.is_ok);
	CU_ASSERT_EQUAL(verdict.n_findings, 0);
	CU_ASSERT(bytes_eq_string(verdict.manifest, manifest));
	free(f);
}

/* A linker rounds the end of RELRO up to a page, beyond a segment that ends with it. */
static void relro_may_end_with_the_last_page_of_the_data(void)
{
	union file *f = good_file();

	f->tables.headers[H_DATA].p_filesz = f->tables.headers[H_DATA].p_memsz = PAGE - 64;
	CU_ASSERT(judge_bytes(f, sizeof *f).is_ok);
	f->tables.headers[H_RELRO].p_memsz = PAGE + 1;
	CU_ASSERT(!judge_bytes(f, sizeof *f).is_ok);
	free(f);
}

SPOIL(not_elf, f->bytes[0] = 'X')
SPOIL(is_32_bit, f->tables.header.e_ident[EI_CLASS] = ELFCLASS32)
SPOIL(other_machine, f->tables.header.e_machine = EM_S390)
SPOIL(executable, f->tables.header.e_type = ET_EXEC)
SPOIL(odd_entry_size, f->tables.header.e_phentsize = 55)
SPOIL(many_headers, f->tables.header.e_phnum = 0xffff)
SPOIL(headers_outside, f->tables.header.e_phoff = UINT64_MAX - 100)
SPOIL(segment_outside,
	f->tables.headers[H_DATA].p_filesz = f->tables.headers[H_DATA].p_memsz = 2 * PAGE)
SPOIL(segment_wraps, f->tables.headers[H_DATA].p_vaddr = UINT64_MAX - PAGE + 1)
SPOIL(file_above_memory, f->tables.headers[H_DATA].p_memsz = 8)
SPOIL(odd_align, f->tables.headers[H_DATA].p_align = 4097)
SPOIL(misplaced, f->tables.headers[H_DATA].p_vaddr += 8)
SPOIL(same_page, f->tables.headers[H_CODE].p_vaddr = 0)
SPOIL(huge_bss, f->tables.headers[H_DATA].p_memsz = ELF_CHECK_FILE_BYTES)
SPOIL(interpreter, f->tables.headers[H_STACK].p_type = PT_INTERP)

static void headers_that_cannot_be_loaded_are_refused(void)
{
	expect(not_elf, ELF_NOT_ELF);
	expect(is_32_bit, ELF_NOT_ELF);
	expect(other_machine, ELF_WRONG_MACHINE);
	expect(executable, ELF_NOT_SHARED_OBJECT);
	expect(odd_entry_size, ELF_BAD_HEADER);
	expect(many_headers, ELF_BAD_HEADER);
	expect(headers_outside, ELF_TRUNCATED);
	expect(segment_outside, ELF_TRUNCATED);
	expect(segment_wraps, ELF_BAD_SEGMENT);
	expect(file_above_memory, ELF_BAD_SEGMENT);
	expect(odd_align, ELF_BAD_SEGMENT);
	expect(misplaced, ELF_BAD_SEGMENT);
	expect(same_page, ELF_OVERLAPPING_SEGMENTS);
	expect(huge_bss, ELF_IMAGE_TOO_BIG);
	expect(interpreter, ELF_INTERPRETER);
}

SPOIL(writable_code, f->tables.headers[H_CODE].p_flags |= PF_W)
SPOIL(no_stack, f->tables.headers[H_STACK].p_type = PT_NULL)
SPOIL(executable_stack, f->tables.headers[H_STACK].p_flags |= PF_X)
SPOIL(no_relro, f->tables.headers[H_RELRO].p_type = PT_NULL)
SPOIL(empty_relro, f->tables.headers[H_RELRO].p_memsz = 0)
SPOIL(lazy, set_tag(f, DT_FLAGS, 0); set_tag(f, DT_FLAGS_1, 0))
SPOIL(text_flag, set_tag(f, DT_FLAGS, DF_BIND_NOW | DF_TEXTREL))
SPOIL(text_tag, set_tag(f, DT_TEXTREL, 0))
SPOIL(text_target, f->tables.relocations[0].r_offset = PAGE + 8)

static void a_file_without_the_hardening_is_refused(void)
{
	expect(writable_code, ELF_WRITABLE_CODE);
	expect(no_stack, ELF_NO_STACK_HEADER);
	expect(executable_stack, ELF_EXECUTABLE_STACK);
	expect(no_relro, ELF_NO_RELRO);
	expect(empty_relro, ELF_NO_RELRO);
	expect(lazy, ELF_LAZY_BINDING);
	expect(text_flag, ELF_TEXT_RELOCATIONS);
	expect(text_tag, ELF_TEXT_RELOCATIONS);
	expect(text_target, ELF_TEXT_RELOCATIONS);
}

SPOIL(no_dynamic, f->tables.headers[H_DYNAMIC].p_type = PT_NULL)
SPOIL(dynamic_elsewhere, f->tables.headers[H_DYNAMIC].p_vaddr = UINT64_MAX - 64)
SPOIL(two_dynamic, f->tables.headers[H_STACK] = f->tables.headers[H_DYNAMIC])
SPOIL(endless_dynamic,
	for (size_t i = 0; i < PAGE / sizeof(Elf64_Dyn); i++)((Elf64_Dyn *)(void *)f->data_page)[i]
		.d_tag = DT_DEBUG)
SPOIL(twice, f->data.dynamic[20] = f->data.dynamic[1];
	for (int i = 13; i < 20; i++) f->data.dynamic[i].d_tag = DT_DEBUG)
SPOIL(strings_outside, set_tag(f, DT_STRSZ, 1 << 20))
SPOIL(strings_open, memset(f->tables.strings, 'a', sizeof f->tables.strings))
SPOIL(symbol_size, set_tag(f, DT_SYMENT, 23))
SPOIL(search_path, set_tag(f, DT_RPATH, LIBC_NAME))
SPOIL(run_path, set_tag(f, DT_RUNPATH, LIBC_NAME))
SPOIL(audit, set_tag(f, DT_AUDIT, LIBC_NAME))
SPOIL(depaudit, set_tag(f, DT_DEPAUDIT, LIBC_NAME))
SPOIL(filter, set_tag(f, DT_FILTER, LIBC_NAME))
SPOIL(auxiliary, set_tag(f, DT_AUXILIARY, LIBC_NAME))
SPOIL(init_first, set_tag(f, DT_FLAGS_1, DF_1_NOW | DF_1_INITFIRST))
SPOIL(global, set_tag(f, DT_FLAGS_1, DF_1_NOW | DF_1_GLOBAL))
SPOIL(interpose, set_tag(f, DT_FLAGS_1, DF_1_NOW | DF_1_INTERPOSE))
SPOIL(pie, set_tag(f, DT_FLAGS_1, DF_1_NOW | DF_1_PIE))
SPOIL(static_tls_flag, set_tag(f, DT_FLAGS, DF_BIND_NOW | DF_STATIC_TLS))
SPOIL(foreign_library, set_tag(f, DT_NEEDED, FOREIGN_NAME))
SPOIL(library_outside, set_tag(f, DT_NEEDED, 64))

static void what_the_dynamic_table_may_not_ask_for_is_refused(void)
{
	expect(no_dynamic, ELF_NO_DYNAMIC);
	expect(dynamic_elsewhere, ELF_BAD_DYNAMIC);
	expect(two_dynamic, ELF_BAD_DYNAMIC);
	expect(endless_dynamic, ELF_BAD_DYNAMIC);
	expect(twice, ELF_BAD_DYNAMIC);
	expect(strings_outside, ELF_BAD_DYNAMIC);
	expect(strings_open, ELF_BAD_DYNAMIC);
	expect(symbol_size, ELF_BAD_DYNAMIC);
	expect(search_path, ELF_SEARCH_PATH);
	expect(run_path, ELF_SEARCH_PATH);
	expect(audit, ELF_AUDIT);
	expect(depaudit, ELF_AUDIT);
	expect(filter, ELF_FILTER);
	expect(auxiliary, ELF_FILTER);
	expect(init_first, ELF_FLAGS);
	expect(global, ELF_FLAGS);
	expect(interpose, ELF_FLAGS);
	expect(pie, ELF_NOT_SHARED_OBJECT);
	expect(static_tls_flag, ELF_STATIC_TLS);
	expect(foreign_library, ELF_NEEDED);
	expect(library_outside, ELF_BAD_DYNAMIC);
}

SPOIL(no_entry, f->tables.symbols[2].st_shndx = SHN_UNDEF)
SPOIL(entry_is_code, f->tables.symbols[2].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC))
SPOIL(entry_in_code, f->tables.symbols[2].st_value = PAGE)
SPOIL(entry_outside, f->tables.symbols[2].st_value = 3 * PAGE - 8)
SPOIL(entry_is_short, f->tables.symbols[2].st_size = 56)
SPOIL(second_export, f->tables.symbols[1].st_shndx = 3)
SPOIL(weak_export, f->tables.symbols[1].st_shndx = 3;
	f->tables.symbols[1].st_info = ELF64_ST_INFO(STB_WEAK, STT_OBJECT))
SPOIL(unique, f->tables.symbols[1].st_shndx = 3;
	f->tables.symbols[1].st_info = ELF64_ST_INFO(STB_GNU_UNIQUE, STT_OBJECT))
SPOIL(ifunc_symbol, f->tables.symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_GNU_IFUNC))
SPOIL(symbol_name, f->tables.symbols[1].st_name = 64)
SPOIL(no_hash, dynamic_of(f, DT_GNU_HASH)->d_tag = DT_DEBUG)
SPOIL(hash_wraps, set_tag(f, DT_GNU_HASH, UINT64_MAX - 3))
SPOIL(hash_buckets, f->tables.hash.n_buckets = 0x7fffffff)
SPOIL(hash_bloom, f->tables.hash.n_bloom = 3)
SPOIL(hash_first, f->tables.hash.first = 0xffffffff)
SPOIL(hash_start, f->tables.hash.buckets[0] = 1)
SPOIL(hash_chain, f->tables.hash.chains[0] = 0; memset(f->tables.strings, 0, 64);
	memset(f->tables.relocations, 0, PAGE - AT(tables.relocations)))
SPOIL(symbols_outside, set_tag(f, DT_SYMTAB, 3 * PAGE - 24))

static void one_data_symbol_and_no_other_is_exported(void)
{
	expect(no_entry, ELF_NO_ENTRY);
	expect(entry_is_code, ELF_ENTRY_NOT_DATA);
	expect(entry_in_code, ELF_ENTRY_NOT_DATA);
	expect(entry_outside, ELF_ENTRY_NOT_DATA);
	expect(entry_is_short, ELF_ENTRY_NOT_DATA);
	expect(second_export, ELF_OTHER_EXPORT);
	expect(weak_export, ELF_OTHER_EXPORT);
	expect(unique, ELF_UNIQUE_SYMBOL);
	expect(ifunc_symbol, ELF_IFUNC);
	expect(symbol_name, ELF_BAD_SYMBOLS);
	expect(no_hash, ELF_BAD_SYMBOLS);
	expect(hash_wraps, ELF_BAD_SYMBOLS);
	expect(hash_buckets, ELF_BAD_SYMBOLS);
	expect(hash_bloom, ELF_BAD_SYMBOLS);
	expect(hash_first, ELF_BAD_SYMBOLS);
	expect(hash_start, ELF_BAD_SYMBOLS);
	expect(hash_chain, ELF_BAD_SYMBOLS);
	expect(symbols_outside, ELF_BAD_SYMBOLS);
}

static void pack(union file *f, uint64_t first, uint64_t second)
{
	f->tables.packed[0] = first;
	f->tables.packed[1] = second;
	set_tag(f, 36, AT(tables.packed));
	set_tag(f, 35, 16);
	set_tag(f, 37, 8);
}

SPOIL(unknown_kind, f->tables.relocations[0].r_info = 255)
SPOIL(static_tls, f->tables.relocations[0].r_info = STATIC_TLS)
SPOIL(ifunc_kind, f->tables.relocations[0].r_info = IFUNC_KIND)
SPOIL(target_outside, f->tables.relocations[0].r_offset = 3 * PAGE - 4)
SPOIL(target_wraps, f->tables.relocations[0].r_offset = UINT64_MAX - 3)
SPOIL(no_such_symbol, f->tables.relocations[1].r_info = ELF64_R_INFO(3, SLOT))
SPOIL(table_outside, set_tag(f, DT_RELASZ, 1 << 20))
SPOIL(table_ragged, set_tag(f, DT_RELASZ, 47))
SPOIL(without_addends, set_tag(f, DT_REL, AT(tables.relocations)))
SPOIL(packed_text, pack(f, AT(data.pointers), 3); f->tables.packed[0] = PAGE)
SPOIL(packed_outside, pack(f, 3 * PAGE - 8, 3))

static void relocations_stay_in_writable_data(void)
{
	union file *f = good_file();

	pack(f, AT(data.pointers), 7);
	struct elf_verdict verdict = judge_bytes(f, sizeof *f);
	CU_ASSERT(verdict.is_ok);
	free(f);
	expect(unknown_kind, ELF_BAD_RELOCATION);
	expect(static_tls, ELF_STATIC_TLS);
	expect(ifunc_kind, ELF_IFUNC);
	expect(target_outside, ELF_BAD_RELOCATION);
	expect(target_wraps, ELF_BAD_RELOCATION);
	expect(no_such_symbol, ELF_BAD_RELOCATION);
	expect(table_outside, ELF_BAD_RELOCATION);
	expect(table_ragged, ELF_BAD_RELOCATION);
	expect(without_addends, ELF_BAD_RELOCATION);
	expect(packed_text, ELF_TEXT_RELOCATIONS);
	expect(packed_outside, ELF_BAD_RELOCATION);
}

SPOIL(no_note, f->tables.headers[H_NOTE].p_type = PT_NULL)
SPOIL(other_owner, f->tables.note.owner[0] = 'X')
SPOIL(other_type, f->tables.note.header.n_type = 2)
SPOIL(empty_manifest, f->tables.note.header.n_descsz = 0; f->tables.headers[H_NOTE].p_filesz = 20)
SPOIL(note_outside, f->tables.headers[H_NOTE].p_offset = 3 * PAGE - 4)
SPOIL(long_owner, f->tables.note.header.n_namesz = UINT32_MAX)
SPOIL(long_text, f->tables.note.header.n_descsz = UINT32_MAX)
SPOIL(two_notes, f->tables.headers[H_STACK] = f->tables.headers[H_NOTE])

static void the_manifest_stands_in_one_note(void)
{
	expect(no_note, ELF_NO_MANIFEST);
	expect(other_owner, ELF_NO_MANIFEST);
	expect(other_type, ELF_NO_MANIFEST);
	expect(empty_manifest, ELF_NO_MANIFEST);
	expect(note_outside, ELF_TRUNCATED);
	expect(long_owner, ELF_BAD_NOTE);
	expect(long_text, ELF_BAD_NOTE);
	expect(two_notes, ELF_BAD_NOTE);
}

SPOIL(constructors, set_tag(f, DT_INIT_ARRAYSZ, 16))
#if defined(__x86_64__)
SPOIL(raw_call, f->code[100] = 0x0f; f->code[101] = 0x05)
#else
SPOIL(raw_call, memcpy(f->code + 100, "\x01\x00\x00\xd4", 4))
#endif
SPOIL(thread_locals, f->tables.header.e_phnum = HEADERS;
	set_header(f, H_TLS, PT_TLS, PF_R, AT(data.pointers), 8, 8))

static void what_is_only_worth_a_word_does_not_refuse(void)
{
	expect(constructors, ELF_CONSTRUCTORS);
	expect(raw_call, ELF_RAW_SYSCALL);
	expect(thread_locals, ELF_THREAD_LOCALS);
}

static void every_truncation_is_refused(void)
{
	union file *f = good_file();

	for (size_t n = 0; n < sizeof *f; n++)
		CU_ASSERT(!judge_bytes(f, n).is_ok);
	free(f);
}

/* For the sanitizers: nothing is read outside, whatever one byte says. */
static void no_single_byte_makes_the_check_read_outside(void)
{
	union file *f = good_file();
	const size_t parts[][2] = { { 0, sizeof(struct tables) },
		{ 2 * PAGE, 2 * PAGE + sizeof(struct data) } };
	size_t n_ok = 0;

	for (size_t p = 0; p < 2; p++)
		for (size_t at = parts[p][0]; at < parts[p][1]; at++) {
			char old = f->bytes[at];
			const char values[] = { 0, 1, 0x7f, (char)0x80, (char)0xff,
				(char)(old ^ 4) };
			for (size_t v = 0; v < sizeof values; v++) {
				f->bytes[at] = values[v];
				n_ok += judge_bytes(f, sizeof *f).is_ok;
			}
			f->bytes[at] = old;
		}
	CU_ASSERT(n_ok > 0);
	free(f);
}

static void findings_are_bounded_and_named_once(void)
{
	struct elf_verdict verdict = { .is_ok = true };

	for (int i = 0; i < 10; i++)
		elf_verdict_add(&verdict, ELF_OTHER_EXPORT,
			"a\n\x7f"
			"b");
	CU_ASSERT_EQUAL(verdict.n_findings, ELF_FINDINGS_OF_ID);
	CU_ASSERT_EQUAL(verdict.n_dropped, 10 - ELF_FINDINGS_OF_ID);
	CU_ASSERT_STRING_EQUAL(verdict.findings[0].what, "a??b");
	for (size_t i = 0; i < ELF_FINDING_IDS; i++) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(elf_finding_name((enum elf_finding_id)i));
		CU_ASSERT(strncmp(elf_finding_name((enum elf_finding_id)i), "elf-", 4) == 0);
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(elf_finding_name((enum elf_finding_id)i),
				elf_finding_name((enum elf_finding_id)k));
	}
}

static const struct unit_test tests[] = {
	UNIT(a_good_file_is_accepted_with_its_manifest),
	UNIT(relro_may_end_with_the_last_page_of_the_data),
	UNIT(headers_that_cannot_be_loaded_are_refused),
	UNIT(a_file_without_the_hardening_is_refused),
	UNIT(what_the_dynamic_table_may_not_ask_for_is_refused),
	UNIT(one_data_symbol_and_no_other_is_exported),
	UNIT(relocations_stay_in_writable_data),
	UNIT(the_manifest_stands_in_one_note),
	UNIT(what_is_only_worth_a_word_does_not_refuse),
	UNIT(every_truncation_is_refused),
	UNIT(no_single_byte_makes_the_check_read_outside),
	UNIT(findings_are_bounded_and_named_once),
};

UNIT_MAIN("elf", tests)
