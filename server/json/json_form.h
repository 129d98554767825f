/*
 * json_form.h - take typed fields out of an object and collect what is wrong with them
 *
 * A caller asks for each field that it knows, with bounds and a default; the form notes one problem
 * for each field that does not fit, and at the end the fields that nobody asked for. So a person
 * who made three mistakes reads of three, not of the first.
 *
 *     struct json_form form;
 *     json_form_init(&form, body);
 *     json_form_text(&form, "name", JSON_FORM_REQUIRED, 1, 64, &name);
 *     json_form_int64(&form, "weight", JSON_FORM_OPTIONAL, 0, 10000, &weight);
 *     json_form_refuse_unknown(&form);
 *     if (form.n_problems > 0) ... answer 400 with each problem's field, code and message
 *
 * Threads: none inside. Memory: the form borrows from the tree and allocates nothing.
 */
#ifndef JSON_JSON_FORM_H
#define JSON_JSON_FORM_H

#include "json.h"

#define JSON_FORM_PROBLEMS 16 /* further ones are counted in n_problems only */
#define JSON_FORM_FIELDS   64 /* fields that a caller may ask for */

enum json_form_need {
	JSON_FORM_REQUIRED, /* absent or null is a problem */
	JSON_FORM_OPTIONAL  /* absent or null leaves *ret, the caller's default, alone */
};

struct json_form_problem {
	char field[64];   /* cut when the document's own key is longer */
	const char *code; /* static: "validation_required", "validation_invalid_type", ... */
	char message[96];
};

struct json_form {
	const struct json *object;
	const char *asked[JSON_FORM_FIELDS];
	size_t n_asked;
	size_t n_problems; /* may pass JSON_FORM_PROBLEMS; so many are described */
	struct json_form_problem problems[JSON_FORM_PROBLEMS];
};

/* A form over a parsed value; anything but an object is one problem, with the field "". */
void json_form_init(struct json_form *form, const struct json *value);

/* Each returns true when *ret was set. name must be static. */
bool json_form_bool(struct json_form *form, const char *name, enum json_form_need need, bool *ret);
bool json_form_int64(struct json_form *form, const char *name, enum json_form_need need,
	int64_t min, int64_t max, int64_t *ret);
bool json_form_double(struct json_form *form, const char *name, enum json_form_need need,
	double min, double max, double *ret);
/* Lengths are in bytes; text with a NUL byte is a problem. */
bool json_form_text(struct json_form *form, const char *name, enum json_form_need need,
	size_t min_bytes, size_t max_bytes, struct bytes *ret);
/* A value of the given kind (JSON_ARRAY, JSON_OBJECT) for the caller to walk. */
bool json_form_value(struct json_form *form, const char *name, enum json_form_need need,
	enum json_kind kind, const struct json **ret);

/* Notes a problem that the caller found itself. */
void json_form_problem(struct json_form *form, struct bytes field, const char *code,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Notes each member that was not asked for as "validation_unknown_field". */
void json_form_refuse_unknown(struct json_form *form);

#endif
