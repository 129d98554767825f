/*
 * One libcurl multi handle for each tenant, driven by the egress loop: libcurl says which sockets
 * it wants watched and when it wants to be woken, the loop tells it what happened.
 *
 * A shared handle would be simpler, and wrong: it would serve a request of one tenant over a
 * connection that another one, with other allowed networks, had opened.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "egress_core.h"

#define CONNECTIONS_PER_TENANT 8L

struct socket_watch {
	struct loop_watch watch; /* first */
	struct egress_tenant *tenant;
};

/* Hands finished transfers on. A call may add its handle again (a redirect), or be gone afterwards.
 */
static void take_finished(struct egress_tenant *tenant)
{
	CURLMsg *message;
	int n_left;

	while ((message = curl_multi_info_read(tenant->multi, &n_left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result;
		char *call = NULL;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
		curl_multi_remove_handle(tenant->multi, easy);
		egress_transfer_done((struct egress_call *)(void *)call, code);
	}
}

static void on_ready(struct loop_watch *watch, uint32_t events)
{
	struct egress_tenant *tenant = ((struct socket_watch *)(void *)watch)->tenant;
	int flags = 0, n_running;

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP))
		flags |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		flags |= CURL_CSELECT_ERR;
	/* The watch may be gone after this. */
	curl_multi_socket_action(tenant->multi, watch->fd, flags, &n_running);
	take_finished(tenant);
}

static void on_timer(struct loop_timer *timer)
{
	struct egress_tenant *tenant =
		(struct egress_tenant *)(void *)((char *)timer -
						 offsetof(struct egress_tenant, timer));
	int n_running;

	curl_multi_socket_action(tenant->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
	take_finished(tenant);
}

/* libcurl: watch this socket so, or no more. */
static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *user, void *of_socket)
{
	struct egress_tenant *tenant = user;
	struct socket_watch *watch = of_socket;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			loop_watch_remove(&watch->watch);
			curl_multi_assign(tenant->multi, fd, NULL);
			free(watch);
		}
		return 0;
	}
	uint32_t events = 0;
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (watch)
		return loop_watch_change(&watch->watch, events, NULL);
	watch = calloc(1, sizeof *watch);
	if (!watch)
		return -1;
	watch->watch = (struct loop_watch){ .fd = fd, .on_ready = on_ready };
	watch->tenant = tenant;
	if (loop_watch_add(tenant->egress->loop, &watch->watch, events, NULL) < 0) {
		free(watch);
		return -1;
	}
	curl_multi_assign(tenant->multi, fd, watch);
	return 0;
}

/* libcurl: wake me in that many milliseconds; -1: not at all. */
static int timer_changed(CURLM *multi, long timeout_ms, void *user)
{
	struct egress_tenant *tenant = user;

	(void)multi;
	if (timeout_ms < 0) {
		loop_timer_stop(&tenant->timer);
		return 0;
	}
	return loop_timer_start(tenant->egress->loop, &tenant->timer,
		clock_mono_ns() + (uint64_t)timeout_ms * CLOCK_NS_PER_MS, NULL);
}

static void tenant_free(struct egress_tenant *tenant)
{
	if (!tenant)
		return;
	/* Closes the connections, and says so to socket_changed. */
	if (tenant->multi)
		curl_multi_cleanup(tenant->multi);
	loop_timer_stop(&tenant->timer);
	free(tenant);
}

DEFER_DEFINE(struct egress_tenant *, tenant_free)

static struct egress_tenant *tenant_new(struct egress *egress, struct bytes key)
{
	DEFER(tenant_free) struct egress_tenant *tenant = calloc(1, sizeof *tenant);

	if (!tenant || !bytes_to_string(key, tenant->key, sizeof tenant->key))
		return NULL;
	tenant->egress = egress;
	tenant->timer.on_fire = on_timer;
	CURLM *multi = tenant->multi = curl_multi_init();
	if (!multi)
		return NULL;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, tenant);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_changed);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, tenant);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_PER_TENANT);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	struct egress_tenant *handed_over = tenant;
	tenant = NULL;
	return handed_over;
}

static void drop_tenant(struct egress *egress, uint32_t i)
{
	tenant_free(egress->tenants[i]);
	egress->tenants[i] = egress->tenants[--egress->n_tenants];
}

/* Makes room by closing the connections of whoever has none under way and used his last. */
static bool drop_least_used(struct egress *egress)
{
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < egress->n_tenants; i++)
		if (egress->tenants[i]->n_calls == 0 &&
			(least == UINT32_MAX ||
				egress->tenants[i]->used_ns < egress->tenants[least]->used_ns))
			least = i;
	if (least == UINT32_MAX)
		return false;
	drop_tenant(egress, least);
	return true;
}

struct egress_tenant *egress_tenant_get(struct egress *egress, struct bytes key)
{
	uint32_t i = 0;

	while (i < egress->n_tenants && !bytes_eq_string(key, egress->tenants[i]->key))
		i++;
	if (i == egress->n_tenants) {
		if (i == egress->options.max_tenants && !drop_least_used(egress))
			return NULL;
		struct egress_tenant *tenant = tenant_new(egress, key);
		if (!tenant)
			return NULL;
		i = egress->n_tenants++;
		egress->tenants[i] = tenant;
	}
	egress->tenants[i]->used_ns = loop_now_ns(egress->loop);
	return egress->tenants[i];
}

void egress_tenants_sweep(struct egress *egress, uint64_t max_idle_ns)
{
	uint64_t now_ns = loop_now_ns(egress->loop);

	for (uint32_t i = egress->n_tenants; i-- > 0;)
		if (egress->tenants[i]->n_calls == 0 &&
			now_ns - egress->tenants[i]->used_ns > max_idle_ns)
			drop_tenant(egress, i);
}

void egress_tenants_free(struct egress *egress)
{
	while (egress->n_tenants > 0)
		drop_tenant(egress, egress->n_tenants - 1);
}
