#include "view.h"

#include <stdlib.h>
#include <string.h>

#include "instance.h"

static int run_lanes(struct loop_hook *hook)
{
	struct pool_view *view =
		(struct pool_view *)(void *)((char *)hook - offsetof(struct pool_view, hook));
	int sleep_ms = -1;
	/* Answers may start calls, which activate lanes at the head of the list: they are looked at
	 * in the next iteration. */
	struct pool_lane **at = &view->active;
	struct pool_lane *lane = *at;
	view->active = NULL;
	struct pool_lane *kept = NULL;
	while (lane) {
		struct pool_lane *next = lane->next_active;
		bool has_more = lane_run(lane);
		if (has_more)
			sleep_ms = 0;
		if (lane->is_open && (has_more || lane->n_live > 0 || lane->queue)) {
			lane->next_active = kept;
			kept = lane;
		} else {
			lane->is_active = false;
		}
		lane = next;
	}
	/* Those that were activated meanwhile have not been looked at. */
	if (view->active)
		sleep_ms = 0;
	while (kept) {
		struct pool_lane *next = kept->next_active;
		kept->next_active = view->active;
		view->active = kept;
		kept = next;
	}
	return sleep_ms;
}

void view_deactivate(struct pool_view *view, struct pool_lane *lane)
{
	for (struct pool_lane **at = &view->active; *at; at = &(*at)->next_active)
		if (*at == lane) {
			*at = lane->next_active;
			lane->is_active = false;
			return;
		}
}

int view_new(struct pool *pool, struct loop *loop, unsigned number, struct audit_lane *audit,
	struct pool_view **ret, struct err *err)
{
	struct pool_view *view = calloc(1, sizeof *view);
	if (!view)
		return ERR_SET(err, ERR_NOMEM, "no memory for a view");
	view->pool = pool;
	view->loop = loop;
	view->number = number;
	view->audit = audit;
	view->n_slots = 16;
	view->tenants = calloc(view->n_slots, sizeof *view->tenants);
	bytes_buf_init(&view->head, WIRE_MESSAGE_MAX);
	bytes_buf_init(&view->pairs, 1u << 20);
	view->hook.run = run_lanes;
	if (!view->tenants || !bytes_buf_reserve(&view->head, 4096) ||
		!bytes_buf_reserve(&view->pairs, 4096)) {
		view_free(view);
		return ERR_SET(err, ERR_NOMEM, "no memory for a view");
	}
	loop_hook_add(loop, &view->hook);
	*ret = view;
	return 0;
}

static void free_tenant(struct view_tenant *tenant)
{
	for (unsigned i = 0; i < tenant->n_entries; i++) {
		plugin_version_unref(tenant->entries[i]->version);
		free(tenant->entries[i]);
	}
	free(tenant->entries);
	free(tenant);
}

void view_free(struct pool_view *view)
{
	if (!view)
		return;
	for (size_t i = 0; view->tenants && i < view->n_slots; i++)
		if (view->tenants[i])
			free_tenant(view->tenants[i]);
	free(view->tenants);
	bytes_buf_fini(&view->head);
	bytes_buf_fini(&view->pairs);
	free(view);
}

/* ---- finding ---- */
static uint64_t hash_name(struct bytes name)
{
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a; names are chosen by operators */
	for (size_t i = 0; i < name.n; i++)
		hash = (hash ^ (uint8_t)name.p[i]) * 0x100000001b3u;
	return hash;
}

static struct view_tenant **tenant_slot(
	struct view_tenant **tenants, size_t n_slots, struct bytes name)
{
	size_t at = hash_name(name) & (n_slots - 1);
	while (tenants[at] &&
		!bytes_eq(name, (struct bytes){ tenants[at]->name, tenants[at]->name_n }))
		at = (at + 1) & (n_slots - 1);
	return &tenants[at];
}

/* Where the plugin stands, or would have to. */
static unsigned entry_position(const struct view_tenant *tenant, struct bytes plugin, bool *found)
{
	unsigned low = 0, high = tenant->n_entries;
	*found = false;
	while (low < high) {
		unsigned middle = (low + high) / 2;
		const struct view_entry *entry = tenant->entries[middle];
		int order = bytes_cmp(plugin, (struct bytes){ entry->plugin, entry->plugin_n });
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static void say_down(const struct view_entry *entry, struct pool_target *ret)
{
	ret->reason = entry->reason;
	ret->retry_after_ms = entry->retry_after_ms;
}

enum pool_find_result pool_find_route(struct pool_view *view, struct bytes tenant,
	struct bytes plugin, struct bytes method, struct bytes path, struct pool_target *ret)
{
	bool found;
	*ret = (struct pool_target){ 0 };
	const struct view_tenant *owner = *tenant_slot(view->tenants, view->n_slots, tenant);
	if (!owner)
		return POOL_NO_PLUGIN;
	unsigned position = entry_position(owner, plugin, &found);
	if (!found)
		return POOL_NO_PLUGIN;
	const struct view_entry *entry = owner->entries[position];
	ret->plugin = (struct bytes){ entry->plugin, entry->plugin_n };
	if (!entry->version) {
		say_down(entry, ret);
		return POOL_DOWN;
	}
	switch (plugin_match_route(&entry->version->manifest, method, path, &ret->index)) {
	case PLUGIN_MATCH:
		break;
	case PLUGIN_NO_METHOD:
		return POOL_NO_METHOD;
	default:
		return POOL_NO_ROUTE;
	}
	ret->lane = entry->lane;
	ret->version = entry->version;
	ret->route = &entry->version->manifest.routes[ret->index];
	if (entry->lane)
		return POOL_FOUND;
	say_down(entry, ret);
	return POOL_DOWN;
}

enum pool_find_result pool_find_hook(struct pool_view *view, struct bytes tenant,
	struct bytes collection, enum plugin_when when, enum plugin_action action,
	struct bytes after, struct pool_target *ret)
{
	bool found;
	*ret = (struct pool_target){ 0 };
	const struct view_tenant *owner = *tenant_slot(view->tenants, view->n_slots, tenant);
	if (!owner)
		return POOL_NO_ROUTE;
	unsigned first = entry_position(owner, after, &found);
	for (unsigned i = found ? first + 1 : first; i < owner->n_entries; i++) {
		const struct view_entry *entry = owner->entries[i];
		ret->plugin = (struct bytes){ entry->plugin, entry->plugin_n };
		if (!entry->version && entry->are_hooks_unknown && when == PLUGIN_BEFORE) {
			say_down(entry, ret);
			return POOL_DOWN;
		}
		if (!entry->version)
			continue;
		int hook = plugin_find_hook(&entry->version->manifest, collection, when, action);
		if (hook < 0)
			continue;
		ret->lane = entry->lane;
		ret->version = entry->version;
		ret->index = (unsigned)hook;
		ret->hook = &entry->version->manifest.hooks[hook];
		if (entry->lane)
			return POOL_FOUND;
		say_down(entry, ret);
		return POOL_DOWN;
	}
	return POOL_NO_ROUTE;
}

/* ---- changing ---- */
static int grow_table(struct pool_view *view, struct err *err)
{
	size_t n_slots = view->n_slots * 2;
	struct view_tenant **tenants = calloc(n_slots, sizeof *tenants);
	if (!tenants)
		return ERR_SET(err, ERR_NOMEM, "no memory for a view");
	for (size_t i = 0; i < view->n_slots; i++) {
		struct view_tenant *tenant = view->tenants[i];
		if (tenant)
			*tenant_slot(tenants, n_slots,
				(struct bytes){ tenant->name, tenant->name_n }) = tenant;
	}
	free(view->tenants);
	view->tenants = tenants;
	view->n_slots = n_slots;
	return 0;
}

static struct view_tenant *need_tenant(struct pool_view *view, const char *name, struct err *err)
{
	struct view_tenant **slot = tenant_slot(view->tenants, view->n_slots, bytes_of(name));
	if (*slot)
		return *slot;
	if (2 * view->n_tenants >= view->n_slots && grow_table(view, err) < 0)
		return NULL;
	struct view_tenant *tenant = calloc(1, sizeof *tenant);
	if (!tenant) {
		ERR_SET(err, ERR_NOMEM, "no memory for a view");
		return NULL;
	}
	bytes_to_string(bytes_of(name), tenant->name, sizeof tenant->name);
	tenant->name_n = strlen(tenant->name);
	*tenant_slot(view->tenants, view->n_slots, bytes_of(name)) = tenant;
	view->n_tenants++;
	return tenant;
}

static struct view_entry *need_entry(
	struct view_tenant *tenant, const char *plugin, struct err *err)
{
	bool found;
	unsigned position = entry_position(tenant, bytes_of(plugin), &found);
	if (found)
		return tenant->entries[position];
	struct view_entry **entries =
		realloc(tenant->entries, (tenant->n_entries + 1) * sizeof *entries);
	if (entries)
		tenant->entries = entries;
	struct view_entry *entry = entries ? calloc(1, sizeof *entry) : NULL;
	if (!entry) {
		ERR_SET(err, ERR_NOMEM, "no memory for a view");
		return NULL;
	}
	bytes_to_string(bytes_of(plugin), entry->plugin, sizeof entry->plugin);
	entry->plugin_n = strlen(entry->plugin);
	memmove(&entries[position + 1], &entries[position],
		(tenant->n_entries - position) * sizeof *entries);
	entries[position] = entry;
	tenant->n_entries++;
	return entry;
}

int view_apply(struct pool_view *view, const struct view_change *change, struct err *err)
{
	struct view_tenant *tenant = need_tenant(view, change->tenant, err);
	struct view_entry *entry = tenant ? need_entry(tenant, change->plugin, err) : NULL;
	if (!entry)
		return -1;
	struct pool_lane *before = entry->lane;
	if (change->lane && change->lane != before && lane_open(change->lane, err) < 0)
		return -1;
	struct plugin_version *version_before = entry->version;
	entry->lane = change->lane;
	entry->version = change->version ? plugin_version_ref(change->version) : NULL;
	entry->are_hooks_unknown = change->are_hooks_unknown;
	entry->retry_after_ms = change->retry_after_ms;
	bytes_to_string(bytes_of(change->reason), entry->reason, sizeof entry->reason);
	plugin_version_unref(version_before);
	if (before && before != change->lane)
		lane_start_draining(before);
	return 0;
}

void view_forget_lane(struct pool_view *view, struct pool_lane *lane, const char *reason)
{
	const struct pool_instance *instance = lane->instance;
	struct bytes plugin = instance->version->manifest.id;
	bool found = false;
	struct view_tenant *tenant =
		*tenant_slot(view->tenants, view->n_slots, bytes_of(instance->tenant));
	unsigned position = tenant ? entry_position(tenant, plugin, &found) : 0;
	if (!found || tenant->entries[position]->lane != lane)
		return;
	struct view_entry *entry = tenant->entries[position];
	entry->lane = NULL;
	entry->retry_after_ms = 1000;
	bytes_to_string(bytes_of(reason), entry->reason, sizeof entry->reason);
}
