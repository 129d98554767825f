/* A tenant's settings over HTTP, and a letter to try them. */
#include "letters.h"

#include "egress_smtp.h"
#include "settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX (256u << 10)

void settings_get(void *context)
{
	struct api_request *request = context;
	DEFER(settings_unref) struct settings *settings = settings_ref(request->house->settings);
	struct text_json_writer json;
	struct bytes_buf body;

	bytes_buf_init(&body, ANSWER_MAX);
	text_json_writer_init(&json, &body);
	settings_write(&json, settings);
	request_json_buf(request, 200, &body);
}

static void on_changed(struct settings_change *change)
{
	struct api_request *request = change->context;
	struct bytes data = { 0 };

	switch (change->outcome) {
	case SETTINGS_OK:
		request_json_buf(request, 200, &change->answer);
		return;
	case SETTINGS_INVALID:
		data = (struct bytes){ arena_copy(request->arena, bytes_buf_view(&change->answer)),
			change->answer.n };
		request_refuse_with(request, API_VALIDATION,
			"An error occurred while saving the new settings.",
			data.p ? data : (struct bytes){ 0 });
		break;
	case SETTINGS_BUSY:
		request_refuse_later(request, API_BUSY, NULL, 1);
		break;
	case SETTINGS_FAULT:
		request_fault(request, &change->err);
		break;
	}
	bytes_buf_fini(&change->answer);
}

void settings_patch(void *context)
{
	struct api_request *request = context;
	struct settings_change *change = arena_alloc(request->arena, sizeof *change);

	if (!change) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	if (!request_body_json(request, &change->body))
		return;
	change->book = request->house->settings;
	change->loop = request_loop(request);
	change->done = on_changed;
	change->context = request;
	settings_change(change);
}

/* ---- a letter to try the mail server ---- */

struct trial {
	struct mail_wait wait;
	struct api_request *request;
};

static void on_sent(struct mail_wait *wait)
{
	struct trial *trial = (struct trial *)wait;

	if (wait->outcome == EGRESS_SMTP_SENT) {
		request_no_content(trial->request);
		return;
	}
	struct bytes message = arena_printf(
		trial->request->arena, "Failed to send the test email: %s", wait->reason);
	request_refuse_with(trial->request, API_BAD_REQUEST,
		message.p ? message.p : "Failed to send the test email.", (struct bytes){ 0 });
}

/* The template's place among the letters, or -1. */
static int find_template(struct bytes name)
{
	static const char *const names[RECORD_LETTERS] = { [RECORD_LETTER_VERIFICATION] =
								   "verification",
		[RECORD_LETTER_RESET] = "password-reset",
		[RECORD_LETTER_EMAIL_CHANGE] = "email-change",
		[RECORD_LETTER_ALERT] = "login-alert" };

	for (int i = 0; i < RECORD_LETTERS; i++)
		if (bytes_eq_string(name, names[i]))
			return i;
	return -1;
}

static void post_trial(struct api_request *request, struct trial *trial, struct bytes to,
	const struct record_template *text)
{
	DEFER(settings_unref) struct settings *settings = settings_ref(request->house->settings);
	DEFER(bytes_buf_fini) struct bytes_buf subject, html;
	const struct mail_value values[] = { { BYTES("TOKEN"), BYTES("test_token") },
		{ BYTES("APP_NAME"), settings->meta.app_name },
		{ BYTES("APP_URL"), settings->meta.app_url } };
	struct mail_letter letter =
		letters_fill(request, settings, text, values, 3, &subject, &html);
	const struct mail_server server = letters_server(settings);

	letter.to_address = to;
	if (!settings->smtp.enabled) {
		request_refuse_with(request, API_BAD_REQUEST,
			"Failed to send the test email: the settings have no mail server (smtp).",
			(struct bytes){ 0 });
		return;
	}
	switch (mail_post(request->api->config.mail, &server, &letter, &trial->wait)) {
	case MAIL_QUEUED:
		return;
	case MAIL_FULL:
		request_refuse_later(request, API_BUSY, NULL, 10);
		return;
	case MAIL_INVALID:
		request_refuse_with(request, API_BAD_REQUEST,
			"Failed to send the test email: an address is not one.",
			(struct bytes){ 0 });
		return;
	}
}

void settings_test_email(void *context)
{
	struct api_request *request = context;
	struct trial *trial = arena_alloc(request->arena, sizeof *trial);
	struct record_auth_options options;
	struct bytes body;

	if (!trial) {
		request_refuse(request, API_TOO_LARGE);
		return;
	}
	if (!request_body_json(request, &body))
		return;
	struct bytes to = request_member(request, body, "/email");
	struct bytes collection = request_member(request, body, "/collection");
	int letter = find_template(request_member(request, body, "/template"));
	if (!egress_smtp_address_is_valid(to)) {
		request_refuse_with(request, API_VALIDATION, "Failed to send the test email.",
			request_field_error(request, "email",
				to.n ? "validation_is_email" : "validation_required",
				to.n ? "Must be a valid email address." : "Cannot be blank."));
		return;
	}
	if (letter < 0) {
		request_refuse_with(request, API_VALIDATION, "Failed to send the test email.",
			request_field_error(request, "template", "validation_in_invalid",
				"Must be a valid value."));
		return;
	}
	if (record_auth_options(request->book, collection.n ? collection : BYTES("_superusers"),
		    request->arena, &options) != RECORD_OPTIONS_OK) {
		request_refuse_with(request, API_VALIDATION, "Failed to send the test email.",
			request_field_error(request, "collection", "validation_invalid_collection",
				"Must be a valid auth collection."));
		return;
	}
	trial->request = request;
	trial->wait.loop = request_loop(request);
	trial->wait.done = on_sent;
	post_trial(request, trial, to, &options.letters[letter]);
}

/* ---- what is not there ---- */

static void refuse_absent(struct api_request *request, const char *what)
{
	request_refuse_with(request, API_BAD_REQUEST, what, (struct bytes){ 0 });
}

void settings_test_s3(void *request)
{
	refuse_absent(request, "Files are kept on this server's disk: there is no S3 to test.");
}

void settings_apple(void *request)
{
	refuse_absent(request, "OAuth2 sign-in is not there yet.");
}

void backups_refuse(void *request)
{
	refuse_absent(request, "Backups over the API are not there yet; see docs/operators.md.");
}

void logs_refuse(void *request)
{
	refuse_absent(request, "The journal is proof: nothing of it is cut.");
}

void sql_refuse(void *request)
{
	refuse_absent(request, "SQL of clients would pass every rule by.");
}
