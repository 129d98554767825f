#include "elf_check.h"

#include <assert.h>
#include <stddef.h>

struct finding_row {
	const char *name;
	bool refuses;
	const char *message;
	const char *fix;
};

#define BUILD_HELP "build the plugin with tenon_plugin() or copy its link options"

static const struct finding_row rows[ELF_FINDING_IDS] = {
	[ELF_TOO_BIG] = { "elf-too-big", true, "The file is larger than 64 MiB.",
		"strip it and ship data separately" },
	[ELF_TRUNCATED] = { "elf-truncated", true,
		"A table or segment reaches past the end of the file.",
		"upload the complete file" },
	[ELF_NOT_ELF] = { "elf-not-elf", true, "The file is not a 64-bit little-endian ELF file.",
		"upload the shared object that the linker wrote" },
	[ELF_WRONG_MACHINE] = { "elf-wrong-machine", true,
		"The file is built for another kind of processor than this server's.",
		"build for this server's architecture" },
	[ELF_NOT_SHARED_OBJECT] = { "elf-not-shared-object", true,
		"The file is not a shared object (ET_DYN).", "link with -shared" },
	[ELF_BAD_HEADER] = { "elf-bad-header", true, "The ELF header contradicts itself.",
		"link again with an unmodified linker" },
	[ELF_BAD_SEGMENT] = { "elf-bad-segment", true,
		"A program header has sizes, an address or an alignment that cannot be loaded.",
		"link again with an unmodified linker" },
	[ELF_OVERLAPPING_SEGMENTS] = { "elf-overlapping-segments", true,
		"Two loadable segments overlap or are out of order.",
		"link again with an unmodified linker" },
	[ELF_IMAGE_TOO_BIG] = { "elf-image-too-big", true,
		"Loaded, the file would take more than 64 MiB of memory.",
		"allocate large tables at run time, within the instance's memory limit" },
	[ELF_INTERPRETER] = { "elf-interpreter", true, "The file asks for a program interpreter.",
		"link with -shared, not as an executable" },
	[ELF_WRITABLE_CODE] = { "elf-writable-code", true,
		"A segment is both writable and executable.",
		"remove -N, -z rwx and linker scripts" },
	[ELF_NO_STACK_HEADER] = { "elf-no-stack-header", true,
		"The file does not say whether it needs an executable stack.",
		"link with -z noexecstack" },
	[ELF_EXECUTABLE_STACK] = { "elf-executable-stack", true,
		"The file asks for an executable stack.",
		"link with -z noexecstack; avoid nested functions" },
	[ELF_NO_DYNAMIC] = { "elf-no-dynamic", true, "The file has no dynamic table.",
		"link with -shared" },
	[ELF_BAD_DYNAMIC] = { "elf-bad-dynamic", true, "The dynamic table points outside the file.",
		"link again with an unmodified linker" },
	[ELF_TEXT_RELOCATIONS] = { "elf-text-relocations", true,
		"Code would have to be changed while loading.", "compile every object with -fPIC" },
	[ELF_LAZY_BINDING] = { "elf-lazy-binding", true, "Symbols would be bound lazily.",
		"link with -z now" },
	[ELF_NO_RELRO] = { "elf-no-relro", true, "Relocated tables would stay writable.",
		"link with -z relro -z now" },
	[ELF_SEARCH_PATH] = { "elf-search-path", true,
		"The file carries a library search path (RPATH or RUNPATH).", "remove -rpath" },
	[ELF_AUDIT] = { "elf-audit", true, "The file asks for an audit library.",
		"remove --audit and --depaudit" },
	[ELF_FILTER] = { "elf-filter", true, "The file is a filter for another library.",
		"remove -F and -f" },
	[ELF_FLAGS] = { "elf-flags", true,
		"The file asks to be initialised first, to be global or to interpose.",
		"remove -z initfirst, -z global and -z interpose" },
	[ELF_STATIC_TLS] = { "elf-static-tls", true, "The file needs static thread-local storage.",
		"compile with -fPIC and without -ftls-model=initial-exec" },
	[ELF_BAD_RELOCATION] = { "elf-bad-relocation", true,
		"A relocation table is malformed or of a kind that is not known here.",
		BUILD_HELP },
	[ELF_IFUNC] = { "elf-ifunc", true,
		"The file has functions that are chosen by code while loading.",
		"compile without ifunc attributes and target_clones" },
	[ELF_NEEDED] = { "elf-needed", true, "The file needs a library that plugins do not get.",
		"link that library statically; only libc.so.6, libm.so.6 and libgcc_s.so.1 are "
		"there" },
	[ELF_BAD_SYMBOLS] = { "elf-bad-symbols", true, "The symbol or hash tables are malformed.",
		"link again with an unmodified linker, with --hash-style=gnu or both" },
	[ELF_NO_ENTRY] = { "elf-no-entry", true, "The file does not export tenon_plugin_v1.",
		"define const struct tenon_plugin tenon_plugin_v1 with default visibility" },
	[ELF_ENTRY_NOT_DATA] = { "elf-entry-not-data", true,
		"tenon_plugin_v1 is not a data object inside a loaded segment.",
		"define it as a const struct tenon_plugin" },
	[ELF_OTHER_EXPORT] = { "elf-other-export", true,
		"The file exports something besides its entry.",
		"compile with -fvisibility=hidden; hide static libraries with --exclude-libs,ALL" },
	[ELF_UNIQUE_SYMBOL] = { "elf-unique-symbol", true,
		"The file defines a process-wide unique symbol.",
		"compile C++ with -fno-gnu-unique" },
	[ELF_NO_MANIFEST] = { "elf-no-manifest", true, "The file carries no manifest.",
		"embed tenon.json as an ELF note: tenon_plugin() does it" },
	[ELF_BAD_NOTE] = { "elf-bad-note", true, "A note is malformed, or there are two manifests.",
		BUILD_HELP },
	[ELF_MANIFEST_TOO_BIG] = { "elf-manifest-too-big", true,
		"The manifest is larger than 256 KiB.", "shorten the manifest" },
	[ELF_MANIFEST_NOT_JSON] = { "elf-manifest-not-json", true,
		"The manifest is not strict JSON.",
		"correct tenon.json at the place that is named and build again" },
	[ELF_CONSTRUCTORS] = { "elf-constructors", false,
		"Code of the plugin runs while it is loaded.", "" },
	[ELF_RAW_SYSCALL] = { "elf-raw-syscall", false,
		"The code holds byte sequences that are system call instructions.", "" },
	[ELF_THREAD_LOCALS] = { "elf-thread-locals", false,
		"The plugin has thread-local variables.", "" },
};

const char *elf_finding_name(enum elf_finding_id id)
{
	assert((size_t)id < ELF_FINDING_IDS);
	return rows[id].name;
}

bool elf_finding_refuses(enum elf_finding_id id)
{
	assert((size_t)id < ELF_FINDING_IDS);
	return rows[id].refuses;
}

const char *elf_finding_message(enum elf_finding_id id)
{
	assert((size_t)id < ELF_FINDING_IDS);
	return rows[id].message;
}

const char *elf_finding_fix(enum elf_finding_id id)
{
	assert((size_t)id < ELF_FINDING_IDS);
	return rows[id].fix;
}
