/* tenon token create: an API key of a tenant, made from the machine that runs the server. */
#include "args.h"
#include "client.h"
#include "commands.h"

#include "text_json_reader.h"
#include "text_json_writer.h"

#include <stdio.h>
#include <string.h>

#define BODY_MAX   8192
#define ANSWER_MAX (64 * 1024)

enum {
	OPTION_DATA,
	OPTION_JSON,
	OPTION_TENANT,
	OPTION_NAME,
	OPTION_SCOPE,
	OPTION_EXPIRES,
	OPTION_AS,
	OPTIONS
};

/* "90" or "90d" days. */
static bool parse_days(const char *text, uint64_t *ret)
{
	struct bytes days = bytes_of(text);

	if (days.n > 1 && days.p[days.n - 1] == 'd')
		days.n--;
	return bytes_parse_u64(days, 3650, ret);
}

static void write_scopes(struct text_json_writer *json, const char *text)
{
	text_json_write_key(json, BYTES("scopes"));
	text_json_begin_array(json);
	while (*text) {
		size_t n = strcspn(text, " ");
		if (n > 0)
			text_json_write_string(json, (struct bytes){ text, n });
		text += n + (text[n] == ' ');
	}
	text_json_end_array(json);
}

/* False when "users/0123..." is not that. */
static bool write_owner(struct text_json_writer *json, const char *as)
{
	const char *slash = as ? strchr(as, '/') : NULL;

	if (!as)
		return true;
	if (!slash || slash == as || !slash[1])
		return false;
	text_json_write_key(json, BYTES("collection"));
	text_json_write_string(json, (struct bytes){ as, (size_t)(slash - as) });
	text_json_write_key(json, BYTES("recordId"));
	text_json_write_string(json, bytes_of(slash + 1));
	return true;
}

static bool write_body(struct text_json_writer *json, const struct args_option *options)
{
	uint64_t days;

	if (!parse_days(options[OPTION_EXPIRES].value, &days))
		return false;
	text_json_begin_object(json);
	text_json_write_key(json, BYTES("name"));
	text_json_write_string(json, bytes_of(options[OPTION_NAME].value));
	write_scopes(json, options[OPTION_SCOPE].value);
	text_json_write_key(json, BYTES("expiresInDays"));
	text_json_write_uint64(json, days);
	bool is_good = write_owner(json, options[OPTION_AS].value);
	text_json_end_object(json);
	return is_good && text_json_write_done(json);
}

static int create(const struct args_option *options, struct bytes body)
{
	DEFER(bytes_buf_fini) struct bytes_buf answer;
	struct client client = { 0 };
	struct err err = { 0 };
	struct bytes key;
	char path[256];

	bytes_buf_init(&answer, ANSWER_MAX);
	(void)snprintf(
		path, sizeof path, "/platform/tenants/%s/keys", options[OPTION_TENANT].value);
	if (client_open(options[OPTION_DATA].value, options[OPTION_JSON].value != NULL, &client,
		    &err) < 0) {
		fprintf(stderr, "tenon: %s\n", err.message);
		return 1;
	}
	int status = client_ask(&client, "POST", path, body, &answer);
	if (status == 0 && client.wants_json)
		client_print(&client, bytes_buf_view(&answer), NULL, 0);
	else if (status == 0 &&
		 text_json_find(bytes_buf_view(&answer), BYTES("/key"), &key) == TEXT_JSON_FOUND)
		/* Alone on its line, so that a script can take it. */
		printf("%.*s\n", (int)key.n - 2, key.p + 1);
	client_close(&client);
	return status;
}

int command_token(int argc, char **argv)
{
	struct args_option options[OPTIONS] = {
		[OPTION_DATA] = { "--data", "DIR", "the server's data folder", "tenon-data" },
		[OPTION_JSON] = { "--json", NULL, "print the answer as JSON", NULL },
		[OPTION_TENANT] = { "--tenant", "T", "the tenant", "default" },
		[OPTION_NAME] = { "--name", "TEXT", "what the key is for", "made by tenon token" },
		[OPTION_SCOPE] = { "--scope", "S",
			"what it may do, separated by spaces: all, records:COLLECTION:ACTIONS, "
			"plugins:ID, read:settings|logs|collections",
			NULL },
		[OPTION_EXPIRES] = { "--expires", "D", "days until it ends; 0: never", "90" },
		[OPTION_AS] = { "--as", "COLLECTION/ID",
			"the account it acts for; without: a superuser", NULL },
	};
	DEFER(bytes_buf_fini) struct bytes_buf body;
	struct text_json_writer json;
	struct args args;

	if (!args_parse(argc, argv, options, OPTIONS, &args))
		return 2;
	bytes_buf_init(&body, BODY_MAX);
	text_json_writer_init(&json, &body);
	bool is_create = args.n_words == 1 && strcmp(args.words[0], "create") == 0;
	if (args.wants_help || !is_create || !options[OPTION_SCOPE].value ||
		!write_body(&json, options)) {
		fprintf(args.wants_help ? stdout : stderr,
			"usage: tenon token create --scope S [--expires D] [--tenant T]\n"
			"Makes an API key and prints it, this once. Revoke it with DELETE "
			"/api/keys/{id}.\n");
		args_print(options, OPTIONS);
		return args.wants_help ? 0 : 2;
	}
	return create(options, bytes_buf_view(&body));
}
