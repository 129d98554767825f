/*
 * mail_message.h - what a letter says: templates filled in, and the bytes that SMTP carries
 *
 * A template has placeholders, {TOKEN}, {APP_NAME}; they are replaced in one pass, so that what a
 * value brings is never read as a placeholder again, and escaped for HTML where the text is HTML.
 * In the message every header value is printable ASCII or an encoded word: whatever a name or a
 * subject holds, it cannot begin another header or the body.
 *
 * Threads: all functions from any thread. Memory: the caller's.
 */
#ifndef MAIL_MAIL_MESSAGE_H
#define MAIL_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"

#define MAIL_NAME_MAX    255   /* bytes of a name or a subject */
#define MAIL_BODY_MAX    65536 /* of a body, filled in */
#define MAIL_MESSAGE_MAX (4 * MAIL_BODY_MAX)

struct mail_value {
	struct bytes name; /* without braces: "TOKEN" */
	struct bytes value;
};

/* Appends text with the placeholders of values replaced; others stay as they are. False when out is
 * full. */
bool mail_fill(struct bytes text, const struct mail_value *values, size_t n_values, bool is_html,
	struct bytes_buf *out);

struct mail_message {
	struct bytes from_name,
		from_address; /* addresses that egress_smtp_address_is_valid takes */
	struct bytes to_address;
	struct bytes subject;
	struct bytes html;
	int64_t now_s;   /* wall clock */
	struct bytes id; /* unique, of [a-z0-9] */
};

/* Appends the message as RFC 5322 has it, quoted-printable, lines ended by CR LF. False when an
 * address is none or out is full. */
bool mail_compose(const struct mail_message *message, struct bytes_buf *out);

#endif
