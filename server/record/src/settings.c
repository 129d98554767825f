/*
 * settings.c - whether the options of a field fit one another, with the codes of PocketBase
 */
#include <math.h>
#include <string.h>

#include "change.h"

#define SAFE_INT_MAX ((INT64_C(1) << 53) - 1) /* what a JSON number holds without loss */
#define ID_MAX       100
#define PASSWORD_TOP 71
#define COST_MIN     4
#define COST_MAX     31

/* One field among the others of its change. */
struct place {
	struct flaws *flaws;
	long index;
	const struct record_field *field;
};

static void add(const struct place *at, const char *option, const char *code, const char *message)
{
	flaws_add(at->flaws, "fields", at->index, option, code, "%s", message);
}

static void check_at_least(const struct place *at, const char *option, int64_t value, int64_t least)
{
	if (value >= least)
		return;
	flaws_add(at->flaws, "fields", at->index, option,
		"validation_min_greater_equal_than_required", "Must be no less than %lld.",
		(long long)least);
	flaws_params(at->flaws, "{\"threshold\":%lld}", (long long)least);
}

static void check_at_most(const struct place *at, const char *option, int64_t value, int64_t most)
{
	if (value <= most)
		return;
	flaws_add(at->flaws, "fields", at->index, option, "validation_max_less_equal_than_required",
		"Must be no greater than %lld.", (long long)most);
	flaws_params(at->flaws, "{\"threshold\":%lld}", (long long)most);
}

static void check_length(const struct place *at, const char *option, struct bytes text, int max)
{
	if (text.n <= (size_t)max)
		return;
	flaws_add(at->flaws, "fields", at->index, option, "validation_length_out_of_range",
		"The length must be between 1 and %d.", max);
	flaws_params(at->flaws, "{\"max\":%d,\"min\":1}", max);
}

static bool has_via(struct bytes name)
{
	for (size_t i = 0; i + 5 <= name.n; i++)
		if (bytes_eq_nocase((struct bytes){ name.p + i, 5 }, BYTES("_via_")))
			return true;
	return false;
}

static void check_name(const struct place *at)
{
	struct bytes name = at->field->name;
	if (!name.n)
		add(at, "name", "validation_required", "Cannot be blank.");
	else if (name.n > NAME_MAX_BYTES)
		check_length(at, "name", name, NAME_MAX_BYTES);
	else if (name_is_reserved(name))
		add(at, "name", "validation_not_in_invalid", "Must not be in list.");
	else if (!name_is_valid(name))
		add(at, "name", "validation_match_invalid",
			"Must be in a valid format: a letter, then letters, digits and '_'.");
	else if (has_via(name))
		add(at, "name", "validation_found_via", "The value cannot contain \"_via_\".");
}

/* 0 stands for "not said" of a count. */
static void check_counts(const struct place *at, const char *min, const char *max)
{
	const struct record_field *field = at->field;
	check_at_least(at, min, field->min, 0);
	check_at_most(at, min, field->min, SAFE_INT_MAX);
	if (field->max)
		check_at_least(at, max, field->max, field->min > 0 ? field->min : 0);
	check_at_most(at, max, field->max, SAFE_INT_MAX);
}

static void check_number(const struct place *at)
{
	const struct record_field *field = at->field;
	bool is_min_bad = field->has_min && field->min_number != trunc(field->min_number);
	bool is_max_bad = field->has_max && field->max_number != trunc(field->max_number);
	if (field->only_int && is_min_bad)
		add(at, "min", "validation_only_int_constraint",
			"Decimal numbers are not allowed.");
	if (field->only_int && is_max_bad)
		add(at, "max", "validation_only_int_constraint",
			"Decimal numbers are not allowed.");
	if (field->has_min && field->has_max && field->max_number < field->min_number)
		flaws_add(at->flaws, "fields", at->index, "max",
			"validation_min_greater_equal_than_required", "Must be no less than %g.",
			field->min_number);
}

static void check_date(const struct place *at)
{
	char min[CLOCK_TEXT_BYTES], max[CLOCK_TEXT_BYTES];
	const struct record_field *field = at->field;
	bool has_min = field->min_date.n > 0, has_max = field->max_date.n > 0;
	bool is_min = has_min && value_parse_date(field->min_date, min);
	bool is_max = has_max && value_parse_date(field->max_date, max);
	if (has_min && !is_min)
		add(at, "min", "validation_invalid_date", "Must be a valid date.");
	if (has_max && !is_max)
		add(at, "max", "validation_invalid_date", "Must be a valid date.");
	if (is_min && is_max && strcmp(max, min) < 0)
		flaws_add(at->flaws, "fields", at->index, "max",
			"validation_min_greater_equal_than_required", "Must be no less than %s.",
			min);
}

static void check_domains(const struct place *at)
{
	/* Either list alone: with both, nobody could say what holds. */
	if (at->field->only_domains.n && at->field->except_domains.n) {
		add(at, "exceptDomains", "validation_empty", "Must be blank.");
		add(at, "onlyDomains", "validation_empty", "Must be blank.");
	}
}

static void check_select(const struct place *at)
{
	int64_t n = (int64_t)at->field->values.n;
	if (!n)
		add(at, "values", "validation_required", "Cannot be blank.");
	check_at_least(at, "maxSelect", at->field->max, 0);
	check_at_most(at, "maxSelect", at->field->max, n ? n : 1);
}

static void check_relation(const struct place *at)
{
	const struct record_field *field = at->field;
	if (!field->collection_id.n)
		add(at, "collectionId", "validation_required", "Cannot be blank.");
	check_at_least(at, "minSelect", field->min, 0);
	if (field->min > 0 && !field->max)
		add(at, "maxSelect", "validation_required", "Cannot be blank.");
	else
		check_at_least(at, "maxSelect", field->max, field->min > 0 ? field->min : 0);
}

/* "100x300", "0x300", "100x0", and with t, b or f behind it. */
static bool is_thumb_size(struct bytes text)
{
	uint64_t width, height;
	const char *x = text.n ? memchr(text.p, 'x', text.n) : NULL;
	if (!x)
		return false;
	struct bytes second = { x + 1, text.n - (size_t)(x + 1 - text.p) };
	if (second.n && strchr("tbf", second.p[second.n - 1]))
		second.n--;
	return bytes_parse_u64((struct bytes){ text.p, (size_t)(x - text.p) }, 99999, &width) &&
	       bytes_parse_u64(second, 99999, &height) && (width || height);
}

static void check_file(const struct place *at)
{
	const struct record_field *field = at->field;
	check_at_least(at, "maxSelect", field->max, 0);
	check_at_most(at, "maxSelect", field->max, SAFE_INT_MAX);
	check_at_least(at, "maxSize", field->max_size, 0);
	check_at_most(at, "maxSize", field->max_size, SAFE_INT_MAX);
	for (size_t i = 0; i < field->thumbs.n; i++)
		if (!is_thumb_size(field->thumbs.items[i])) {
			add(at, "thumbs", "validation_match_invalid",
				"Must be in a valid format: WxH, WxHt, WxHb, WxHf, 0xH or Wx0.");
			return;
		}
}

static void check_password(const struct place *at)
{
	const struct record_field *field = at->field;
	check_at_least(at, "min", field->min, 0);
	check_at_most(at, "min", field->min, PASSWORD_TOP);
	if (field->max)
		check_at_least(at, "max", field->max, field->min > 0 ? field->min : 0);
	check_at_most(at, "max", field->max, PASSWORD_TOP);
	if (field->cost) {
		check_at_least(at, "cost", field->cost, COST_MIN);
		check_at_most(at, "cost", field->cost, COST_MAX);
	}
}

void change_check_field(struct change *change, size_t index)
{
	const struct place at = { &change->flaws, (long)index, &change->fields[index] };
	check_name(&at);
	check_length(&at, "id", at.field->id, ID_MAX);
	switch (at.field->type) {
	case FIELD_TEXT:
		check_counts(&at, "min", "max");
		break;
	case FIELD_NUMBER:
		check_number(&at);
		break;
	case FIELD_DATE:
		check_date(&at);
		break;
	case FIELD_EMAIL:
	case FIELD_URL:
		check_domains(&at);
		break;
	case FIELD_SELECT:
		check_select(&at);
		break;
	case FIELD_RELATION:
		check_relation(&at);
		break;
	case FIELD_FILE:
		check_file(&at);
		break;
	case FIELD_JSON:
	case FIELD_EDITOR:
		check_at_least(&at, "maxSize", at.field->max, 0);
		check_at_most(&at, "maxSize", at.field->max, SAFE_INT_MAX);
		break;
	case FIELD_AUTODATE:
		if (!at.field->on_create && !at.field->on_update) {
			add(&at, "onCreate", "validation_required",
				"Either onCreate or onUpdate must be enabled.");
			add(&at, "onUpdate", "validation_required",
				"Either onCreate or onUpdate must be enabled.");
		}
		break;
	case FIELD_PASSWORD:
		check_password(&at);
		break;
	default:
		break;
	}
}
