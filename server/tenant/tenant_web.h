/*
 * tenant_web.h - how browsers reach a tenant: its own host names, and whose pages may call it
 *
 * A tenant may have host names of its own. What is asked under one of them is that tenant's and
 * nobody else's; the console and the platform are not there, so scripts of the tenant's cannot
 * share an origin with them. Its list of origins says which pages of other hosts may read its
 * answers; an empty one lets all, without credentials.
 *
 * Threads: reading from any; changing from any loop, answered there.
 * Memory:  a snapshot lives as long as the catalogue.
 */
#ifndef TENANT_WEB_H
#define TENANT_WEB_H

#include <stdbool.h>
#include <stddef.h>

#include "bytes.h"
#include "tenant.h"

#define TENANT_HOSTS_MAX   16
#define TENANT_ORIGINS_MAX 64
#define TENANT_HOST_BYTES  253

struct tenant_web {
	struct bytes hosts[TENANT_HOSTS_MAX];
	size_t n_hosts;
	struct bytes origins[TENANT_ORIGINS_MAX];
	size_t n_origins; /* 0: any */
	/* the module's own */
	struct tenant_web *older;
	char text[];
};

/* The settings as they are now. Never NULL. */
const struct tenant_web *tenant_web(const struct tenant *tenant);
/* Whose host name it is, or NULL. host is a Host header's value: its port and its case do not
 * matter. */
struct tenant *tenant_find_host(struct tenant_catalogue *catalogue, struct bytes host);
/* The data folder of a tenant's static files, terminated; false when it does not fit. */
bool tenant_public_folder(const struct tenant *tenant, char *out, size_t cap);

/* "app.example.org": lower case, no port, no address, not localhost. */
bool tenant_host_is_valid(struct bytes text);
/* "https://app.example.org", with a port if it is not the usual one: as browsers send it. */
bool tenant_origin_is_valid(struct bytes text);

/* Both lists anew, each valid and separated by single spaces. TENANT_EXISTS: a host name is another
 * tenant's; TENANT_BAD_NAME: too many, or one is not valid. done is always called, later. The
 * texts are copied. */
void tenant_set_web(struct tenant *tenant, struct bytes hosts, struct bytes origins,
	struct tenant_request *request);

#endif
