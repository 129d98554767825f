/*
 * settings_limits.c - the list of rate limits
 *
 * On from the start are those of what costs others: signing in, which takes 64 MiB and a core for a
 * while, letters, and batches. Superusers are never limited.
 */
#include "internal.h"

#include <ctype.h>
#include <string.h>

#define LABEL_MAX      120
#define REQUESTS_MAX   1000000
#define DURATION_MAX_S 86400

static const char *const audiences[] = { "", "@guest", "@auth" };

static const struct settings_limit defaults[] = {
	{ { "*:auth", 6 }, 2, 3, SETTINGS_ANYONE },
	{ { "*:mail", 6 }, 5, 60, SETTINGS_ANYONE },
	{ { "/api/batch", 10 }, 3, 1, SETTINGS_ANYONE },
};

int settings_default_limits(struct settings *settings, struct err *err)
{
	size_t n = sizeof defaults / sizeof defaults[0];

	settings->limits.rules = arena_alloc(settings->arena, sizeof defaults);
	if (!settings->limits.rules)
		return ERR_SET(err, ERR_NOMEM, "no memory for settings");
	memcpy(settings->limits.rules, defaults, sizeof defaults);
	settings->limits.n_rules = n;
	return 0;
}

/* "*:create", "posts:create", "/api/", "POST /api/batch". */
static bool is_label(struct bytes label)
{
	if (label.n == 0 || label.n > LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!isalnum((unsigned char)label.p[i]) && !strchr("*:/_-. {}", label.p[i]))
			return false;
	const char *colon = memchr(label.p, ':', label.n);
	if (!memchr(label.p, '/', label.n))
		return colon && colon > label.p && colon < label.p + label.n - 1;
	const char *space = memchr(label.p, ' ', label.n);
	struct bytes path = label;
	if (space)
		path = (struct bytes){ space + 1, label.n - (size_t)(space + 1 - label.p) };
	return path.n > 0 && path.p[0] == '/';
}

/* NULL, or the code of what is wrong. */
static const char *read_limit(const struct json *value, struct arena *arena,
	struct settings_limit *ret, const char **ret_message)
{
	struct bytes label = { 0 }, audience = { "", 0 };

	*ret_message = "A label names an action (*:auth, posts:create) or a path (/api/batch).";
	if (!json_as_string(json_get(value, "label"), &label) || !is_label(label))
		return "validation_match_invalid";
	*ret_message = "maxRequests is from 1 to 1000000, duration from 1 to 86400 seconds.";
	if (!json_as_int64(json_get(value, "maxRequests"), &ret->max_requests) ||
		!json_as_int64(json_get(value, "duration"), &ret->duration_s) ||
		ret->max_requests < 1 || ret->max_requests > REQUESTS_MAX || ret->duration_s < 1 ||
		ret->duration_s > DURATION_MAX_S)
		return "validation_min_greater_equal_than_required";
	*ret_message = "audience is empty, @guest or @auth.";
	(void)json_as_string(json_get(value, "audience"), &audience);
	int i = 0;
	while (i < 3 && !bytes_eq_string(audience, audiences[i]))
		i++;
	if (i == 3)
		return "validation_in_invalid";
	ret->audience = (enum settings_audience)i;
	ret->label = (struct bytes){ arena_copy(arena, label), label.n };
	*ret_message = "Too many rules.";
	return ret->label.p ? NULL : "validation_length_out_of_range";
}

int settings_take_limits(struct settings *settings, const struct json *rules,
	struct settings_problems *problems, struct err *err)
{
	size_t n = json_count(rules);
	const char *message = "At most 64 rules are taken.";
	const char *code = NULL;

	if (json_kind(rules) != JSON_ARRAY || n > SETTINGS_RULES_MAX) {
		settings_problem(
			problems, "rateLimits", "rules", "validation_length_out_of_range", message);
		return 0;
	}
	struct settings_limit *list = arena_alloc(settings->arena, (n + 1) * sizeof *list);
	if (!list)
		return ERR_SET(err, ERR_NOMEM, "no memory for settings");
	for (size_t i = 0; i < n && !code; i++)
		code = read_limit(json_at(rules, i), settings->arena, &list[i], &message);
	for (size_t i = 0; i < n && !code; i++)
		for (size_t j = 0; j < i && !code; j++)
			if (bytes_eq(list[i].label, list[j].label) &&
				list[i].audience == list[j].audience) {
				code = "validation_conflicting_rate_limit_rule";
				message = "Two rules have the same label and audience.";
			}
	if (code) {
		settings_problem(problems, "rateLimits", "rules", code, message);
		return 0;
	}
	settings->limits.rules = list;
	settings->limits.n_rules = n;
	return 0;
}

void settings_write_limits(struct text_json_writer *json, const struct settings *settings)
{
	text_json_begin_array(json);
	for (size_t i = 0; i < settings->limits.n_rules; i++) {
		const struct settings_limit *rule = &settings->limits.rules[i];
		text_json_begin_object(json);
		text_json_write_key(json, BYTES("label"));
		text_json_write_string(json, rule->label);
		text_json_write_key(json, BYTES("audience"));
		text_json_write_string(json, bytes_of(audiences[rule->audience]));
		text_json_write_key(json, BYTES("duration"));
		text_json_write_int64(json, rule->duration_s);
		text_json_write_key(json, BYTES("maxRequests"));
		text_json_write_int64(json, rule->max_requests);
		text_json_end_object(json);
	}
	text_json_end_array(json);
}
