#include "sandbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"

static const char *const layer_names[SANDBOX_LAYERS] = {
	[SANDBOX_SECCOMP] = "seccomp",
	[SANDBOX_NO_NEW_PRIVS] = "no-new-privs",
	[SANDBOX_LANDLOCK] = "landlock",
	[SANDBOX_MOUNT_NS] = "mount-namespace",
	[SANDBOX_PID_NS] = "pid-namespace",
	[SANDBOX_NET_NS] = "net-namespace",
	[SANDBOX_USER_NS] = "user-namespace",
	[SANDBOX_UNIQUE_UID] = "unique-uid",
	[SANDBOX_CGROUP] = "cgroup",
	[SANDBOX_MDWE] = "mdwe",
};

const char *sandbox_layer_name(enum sandbox_layer layer)
{
	if ((size_t)layer >= SANDBOX_LAYERS)
		return "unknown";
	return layer_names[layer];
}

/* The fields in the order of their text: six decimal numbers, a comma between two. */
#define SPEC_FIELDS 6

void sandbox_spec_format(const struct sandbox_spec *spec, char out[static SANDBOX_SPEC_TEXT_BYTES])
{
	(void)snprintf(out, SANDBOX_SPEC_TEXT_BYTES,
		"%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu64 ",%d", spec->layers,
		spec->outer_uid, spec->n_eventfds, spec->cpu_s, spec->address_space_bytes,
		spec->is_selftest ? 1 : 0);
}

int sandbox_spec_parse(const char *text, struct sandbox_spec *ret, struct err *err)
{
	static const uint64_t max[SPEC_FIELDS] = { SANDBOX_BIT(SANDBOX_LAYERS) - 1, UINT32_MAX,
		SANDBOX_EVENTFDS_MAX, UINT32_MAX, UINT64_MAX, 1 };
	uint64_t value[SPEC_FIELDS];
	struct bytes rest = bytes_of(text);

	for (size_t i = 0; i < SPEC_FIELDS; i++) {
		const char *comma = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
		size_t n = comma ? (size_t)(comma - rest.p) : rest.n;
		bool is_last = i == SPEC_FIELDS - 1;
		if (is_last == (comma != NULL) ||
			!bytes_parse_u64((struct bytes){ rest.p, n }, max[i], &value[i]))
			return ERR_SET(err, ERR_INVALID, "sandbox spec: field %zu is malformed", i);
		rest = (struct bytes){ rest.p + n + !is_last, rest.n - n - !is_last };
	}
	if (value[2] == 0)
		return ERR_SET(err, ERR_INVALID, "sandbox spec: a worker needs an eventfd");
	*ret = (struct sandbox_spec){
		.layers = (uint32_t)value[0],
		.outer_uid = (uint32_t)value[1],
		.n_eventfds = (uint32_t)value[2],
		.cpu_s = (uint32_t)value[3],
		.address_space_bytes = value[4],
		.is_selftest = value[5] == 1,
	};
	return 0;
}
