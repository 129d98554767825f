/*
 * json.h - JSON documents as trees, for what is small and read in any order
 *
 * Config files, manifests and small request bodies are parsed into a tree; answers are written with
 * text_json_writer.h instead. Every document passes text_json_check first, so a tree never holds a
 * key twice, an integer that lost digits, or text that is not UTF-8.
 *
 * Threads: none inside; a tree that nobody changes may be read by several.
 * Memory:  json_free gives the whole tree back; what getters return is borrowed from it.
 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "text_json_check.h"
#include "text_json_writer.h"

/* A value of a tree. NULL stands for "not there" and is taken by every getter. */
struct json;

enum json_kind {
	JSON_ABSENT, /* only of NULL */
	JSON_NULL,
	JSON_BOOL,
	JSON_INTEGER,
	JSON_DOUBLE,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

/* Checks and parses one document. Returns TEXT_JSON_VALID and a tree to free, or why not, with the
 * offset as text_json_check has it (ret_offset may be NULL). limits may be NULL: TEXT_JSON_LIMITS.
 */
enum text_json_verdict json_parse(struct bytes doc, const struct text_json_limits *limits,
	struct json **ret, size_t *ret_offset);
/* Frees a tree that json_parse returned. Takes NULL; never call it on a part of a tree. */
void json_free(struct json *root);

enum json_kind json_kind(const struct json *value);
/* A kind as a phrase for messages, for example "an array". */
const char *json_kind_name(enum json_kind kind);

/* The member of an object, or NULL when it is not there or value is no object. A member that is
 * null is there, and has kind JSON_NULL. */
const struct json *json_get(const struct json *value, const char *key);
/* How many items an array or members an object has; 0 for all else. */
size_t json_count(const struct json *value);
/* An item of an array, or NULL. */
const struct json *json_at(const struct json *value, size_t index);

struct json_members {
	const void *next; /* the tree's own */
};

/* Walks the members of an object in the order of the document: starts with {0} made by
 * json_members_of. Returns false at the end. */
struct json_members json_members_of(const struct json *value);
bool json_members_next(
	struct json_members *members, struct bytes *ret_key, const struct json **ret_value);

/* Each returns false, and leaves *ret alone, when the value is not of that kind. An integer is a
 * double too; a double without a fraction that fits is an integer too. Text may hold NUL bytes. */
bool json_as_bool(const struct json *value, bool *ret);
bool json_as_int64(const struct json *value, int64_t *ret);
bool json_as_double(const struct json *value, double *ret);
bool json_as_string(const struct json *value, struct bytes *ret);

/* Writes the tree, without white space, as the writer's next value. NULL is written as null. */
void json_write(const struct json *value, struct text_json_writer *writer);

DEFER_DEFINE(struct json *, json_free)

#endif
