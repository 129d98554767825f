/*
 * manifest_walk.h - JSON objects into structs, by tables of members
 *
 * Each kind of object in a manifest is a table: name, kind, where it goes, bounds. The walk knows
 * at every moment where it is, so that each refusal names the place as a JSON pointer.
 */
#ifndef PLUGIN_MANIFEST_WALK_H
#define PLUGIN_MANIFEST_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"
#include "bytes.h"
#include "err.h"
#include "text_json_reader.h"

struct walk {
	struct text_json_reader reader;
	struct arena *arena;
	struct err *err;
	char path[160];
	size_t path_n;
};

enum member_kind {
	MEMBER_TEXT,     /* struct bytes; min and max of its length */
	MEMBER_NAME,     /* struct bytes; [A-Za-z][A-Za-z0-9_-]*, at most max */
	MEMBER_NUMBER,   /* uint32_t from min to max */
	MEMBER_NUMBER16, /* uint16_t from min to max */
	MEMBER_WORD,     /* an enum: the position of the word in words */
	MEMBER_WORD_IS,  /* a bool: true for words[1], false for words[0] */
	MEMBER_PARSE     /* parse does it */
};

struct member {
	const char *name;
	enum member_kind kind;
	size_t offset;
	bool is_required;
	uint32_t min, max;
	const char *const *words; /* ends with NULL */
	/* Takes the value whose first token is *token. */
	int (*parse)(struct walk *walk, const struct text_json_token *token, void *object);
};

/* A refusal at the place where the walk is. Returns -1. */
int walk_refuse(struct walk *walk, const char *format, ...) __attribute__((format(printf, 2, 3)));
int walk_no_memory(struct walk *walk);

/* Enters and leaves a member or an element. */
size_t walk_enter(struct walk *walk, struct bytes name);
size_t walk_enter_index(struct walk *walk, size_t index);
void walk_leave(struct walk *walk, size_t mark);

/* Reads the members of the object whose opening token was read, up to its end. */
int walk_object(struct walk *walk, const struct member *members, size_t n_members, void *object);

struct list {
	const struct member *members;
	size_t n_members;
	size_t element_bytes;
	size_t max;
	const void *defaults; /* one element */
	int (*check)(struct walk *walk, void *element);
};

/* Reads an array of objects into an array from the arena. */
int walk_list(struct walk *walk, const struct text_json_token *token, const struct list *list,
	void **ret, uint16_t *ret_n);

/* Reads an array of 1 to max texts (0 too, when min is 0), none longer than max_bytes. */
int walk_texts(struct walk *walk, const struct text_json_token *token, size_t min, size_t max,
	size_t max_bytes, struct bytes **ret, uint16_t *ret_n);

/* The text of a string token, refused when it is no string or its length is out of bounds. */
int walk_text(struct walk *walk, const struct text_json_token *token, size_t min, size_t max,
	struct bytes *ret);
/* The position of a string token's word. */
int walk_word(struct walk *walk, const struct text_json_token *token, const char *const *words,
	uint32_t *ret);
int walk_number(struct walk *walk, const struct text_json_token *token, uint32_t min, uint32_t max,
	uint32_t *ret);

bool walk_is_name(struct bytes text);

#endif
