/*
 * letters.h - a letter to an account, with a token in it; or the work of one without the letter
 */
#ifndef API_LETTERS_H
#define API_LETTERS_H

#include "sign_in.h"

#include "mail_message.h"
#include "settings.h"

struct letter_order {
	enum record_letter letter;
	enum auth_token_type token;
	struct bytes to, new_email;
};

/* Posts the letter when in->find has found somebody, is_wanted says so, the tenant has a mail
 * server and none of this kind went to the account lately. Else it does the same work for nobody,
 * so that the time tells nothing. */
void letters_post(struct sign_in *in, const struct letter_order *order, bool is_wanted);

/* The tenant's mail server, out of its settings. */
struct mail_server letters_server(const struct settings *settings);
/* A letter from what a template says; html and subject are filled in and appended to the buffers,
 * which outlive the letter. */
struct mail_letter letters_fill(struct api_request *request, const struct settings *settings,
	const struct record_template *text, const struct mail_value *values, size_t n_values,
	struct bytes_buf *subject, struct bytes_buf *html);

#endif
