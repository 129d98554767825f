#include "auth_texts.h"

/* A subject and a body as a struct record_template. */
#define LETTER(title, text)                                                                        \
	{                                                                                          \
		{ title, sizeof(title) - 1 },                                                      \
		{                                                                                  \
			text, sizeof(text) - 1                                                     \
		}                                                                                  \
	}
#define LINK(page, words)                                                                          \
	"<p><a href=\"{APP_URL}/auth/" page "/{TOKEN}\" rel=\"noopener\">" words "</a></p>\n"
#define END "<p>{APP_NAME}</p>"

const struct record_template auth_texts[RECORD_LETTERS] = {
	[RECORD_LETTER_VERIFICATION] = LETTER("{APP_NAME}: is this your address?",
		"<p>Somebody, we think you, has an account at {APP_NAME} with this "
		"address.</p>\n" LINK("confirm-verification", "Yes, this is my address") END),
	[RECORD_LETTER_RESET] = LETTER("{APP_NAME}: a new password",
		"<p>Here you can choose a new password for your account at {APP_NAME}.</p>\n" LINK(
			"confirm-password-reset", "Choose a new password") "<p>If you did not ask "
									   "for it, leave this "
									   "letter alone: your "
									   "password stays as it "
									   "is.</p>\n" END),
	[RECORD_LETTER_EMAIL_CHANGE] = LETTER("{APP_NAME}: your new address",
		"<p>From now on {APP_NAME} would know you by this address.</p>\n" LINK(
			"confirm-email-change", "Use this address") "<p>If you did not ask for it, "
								    "leave this letter "
								    "alone.</p>\n" END),
	[RECORD_LETTER_ALERT] = LETTER("{APP_NAME}: a sign-in from a new place",
		"<p>Somebody signed in to your account at {APP_NAME} from a place that is new to "
		"us.</p>\n<p>If it was not you, change your password at once: it ends every "
		"session.</p>\n" END),
};
