/*
 * internal.h - what the files of the module share
 */
#ifndef SETTINGS_INTERNAL_H
#define SETTINGS_INTERNAL_H

#include "json.h"
#include "settings.h"

#define GROUP_MAX (64u << 10) /* bytes of one group's JSON */

/* {"group":{"field":{"code":..,"message":..}}} in the making; one for each group at most. */
struct settings_problems {
	struct text_json_writer writer;
	size_t n;
};
void settings_problem(struct settings_problems *problems, const char *group, const char *name,
	const char *code, const char *message);

/* ---- settings_rows.c: one row for each setting ---- */
enum row_type { ROW_BOOL, ROW_NUMBER, ROW_TEXT, ROW_CHOICE, ROW_SECRET, ROW_LIMITS };
enum row_check { CHECK_NONE, CHECK_REQUIRED, CHECK_EMAIL, CHECK_URL, CHECK_HOST };

struct settings_row {
	const char *group, *name;
	enum row_type type;
	size_t offset;
	int64_t min, max;    /* of a number; max bytes of a text */
	const char *initial; /* as JSON, without the quotation marks of a text */
	enum row_check check;
	const char *enabled_by; /* the check holds while this bool of the group is true; may be NULL
				 */
	const char *choices[4];
};
extern const struct settings_row settings_rows[];
extern const size_t settings_n_rows;

/* ---- settings.c ---- */
/* The defaults, with one reference. */
int settings_new(struct settings **ret, struct err *err);
/* Takes what object says, group by group, into settings. Returns 0, or -1 for want of memory; what
 * is wrong is among the problems. */
int settings_take(struct settings *settings, const struct json *object,
	struct settings_problems *problems, struct err *err);
/* One group, with its secret as the caller sealed it, or without ({0}). */
void settings_write_group(struct text_json_writer *json, const struct settings *settings,
	const char *group, struct bytes sealed);

/* ---- settings_limits.c ---- */
int settings_take_limits(struct settings *settings, const struct json *rules,
	struct settings_problems *problems, struct err *err);
void settings_write_limits(struct text_json_writer *json, const struct settings *settings);
int settings_default_limits(struct settings *settings, struct err *err);

#endif
