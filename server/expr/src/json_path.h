/*
 * json_path.h - what json_extract and json_each find, without a database
 */
#ifndef EXPR_JSON_PATH_H
#define EXPR_JSON_PATH_H

#include "plan.h"

/* The value at a path as path.c writes it ("$", $."a"[0]); false when there is none. */
bool json_path_find(struct bytes json, struct bytes path, struct bytes *ret);
/* Calls item for each element of an array, for each member's value of an object, and once for any
 * other value, until it says false. Returns the last answer, true when there was nothing. */
bool json_path_each(
	struct bytes json, bool (*item)(void *context, struct bytes json), void *context);
/* The elements of an array; 0 for any other value. */
int64_t json_path_length(struct bytes json);

#endif
