#include "config_value.h"

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first, so that formatting takes the first one that divides. */
static const struct unit units_of_bytes[] = { { "GiB", 1ull << 30 }, { "MiB", 1ull << 20 },
	{ "KiB", 1ull << 10 }, { "B", 1 }, { NULL, 0 } };
static const struct unit units_of_time[] = { { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 },
	{ "s", 1000 }, { "ms", 1 }, { NULL, 0 } };
static const struct unit no_units[] = { { NULL, 0 } };

static const struct unit *units_of(enum config_type type)
{
	if (type == CONFIG_BYTES)
		return units_of_bytes;
	return type == CONFIG_DURATION ? units_of_time : no_units;
}

bool config_value_parse(enum config_type type, struct bytes text, int64_t *ret)
{
	bool is_negative = type == CONFIG_INTEGER && text.n > 0 && text.p[0] == '-';
	size_t n_digits = 0;
	uint64_t number, factor = 1;

	if (is_negative)
		text = (struct bytes){ text.p + 1, text.n - 1 };
	while (n_digits < text.n && text.p[n_digits] >= '0' && text.p[n_digits] <= '9')
		n_digits++;
	if (!bytes_parse_u64((struct bytes){ text.p, n_digits }, INT64_MAX, &number))
		return false;
	struct bytes rest = { text.p + n_digits, text.n - n_digits };
	if (rest.n > 1 && rest.p[0] == ' ')
		rest = (struct bytes){ rest.p + 1, rest.n - 1 };
	if (rest.n > 0) {
		const struct unit *unit = units_of(type);
		while (unit->name && !bytes_eq_string(rest, unit->name))
			unit++;
		if (!unit->name)
			return false;
		factor = unit->factor;
	}
	if (number > (uint64_t)INT64_MAX / factor)
		return false;
	*ret = is_negative ? -(int64_t)number : (int64_t)(number * factor);
	return true;
}

void config_value_format(enum config_type type, int64_t number, struct bytes_buf *out)
{
	const struct unit *unit = units_of(type);

	while (unit->name && (number == 0 || number % (int64_t)unit->factor != 0))
		unit++;
	if (unit->name)
		bytes_buf_appendf(
			out, "%lld %s", (long long)(number / (int64_t)unit->factor), unit->name);
	else
		bytes_buf_appendf(out, "%lld", (long long)number);
}
