#include "egress_smtp.h"
#include "mail.h"
#include "mail_message.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

static struct bytes_buf out;

static const char *filled(const char *text, bool is_html)
{
	const struct mail_value values[] = { { BYTES("TOKEN"), BYTES("abc") },
		{ BYTES("NAME"), BYTES("<b>{TOKEN}&") } };

	bytes_buf_fini(&out);
	bytes_buf_init(&out, 4096);
	CU_ASSERT(mail_fill(bytes_of(text), values, 2, is_html, &out));
	(void)bytes_buf_append_byte(&out, '\0');
	return out.p;
}

static void a_template_is_filled_in_one_pass(void)
{
	CU_ASSERT_STRING_EQUAL(filled("x/{TOKEN}/{TOKEN}", false), "x/abc/abc");
	CU_ASSERT_STRING_EQUAL(filled("{NAME}", false), "<b>{TOKEN}&");
	CU_ASSERT_STRING_EQUAL(filled("{{TOKEN}} {OTHER} {TOKEN", false), "{abc} {OTHER} {TOKEN");
	CU_ASSERT_STRING_EQUAL(filled("", false), "");
}

static void a_value_is_no_markup(void)
{
	CU_ASSERT_STRING_EQUAL(filled("<p>{NAME}</p>", true), "<p>&lt;b&gt;{TOKEN}&amp;</p>");
}

static const struct mail_message letter = { .from_name = { "Shop", 4 },
	.from_address = { "shop@example.com", 16 },
	.to_address = { "ada@example.com", 15 },
	.subject = { "Hello", 5 },
	.html = { "<p>Hi</p>", 9 },
	.now_s = 1795443865,
	.id = { "abc", 3 } };

static const char *composed(const struct mail_message *message)
{
	bytes_buf_fini(&out);
	bytes_buf_init(&out, MAIL_MESSAGE_MAX);
	CU_ASSERT(mail_compose(message, &out));
	(void)bytes_buf_append_byte(&out, '\0');
	return out.p;
}

static void a_message_has_what_rfc_5322_asks_for(void)
{
	const char *text = composed(&letter);

	CU_ASSERT_PTR_NOT_NULL(strstr(text, "From: Shop <shop@example.com>\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "To: <ada@example.com>\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Date: Mon, 23 Nov 2026 14:24:25 +0000\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "Message-ID: <abc@example.com>\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\r\n\r\n<p>Hi</p>\r\n"));
}

/* The lines before the first empty one. */
static unsigned count_headers(const char *text)
{
	unsigned n = 0;

	for (const char *at = text; strncmp(at, "\r\n", 2) != 0; at = strstr(at, "\r\n") + 2)
		n += *at != ' ';
	return n;
}

static void no_value_begins_a_header(void)
{
	static const char *const hostile[] = { "a\r\nBcc: eve@example.com",
		"a\nBcc: eve@example.com", "a\r\n\r\n<script>", "\"<>@,;:\\()[]", "\xff\xfe\r\n",
		"\xe4\xb8\xad\xe6\x96\x87", "=?UTF-8?Q?=0D=0ABcc?=" };
	unsigned n_headers = count_headers(composed(&letter));

	for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
		struct mail_message message = letter;
		message.subject = message.from_name = bytes_of(hostile[i]);
		CU_ASSERT_EQUAL(count_headers(composed(&message)), n_headers);
		CU_ASSERT_PTR_NULL(strstr(out.p, "Bcc: "));
		message = letter;
		message.to_address = bytes_of(hostile[i]);
		CU_ASSERT(!mail_compose(&message, &out));
	}
}

static void lines_are_short_and_whole(void)
{
	char text[2000];
	struct mail_message message = letter;

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)(i % 256);
	message.html = (struct bytes){ text, sizeof text };
	message.subject = (struct bytes){ text, 200 };
	(void)composed(&message);
	for (const char *at = out.p; *at;) {
		const char *end = strstr(at, "\r\n");
		CU_ASSERT_PTR_NOT_NULL_FATAL(end);
		CU_ASSERT(end - at <= 78);
		at = end + 2;
	}
}

static void addresses_that_could_say_more_are_none(void)
{
	static const char *const bad[] = { "", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nDATA",
		"<a@b>", "a@b,c@d", "\xc3\xa4@b.c", "a\\@b" };

	CU_ASSERT(egress_smtp_address_is_valid(BYTES("o'brien+x@mail.example.com")));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		CU_ASSERT(!egress_smtp_address_is_valid(bytes_of(bad[i])));
	CU_ASSERT(egress_smtp_host_is_valid(BYTES("mail.example.com")));
	CU_ASSERT(!egress_smtp_host_is_valid(BYTES("a/b")));
	CU_ASSERT(!egress_smtp_host_is_valid(BYTES("user@host")));
}

/* ---- the queue ---- */

static struct mail_wait wait;

static void stop(struct mail_wait *ended)
{
	loop_stop(ended->loop);
}

static void a_private_mail_server_is_refused_unless_allowed(void)
{
	const struct mail_server server = { .host = BYTES("127.0.0.1"), .port = 1 };
	const struct mail_letter to = { .tenant = BYTES("shop"),
		.from_address = letter.from_address,
		.to_address = letter.to_address,
		.subject = letter.subject,
		.html = letter.html };
	struct egress_range range;
	struct loop *loop = NULL;

	CU_ASSERT_EQUAL_FATAL(loop_new(0, &loop, NULL), 0);
	CU_ASSERT_FATAL(egress_range_parse(BYTES("127.0.0.1/32:1"), &range));
	for (size_t n_allowed = 0; n_allowed < 2; n_allowed++) {
		const struct mail_config config = { .allowed = &range, .n_allowed = n_allowed };
		struct mail *mail = NULL;
		CU_ASSERT_EQUAL_FATAL(mail_open(&config, &mail, NULL), 0);
		wait = (struct mail_wait){ .loop = loop, .done = stop };
		CU_ASSERT_EQUAL(mail_post(mail, &server, &to, &wait), MAIL_QUEUED);
		CU_ASSERT_EQUAL(loop_run(loop, NULL), 0);
		/* Allowed, it is tried; nobody listens there. */
		CU_ASSERT_EQUAL(wait.outcome, n_allowed ? EGRESS_SMTP_LATER : EGRESS_SMTP_REFUSED);
		CU_ASSERT_EQUAL(mail_load(mail), 0);
		mail_close(mail);
	}
	loop_free(loop);
}

static void a_tenant_fills_its_own_part_of_the_queue(void)
{
	const struct mail_server server = { .host = BYTES("127.0.0.1"), .port = 1 };
	struct mail_letter to = { .tenant = BYTES("shop"),
		.from_address = letter.from_address,
		.to_address = letter.to_address,
		.subject = letter.subject,
		.html = letter.html };
	struct egress_range range;
	struct mail *mail = NULL;
	unsigned n_queued = 0;

	/* Each is put off for a minute, so they pile up. */
	CU_ASSERT_FATAL(egress_range_parse(BYTES("127.0.0.1/32:1"), &range));
	const struct mail_config config = { .allowed = &range, .n_allowed = 1, .retry_ms = 60000 };
	CU_ASSERT_EQUAL_FATAL(mail_open(&config, &mail, NULL), 0);
	for (int i = 0; i < 100; i++)
		n_queued += mail_post(mail, &server, &to, NULL) == MAIL_QUEUED;
	CU_ASSERT_EQUAL(n_queued, 32);
	to.tenant = BYTES("bank");
	CU_ASSERT_EQUAL(mail_post(mail, &server, &to, NULL), MAIL_QUEUED);
	to.to_address = BYTES("nobody");
	CU_ASSERT_EQUAL(mail_post(mail, &server, &to, NULL), MAIL_INVALID);
	mail_close(mail);
	bytes_buf_fini(&out);
}

static const struct unit_test tests[] = {
	UNIT(a_template_is_filled_in_one_pass),
	UNIT(a_value_is_no_markup),
	UNIT(a_message_has_what_rfc_5322_asks_for),
	UNIT(no_value_begins_a_header),
	UNIT(lines_are_short_and_whole),
	UNIT(addresses_that_could_say_more_are_none),
	UNIT(a_private_mail_server_is_refused_unless_allowed),
	UNIT(a_tenant_fills_its_own_part_of_the_queue),
};

UNIT_MAIN("mail", tests)
