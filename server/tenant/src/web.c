/*
 * Host names are found without a lock: a chain of one bucket only ever grows, and a name that is
 * nobody's any more stays in it without a tenant. Who changes hosts claims them first, under the
 * lock, then writes them down, and only then lets them be found.
 */
#include "tenant_web.h"

#include "internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct tenant_web nothing;

struct tenant_host {
	struct tenant_host *_Atomic next; /* of its bucket */
	struct tenant *_Atomic tenant;    /* NULL: nobody's */
	struct tenant *claimant;          /* under the lock */
	size_t n;
	char text[];
};

const struct tenant_web *tenant_web(const struct tenant *tenant)
{
	const struct tenant_web *web = atomic_load_explicit(&tenant->web, memory_order_acquire);

	return web ? web : &nothing;
}

bool tenant_public_folder(const struct tenant *tenant, char *out, size_t cap)
{
	int n = snprintf(
		out, cap, "%s/tenants/%s/public", tenant->catalogue->data_folder, tenant->id);

	return n > 0 && (size_t)n < cap;
}

/* ---- names ---- */

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static bool is_address(struct bytes text)
{
	char string[INET6_ADDRSTRLEN + 2];
	struct in6_addr v6;
	struct in_addr v4;

	if (!bytes_to_string(text, string, sizeof string))
		return false;
	if (text.n > 2 && text.p[0] == '[' && text.p[text.n - 1] == ']') {
		string[text.n - 1] = '\0';
		return inet_pton(AF_INET6, string + 1, &v6) == 1;
	}
	return inet_pton(AF_INET, string, &v4) == 1;
}

/* Labels of letters, digits and '-', and a name as a whole, not a number. */
static bool is_name(struct bytes text)
{
	size_t n_label = 0;
	bool is_number = true;

	if (text.n == 0 || text.n > TENANT_HOST_BYTES)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '.') {
			if (n_label == 0 || text.p[i - 1] == '-')
				return false;
			n_label = 0;
			is_number = true;
			continue;
		}
		is_number &= text.p[i] >= '0' && text.p[i] <= '9';
		if (!is_label_char(text.p[i]) || (n_label == 0 && text.p[i] == '-') ||
			++n_label > 63)
			return false;
	}
	return n_label > 0 && text.p[text.n - 1] != '-' && !is_number;
}

/* By addresses and as localhost the server itself is reached, with console and command line. */
bool tenant_host_is_valid(struct bytes text)
{
	return is_name(text) && !bytes_eq_string(text, "localhost");
}

/* Cuts a port off, in place; the rest of "[::1]:80" keeps its brackets. */
static struct bytes without_port(struct bytes host)
{
	size_t at = host.n;

	while (at > 0 && host.p[at - 1] >= '0' && host.p[at - 1] <= '9')
		at--;
	if (at > 0 && at < host.n && host.p[at - 1] == ':')
		host.n = at - 1;
	return host;
}

bool tenant_origin_is_valid(struct bytes text)
{
	struct bytes rest;

	if (bytes_starts_with(text, BYTES("https://")))
		rest = (struct bytes){ text.p + 8, text.n - 8 };
	else if (bytes_starts_with(text, BYTES("http://")))
		rest = (struct bytes){ text.p + 7, text.n - 7 };
	else
		return false;
	rest = without_port(rest);
	return is_name(rest) || is_address(rest);
}

/* ---- finding ---- */

static uint32_t bucket_of(struct bytes host)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < host.n; i++)
		hash = (hash ^ (unsigned char)host.p[i]) * 16777619u;
	return hash % HOST_BUCKETS;
}

static struct tenant_host *find_host(struct tenant_catalogue *catalogue, struct bytes host)
{
	struct tenant_host *at =
		atomic_load_explicit(&catalogue->hosts[bucket_of(host)], memory_order_acquire);

	while (at && !bytes_eq((struct bytes){ at->text, at->n }, host))
		at = atomic_load_explicit(&at->next, memory_order_acquire);
	return at;
}

struct tenant *tenant_find_host(struct tenant_catalogue *catalogue, struct bytes host)
{
	char lower[TENANT_HOST_BYTES];

	if (!atomic_load_explicit(&catalogue->has_hosts, memory_order_relaxed))
		return NULL;
	host = without_port(host);
	if (host.n > 1 && host.p[host.n - 1] == '.')
		host.n--; /* the root's dot names the same host */
	if (host.n == 0 || host.n > sizeof lower)
		return NULL;
	for (size_t i = 0; i < host.n; i++)
		lower[i] = host.p[i] >= 'A' && host.p[i] <= 'Z' ? (char)(host.p[i] - 'A' + 'a')
								: host.p[i];
	const struct tenant_host *found = find_host(catalogue, (struct bytes){ lower, host.n });

	return found ? atomic_load_explicit(&found->tenant, memory_order_acquire) : NULL;
}

/* ---- changing ---- */

/* Cuts the words of text into list. False when there are too many, or one is not valid. */
static bool cut_words(struct bytes text, struct bytes *list, size_t max, size_t *ret_n,
	bool (*is_valid)(struct bytes word))
{
	size_t n = 0;

	while (text.n > 0) {
		const char *space = memchr(text.p, ' ', text.n);
		struct bytes word = { text.p, space ? (size_t)(space - text.p) : text.n };
		if (n == max || !is_valid(word))
			return false;
		list[n++] = word;
		text = space ? (struct bytes){ space + 1, text.n - word.n - 1 }
			     : (struct bytes){ 0 };
	}
	*ret_n = n;
	return true;
}

static struct tenant_web *web_new(struct bytes hosts, struct bytes origins)
{
	struct tenant_web *web = calloc(1, sizeof *web + hosts.n + origins.n);

	if (!web)
		return NULL;
	if (hosts.n)
		memcpy(web->text, hosts.p, hosts.n);
	if (origins.n)
		memcpy(web->text + hosts.n, origins.p, origins.n);
	if (cut_words((struct bytes){ web->text, hosts.n }, web->hosts, TENANT_HOSTS_MAX,
		    &web->n_hosts, tenant_host_is_valid) &&
		cut_words((struct bytes){ web->text + hosts.n, origins.n }, web->origins,
			TENANT_ORIGINS_MAX, &web->n_origins, tenant_origin_is_valid))
		return web;
	free(web);
	return NULL;
}

/* The node of a name, made when there is none. Locked. */
static struct tenant_host *host_node(struct tenant_catalogue *catalogue, struct bytes text)
{
	struct tenant_host *host = find_host(catalogue, text);
	struct tenant_host *_Atomic *bucket = &catalogue->hosts[bucket_of(text)];

	if (host)
		return host;
	host = calloc(1, sizeof *host + text.n);
	if (!host)
		return NULL;
	host->n = text.n;
	memcpy(host->text, text.p, text.n);
	atomic_store(&host->next, atomic_load(bucket));
	atomic_store_explicit(bucket, host, memory_order_release);
	return host;
}

/* Locked. */
static void unclaim(struct tenant *tenant, const struct tenant_web *web)
{
	for (size_t i = 0; i < web->n_hosts; i++) {
		struct tenant_host *host = find_host(tenant->catalogue, web->hosts[i]);
		if (host && host->claimant == tenant && atomic_load(&host->tenant) != tenant)
			host->claimant = NULL;
	}
}

/* Locked. Either all, or none. */
static enum tenant_outcome claim(struct tenant *tenant, const struct tenant_web *web)
{
	enum tenant_outcome outcome = TENANT_OK;

	for (size_t i = 0; i < web->n_hosts && outcome == TENANT_OK; i++) {
		struct tenant_host *host = host_node(tenant->catalogue, web->hosts[i]);
		if (!host)
			outcome = TENANT_FAULT;
		else if (host->claimant && host->claimant != tenant)
			outcome = TENANT_EXISTS;
		else
			host->claimant = tenant;
	}
	if (outcome != TENANT_OK)
		unclaim(tenant, web);
	return outcome;
}

static bool has_host(const struct tenant_web *web, struct bytes host)
{
	for (size_t i = 0; i < web->n_hosts; i++)
		if (bytes_eq(web->hosts[i], host))
			return true;
	return false;
}

/* Locked. What is written down holds from now on. */
static void let_hold(struct tenant *tenant, struct tenant_web *web)
{
	struct tenant_web *old = atomic_load(&tenant->web);

	for (size_t i = 0; old && i < old->n_hosts; i++) {
		struct tenant_host *host = find_host(tenant->catalogue, old->hosts[i]);
		if (has_host(web, old->hosts[i]))
			continue;
		atomic_store(&host->tenant, (struct tenant *)NULL);
		host->claimant = NULL;
	}
	for (size_t i = 0; i < web->n_hosts; i++) {
		struct tenant_host *host = find_host(tenant->catalogue, web->hosts[i]);
		atomic_store_explicit(&host->tenant, tenant, memory_order_release);
		atomic_store(&tenant->catalogue->has_hosts, true);
	}
	web->older = old;
	atomic_store_explicit(&tenant->web, web, memory_order_release);
}

bool tenant_web_load(struct tenant *tenant, struct bytes hosts, struct bytes origins)
{
	struct tenant_web *web = hosts.n || origins.n ? web_new(hosts, origins) : NULL;

	if (!web)
		return hosts.n == 0 && origins.n == 0;
	if (claim(tenant, web) != TENANT_OK) {
		free(web);
		return false;
	}
	let_hold(tenant, web);
	return true;
}

void tenant_web_fini(struct tenant *tenant)
{
	for (struct tenant_web *web = atomic_load(&tenant->web), *older; web; web = older) {
		older = web->older;
		free(web);
	}
}

void tenant_hosts_fini(struct tenant_catalogue *catalogue)
{
	for (size_t i = 0; i < HOST_BUCKETS; i++)
		for (struct tenant_host *host = atomic_load(&catalogue->hosts[i]), *next; host;
			host = next) {
			next = atomic_load(&host->next);
			free(host);
		}
}

static enum store_outcome update_web(struct store_job *job, struct store_conn *conn)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)job - offsetof(struct tenant_request, write));
	const struct tenant_web *web = request->web;
	struct store_stmt *stmt;
	enum store_outcome outcome = store_prepare(
		conn, BYTES("UPDATE tenants SET hosts = ?2, origins = ?3 WHERE id = ?1"), &stmt);

	if (outcome != STORE_OK)
		return outcome;
	store_bind_text(stmt, 1, bytes_of(request->tenant->id));
	store_bind_text(stmt, 2, (struct bytes){ web->text, request->n_hosts });
	store_bind_text(
		stmt, 3, (struct bytes){ web->text + request->n_hosts, request->n_origins });
	return store_exec(stmt, NULL);
}

static void on_web_updated(struct store_job *job)
{
	struct tenant_request *request =
		(struct tenant_request *)((char *)job - offsetof(struct tenant_request, write));
	struct tenant *tenant = request->tenant;

	pthread_mutex_lock(&tenant->catalogue->lock);
	if (job->outcome == STORE_OK) {
		let_hold(tenant, request->web);
	} else {
		request->err = job->err;
		unclaim(tenant, request->web);
		free(request->web);
	}
	pthread_mutex_unlock(&tenant->catalogue->lock);
	request->web = NULL;
	tenant_finish(request, job->outcome == STORE_OK ? TENANT_OK : TENANT_FAULT);
}

void tenant_set_web(struct tenant *tenant, struct bytes hosts, struct bytes origins,
	struct tenant_request *request)
{
	enum tenant_outcome outcome = TENANT_BAD_NAME;

	request->catalogue = tenant->catalogue;
	request->tenant = tenant;
	request->err = (struct err){ 0 };
	request->n_hosts = hosts.n;
	request->n_origins = origins.n;
	request->web = web_new(hosts, origins);
	if (request->web) {
		pthread_mutex_lock(&tenant->catalogue->lock);
		outcome = claim(tenant, request->web);
		pthread_mutex_unlock(&tenant->catalogue->lock);
	}
	if (outcome != TENANT_OK) {
		free(request->web);
		request->web = NULL;
		tenant_finish(request, outcome);
		return;
	}
	request->write =
		(struct store_job){ .run = update_web, .done = on_web_updated, .loop = NULL };
	store_write(tenant->catalogue->config.control, &request->write);
}
