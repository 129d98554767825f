/* A letter from any template, any values and any names: it has the headers that we wrote and no
 * other. */
#include <stdlib.h>
#include <string.h>

#include "mail_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Takes the part before the next NUL. */
static struct bytes part(struct bytes *rest)
{
	const char *end = rest->n ? memchr(rest->p, '\0', rest->n) : NULL;
	struct bytes taken = { rest->p, end ? (size_t)(end - rest->p) : rest->n };

	*rest = end ? (struct bytes){ end + 1, rest->n - taken.n - 1 }
		    : (struct bytes){ rest->p, 0 };
	return taken;
}

static unsigned count_headers(const char *text)
{
	unsigned n = 0;

	for (const char *at = text; strncmp(at, "\r\n", 2) != 0; at = strstr(at, "\r\n") + 2)
		n += *at != ' ';
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes rest = { (const char *)data, n };
	struct bytes name = part(&rest), subject = part(&rest), to = part(&rest);
	const struct mail_value values[] = { { BYTES("TOKEN"), name }, { BYTES("A"), subject } };
	struct bytes_buf body, out;

	bytes_buf_init(&body, MAIL_BODY_MAX);
	bytes_buf_init(&out, MAIL_MESSAGE_MAX);
	(void)mail_fill(rest, values, 2, true, &body);
	const struct mail_message message = { .from_name = name,
		.from_address = BYTES("a@b.c"),
		.to_address = to,
		.subject = subject,
		.html = bytes_buf_view(&body),
		.now_s = 1,
		.id = BYTES("x") };
	if (mail_compose(&message, &out)) {
		if (!bytes_buf_append_byte(&out, '\0') || count_headers(out.p) != 9)
			abort();
	}
	bytes_buf_fini(&body);
	bytes_buf_fini(&out);
	return 0;
}
