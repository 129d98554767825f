#include "loader.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#define SYMBOL        "tenon_plugin_v1"
#define STRING_MAX    64u /* id and version, without their terminators */
#define SEGMENTS_MAX  16u
#define NOTE_OWNER    "Tenon"
#define NOTE_MANIFEST 1u

/* Where the module lies in memory. */
struct module {
	uintptr_t base;
	struct range {
		uintptr_t from, to;
	} readable[SEGMENTS_MAX], note[SEGMENTS_MAX];
	size_t n_readable, n_notes;
};

static int find_module(struct dl_phdr_info *info, size_t size, void *context)
{
	struct module *module = context;

	(void)size;
	if (info->dlpi_addr != module->base)
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		struct range range = { module->base + header->p_vaddr,
			module->base + header->p_vaddr + header->p_memsz };
		if (header->p_type == PT_LOAD && (header->p_flags & PF_R) &&
			module->n_readable < SEGMENTS_MAX)
			module->readable[module->n_readable++] = range;
		if (header->p_type == PT_NOTE && module->n_notes < SEGMENTS_MAX)
			module->note[module->n_notes++] = range;
	}
	return 1;
}

/* How many bytes of the module may be read from p on; 0 when p is not in it. */
static size_t readable(const struct module *module, const void *p)
{
	uintptr_t at = (uintptr_t)p;

	for (size_t i = 0; i < module->n_readable; i++)
		if (at >= module->readable[i].from && at < module->readable[i].to)
			return module->readable[i].to - at;
	return 0;
}

static bool is_terminated(const struct module *module, const char *string)
{
	size_t n = readable(module, string);

	return n && strnlen(string, n < STRING_MAX + 1 ? n : STRING_MAX + 1) < n &&
	       strnlen(string, STRING_MAX + 1) <= STRING_MAX;
}

static int check_plugin(
	const struct module *module, const void *symbol, struct tenon_plugin *ret, struct err *err)
{
	uint32_t size;

	if (readable(module, symbol) < TENON_PLUGIN_SIZE_1_0 ||
		(uintptr_t)symbol % _Alignof(struct tenon_plugin) != 0)
		return ERR_SET(err, ERR_INVALID, SYMBOL " does not lie inside the plugin");
	memcpy(&size, symbol, sizeof size);
	if (size < TENON_PLUGIN_SIZE_1_0)
		return ERR_SET(err, ERR_INVALID,
			SYMBOL ".size is %u: set it to sizeof(struct tenon_plugin)", size);
	size_t n = size < sizeof *ret ? size : sizeof *ret;
	if (n > readable(module, symbol))
		return ERR_SET(err, ERR_INVALID, SYMBOL ".size is %u: more than there is", size);
	*ret = (struct tenon_plugin){ 0 };
	memcpy(ret, symbol, n);
	if (ret->abi_major != TENON_ABI_MAJOR)
		return ERR_SET(err, ERR_INVALID, "needs ABI major %u, this worker serves %u",
			ret->abi_major, TENON_ABI_MAJOR);
	if (ret->flags)
		return ERR_SET(err, ERR_INVALID,
			SYMBOL ".flags has unknown flags 0x%x: set it to 0", ret->flags);
	if (ret->concurrency > TENON_COOPERATIVE)
		return ERR_SET(
			err, ERR_INVALID, SYMBOL ".concurrency %u is not known", ret->concurrency);
	if (!is_terminated(module, ret->id) || !is_terminated(module, ret->version))
		return ERR_SET(err, ERR_INVALID,
			SYMBOL ".id or .version is not a terminated string of at most %u bytes",
			STRING_MAX);
	if (!ret->create || !ret->invoke || !ret->destroy)
		return ERR_SET(err, ERR_INVALID, SYMBOL " lacks create, invoke or destroy");
	return 0;
}

/* The manifest among the module's notes: namesz, descsz, type, name, description, each padded to 4.
 */
static struct bytes find_manifest(const struct module *module)
{
	for (size_t i = 0; i < module->n_notes; i++) {
		const char *p = (const char *)module->note[i].from;
		size_t left = module->note[i].to - module->note[i].from;
		if (readable(module, p) < left)
			continue;
		uint32_t head[3];
		while (left >= sizeof head) {
			memcpy(head, p, sizeof head);
			size_t name = ((size_t)head[0] + 3) & ~(size_t)3;
			size_t description = ((size_t)head[1] + 3) & ~(size_t)3;
			if (name > left - sizeof head || description > left - sizeof head - name)
				break;
			if (head[0] == sizeof NOTE_OWNER && head[2] == NOTE_MANIFEST &&
				memcmp(p + sizeof head, NOTE_OWNER, sizeof NOTE_OWNER) == 0)
				return (struct bytes){ p + sizeof head + name, head[1] };
			p += sizeof head + name + description;
			left -= sizeof head + name + description;
		}
	}
	return (struct bytes){ 0 };
}

int loader_open(const char *path, struct loader_plugin *ret, struct err *err)
{
	struct module module = { 0 };
	struct link_map *map = NULL;
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!handle)
		return ERR_SET(err, ERR_INVALID, "cannot be loaded: %s", dlerror());
	if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
		return ERR_SET(err, ERR_INVALID, "cannot be found after loading: %s", dlerror());
	module.base = map->l_addr;
	const void *symbol = dlsym(handle, SYMBOL);
	if (!symbol)
		return ERR_SET(err, ERR_INVALID, "does not export " SYMBOL);
	if (!dl_iterate_phdr(find_module, &module))
		return ERR_SET(err, ERR_INVALID, "its mapping cannot be found");
	if (check_plugin(&module, symbol, &ret->plugin, err) < 0)
		return -1;
	ret->manifest = find_manifest(&module);
	return 0;
}
