#include "letters.h"

#include "clock.h"
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 6

struct mail_server letters_server(const struct settings *settings)
{
	return (struct mail_server){ .host = settings->smtp.host,
		.port = (uint16_t)settings->smtp.port,
		.is_tls = settings->smtp.tls,
		.username = settings->smtp.username,
		.password = settings->smtp.password,
		.auth_method = settings->smtp.auth_method,
		.local_name = settings->smtp.local_name };
}

struct mail_letter letters_fill(struct api_request *request, const struct settings *settings,
	const struct record_template *text, const struct mail_value *values, size_t n_values,
	struct bytes_buf *subject, struct bytes_buf *html)
{
	struct mail_letter letter = { .tenant = bytes_of(tenant_name(request->tenant)),
		.from_name = settings->meta.sender_name,
		.from_address = settings->meta.sender_address };

	memcpy(letter.trace_id, http_trace_id(request->http), ID_TRACE_BYTES);
	bytes_buf_init(subject, 4 * MAIL_NAME_MAX);
	bytes_buf_init(html, MAIL_BODY_MAX);
	(void)mail_fill(text->subject, values, n_values, false, subject);
	(void)mail_fill(text->html, values, n_values, true, html);
	letter.subject = bytes_buf_view(subject);
	letter.html = bytes_buf_view(html);
	return letter;
}

/* A token for the account that was found; for nobody else one that no account's key opens. */
static struct bytes make_token(struct sign_in *in, const struct letter_order *order, char *out)
{
	static const enum record_token kinds[AUTH_TOKEN_TYPES] = {
		[AUTH_TOKEN_VERIFICATION] = RECORD_TOKEN_VERIFICATION,
		[AUTH_TOKEN_RESET] = RECORD_TOKEN_RESET,
		[AUTH_TOKEN_EMAIL_CHANGE] = RECORD_TOKEN_EMAIL_CHANGE
	};
	struct api_request *request = in->request;
	const struct record_find_auth *find = &in->find;
	bool is_found = find->result == RECORD_FOUND;
	struct auth_identity identity = { .kind = AUTH_USER };

	(void)bytes_to_string(
		bytes_of(tenant_name(request->tenant)), identity.tenant, sizeof identity.tenant);
	(void)bytes_to_string(
		in->options.collection_id, identity.collection_id, sizeof identity.collection_id);
	memcpy(identity.record_id, is_found ? find->record_id : "000000000000000",
		sizeof identity.record_id);
	const struct auth_token token = { .type = order->token,
		.identity = &identity,
		.account_key = is_found ? bytes_of(find->token_key) : BYTES("nobody's"),
		.now_s = clock_wall_us() / 1000000,
		.lifetime_s = in->options.lifetime_s[kinds[order->token]],
		.email = is_found ? bytes_of(find->email) : order->to,
		.new_email = order->new_email };
	return (struct bytes){ out, auth_token_format(request->api->config.auth, &token, out) };
}

void letters_post(struct sign_in *in, const struct letter_order *order, bool is_wanted)
{
	static const char *const kinds[RECORD_LETTERS] = { "verification", "reset", "change",
		"alert" };
	struct api_request *request = in->request;
	const struct record_find_auth *find = &in->find;
	DEFER(settings_unref) struct settings *settings = settings_ref(request->house->settings);
	DEFER(bytes_buf_fini) struct bytes_buf subject, html;
	char token[AUTH_TOKEN_MAX];
	bool is_found = find->result == RECORD_FOUND;
	/* A sender's line is drawn for nobody as well. */
	bool is_due = limits_allow_letter(
		request, kinds[order->letter], is_found ? find->record_id : "nobody");
	struct bytes text = make_token(in, order, token);
	const struct mail_value values[VALUES_MAX] = { { BYTES("TOKEN"), text },
		{ BYTES("APP_NAME"), settings->meta.app_name },
		{ BYTES("APP_URL"), settings->meta.app_url },
		{ BYTES("RECORD:id"), bytes_of(find->record_id) },
		{ BYTES("RECORD:email"), bytes_of(find->email) },
		{ BYTES("RECORD:collectionName"), in->options.collection_name } };
	struct mail_letter letter = letters_fill(request, settings,
		&in->options.letters[order->letter], values, VALUES_MAX, &subject, &html);
	letter.to_address = order->to;
	letter.is_rehearsal = !is_found || !is_wanted || !is_due || !settings->smtp.enabled;
	const struct mail_server server = letters_server(settings);

	/* Whoever asked: a line in the log takes its time too. */
	if (!settings->smtp.enabled)
		log_write(LOG_WARN, &request->api->log, http_trace_id(request->http),
			"a letter was not sent",
			LOG_FIELDS(log_text("tenant", letter.tenant),
				log_string("reason", "the tenant has no mail server")));
	(void)mail_post(request->api->config.mail, &server, &letter, NULL);
	explicit_bzero(token, sizeof token);
	if (html.p)
		explicit_bzero(html.p, html.cap);
}
