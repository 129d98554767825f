/*
 * macro.c - @now and its kin: one instant for a whole request, in UTC
 */
#include <time.h>

#include "clock.h"
#include "plan.h"

#define DAY_US (86400 * INT64_C(1000000))

enum macro_kind {
	MACRO_TIME,
	MACRO_SECOND,
	MACRO_MINUTE,
	MACRO_HOUR,
	MACRO_WEEKDAY,
	MACRO_DAY,
	MACRO_MONTH,
	MACRO_YEAR,
	MACRO_START,
	MACRO_END
};

static const struct macro {
	const char *name;
	enum macro_kind kind;
	int64_t shift_us; /* of TIME */
	char unit;        /* of START and END: d, m, y */
} macros[] = {
	{ "@now", MACRO_TIME, 0, 0 },
	{ "@yesterday", MACRO_TIME, -DAY_US, 0 },
	{ "@tomorrow", MACRO_TIME, DAY_US, 0 },
	{ "@second", MACRO_SECOND, 0, 0 },
	{ "@minute", MACRO_MINUTE, 0, 0 },
	{ "@hour", MACRO_HOUR, 0, 0 },
	{ "@weekday", MACRO_WEEKDAY, 0, 0 },
	{ "@day", MACRO_DAY, 0, 0 },
	{ "@month", MACRO_MONTH, 0, 0 },
	{ "@year", MACRO_YEAR, 0, 0 },
	{ "@todayStart", MACRO_START, 0, 'd' },
	{ "@todayEnd", MACRO_END, 0, 'd' },
	{ "@monthStart", MACRO_START, 0, 'm' },
	{ "@monthEnd", MACRO_END, 0, 'm' },
	{ "@yearStart", MACRO_START, 0, 'y' },
	{ "@yearEnd", MACRO_END, 0, 'y' },
};

static const struct macro *find_macro(struct bytes name)
{
	for (size_t i = 0; i < sizeof(macros) / sizeof(macros[0]); i++)
		if (bytes_eq_string(name, macros[i].name))
			return &macros[i];
	return NULL;
}

bool macro_is_known(struct bytes name)
{
	return find_macro(name) != NULL;
}

/* The first moment of the day, month or year, or the last (is_end). */
static int64_t boundary(struct tm tm, char unit, bool is_end)
{
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	if (unit != 'd')
		tm.tm_mday = 1;
	if (unit == 'y')
		tm.tm_mon = 0;
	if (is_end) {
		tm.tm_mday += unit == 'd';
		tm.tm_mon += unit == 'm';
		tm.tm_year += unit == 'y';
	}
	return (int64_t)timegm(&tm) * 1000000 - (is_end ? 1000 : 0);
}

static int part_of(enum macro_kind kind, const struct tm *tm)
{
	switch (kind) {
	case MACRO_SECOND:
		return tm->tm_sec;
	case MACRO_MINUTE:
		return tm->tm_min;
	case MACRO_HOUR:
		return tm->tm_hour;
	case MACRO_WEEKDAY:
		return tm->tm_wday;
	case MACRO_DAY:
		return tm->tm_mday;
	case MACRO_MONTH:
		return tm->tm_mon + 1;
	default:
		return tm->tm_year + 1900;
	}
}

bool macro_value(struct bytes name, int64_t now_us, struct arena *arena, struct expr_value *ret)
{
	const struct macro *macro = find_macro(name);
	time_t now = (time_t)(now_us / 1000000);
	struct tm tm;
	*ret = (struct expr_value){ 0 };
	if (!macro)
		return false;
	gmtime_r(&now, &tm);
	bool is_boundary = macro->kind == MACRO_START || macro->kind == MACRO_END;
	if (macro->kind != MACRO_TIME && !is_boundary) {
		ret->type = EXPR_VALUE_INTEGER;
		ret->integer = part_of(macro->kind, &tm);
		return true;
	}
	char *text = arena_alloc(arena, CLOCK_TEXT_BYTES);
	if (!text)
		return false;
	clock_format(is_boundary ? boundary(tm, macro->unit, macro->kind == MACRO_END)
				 : now_us + macro->shift_us,
		text);
	ret->type = EXPR_VALUE_TEXT;
	ret->text = bytes_of(text);
	return true;
}
