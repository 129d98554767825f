/*
 * mail.h - letters on their way: a bounded queue in front of the tenants' mail servers
 *
 * Whoever asks for a letter never waits for it, and never learns what became of it: the answer to
 * "I forgot my password" is the same whether there is an account, a mail server, or neither. Two
 * threads send; at most one letter of a tenant is being sent at a time, so that one tenant whose
 * server hangs does not keep the letters of all others. What a server puts off is tried again, four
 * times in all; what fails for good is a line in the log with the trace id.
 *
 *   loop --mail_post--> queue (256, 32 of one tenant) --> thread --> egress_smtp
 *
 * Threads: mail_post from any; the wait's done on its loop.
 * Memory:  a letter is copied; a wait is the caller's until done.
 */
#ifndef MAIL_MAIL_H
#define MAIL_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "egress_guard.h"
#include "egress_smtp.h"
#include "err.h"
#include "id.h"
#include "loop.h"

struct mail;

struct mail_config {
	/* Networks in which a mail server may be although they are not public; borrowed. */
	const struct egress_range *allowed;
	size_t n_allowed;
	uint32_t timeout_ms; /* of one try; 0: 15,000 */
	uint32_t retry_ms;   /* before the second try, ten times that before each later one; 0:
				10,000 */
};

int mail_open(const struct mail_config *config, struct mail **ret, struct err *err);
/* Gives up what waits, with a line in the log for each, and ends the threads. Takes NULL. */
void mail_close(struct mail *mail);

struct mail_server {
	struct bytes host;
	uint16_t port;
	bool is_tls;
	struct bytes username, password, auth_method, local_name;
};

struct mail_letter {
	struct bytes tenant;
	uint8_t trace_id[ID_TRACE_BYTES];
	struct bytes from_name, from_address, to_address;
	struct bytes subject, html;
	bool is_rehearsal; /* composed, and dropped: what is not sent takes as long as what is */
};

enum mail_result {
	MAIL_QUEUED,
	MAIL_FULL,   /* the queue, or the tenant's part of it */
	MAIL_INVALID /* an address that no mail server takes */
};

/* For the one who wants to know: tried once, then done. */
struct mail_wait {
	struct loop_message message; /* the module's own */
	struct loop *loop;
	void (*done)(struct mail_wait *wait);
	enum egress_smtp_outcome outcome;
	char reason[EGRESS_SMTP_REASON_MAX];
};

/* wait may be NULL; else done is called when the result is MAIL_QUEUED. */
enum mail_result mail_post(struct mail *mail, const struct mail_server *server,
	const struct mail_letter *letter, struct mail_wait *wait);

/* Letters that wait or are being sent. */
unsigned mail_load(struct mail *mail);

DEFER_DEFINE(struct mail *, mail_close)

#endif
