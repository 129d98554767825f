/*
 * egress_smtp.h - hand one message to a mail server, past the address guard
 *
 * A blocking call for a thread that may wait: one connection, one message, one recipient. The guard
 * decides on the socket's address as it does for plugins; the ports of mail (25, 465, 587, 2525)
 * pass on public addresses, everything else only where an operator's range says so. A password goes
 * over TLS or not at all.
 *
 * Threads: any that may block; calls share nothing. Memory: everything is the caller's.
 */
#ifndef EGRESS_EGRESS_SMTP_H
#define EGRESS_EGRESS_SMTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "egress_guard.h"

#define EGRESS_SMTP_REASON_MAX 160

struct egress_smtp {
	const char *host; /* a name or an address, IPv6 without brackets */
	uint16_t port;
	bool is_tls; /* from the first byte; else STARTTLS, when the server offers it */
	/* "" for none */
	const char *username, *password;
	const char *auth_method; /* "PLAIN", "LOGIN", or "" for what the server offers */
	const char *local_name;  /* said in EHLO; "" for "localhost" */
	const struct egress_range *allowed;
	size_t n_allowed;
	uint32_t timeout_ms;
	const atomic_bool *is_cancelled; /* when it turns true the call ends within a second */
};

enum egress_smtp_outcome {
	EGRESS_SMTP_SENT,
	EGRESS_SMTP_REFUSED, /* for good: the guard, a setting, or the server's 5xx */
	EGRESS_SMTP_LATER    /* no connection, or the server's 4xx: worth another try */
};

/* Sends message (RFC 5322, lines end with CR LF) from one address to another; both are checked
 * here. ret_reason gets a phrase for logs unless it was sent. */
enum egress_smtp_outcome egress_smtp_send(const struct egress_smtp *server, const char *from,
	const char *to, struct bytes message, char ret_reason[static EGRESS_SMTP_REASON_MAX]);

/* True for an address as SMTP takes it without quoting: printable ASCII, one '@' with something on
 * both sides, none of <>()[],;:\" in it, and no blank. */
bool egress_smtp_address_is_valid(struct bytes address);
/* True for a host name or an IP address. */
bool egress_smtp_host_is_valid(struct bytes host);

#endif
