/*
 * shape.h - which part of a record a client wants: ?fields= and ?expand=
 *
 *   fields=title,text:excerpt(200,true),expand.author.name     a tree of names, a mask
 *   expand=author.team,comments_via_post                       a tree of relations
 *
 * Both are worked out once for each request and then walked beside each record.
 */
#ifndef RECORD_SHAPE_H
#define RECORD_SHAPE_H

#include "schema.h"

#define MASK_NAMES_MAX   200 /* names of ?fields=, each looked at for each column of each record */
#define EXPAND_NAMES_MAX 100
#define EXCERPT_MAX      100000 /* characters */

/* Which members of a record are wanted; NULL: all. */
struct mask {
	struct bytes name; /* of the member */
	bool is_all;       /* and everything below it */
	int64_t excerpt;   /* characters of :excerpt(); 0: the whole text */
	bool has_ellipsis;
	struct mask *children, *next;
};

/* Which relations are followed. */
struct expand {
	struct bytes name; /* as the answer's "expand" has it */
	const struct record_collection *target;
	/* Of the record's own, or is_back: of target, pointing at the record's collection. */
	const struct record_field *field;
	bool is_back, is_many;
	int column; /* of the row, that has the id or the ids */
	struct expand *children, *next;
	/* Of the row being written: the id or the list of ids that it points at; of is_back its own
	 * id. Kept here because the statement moves on before they are followed. */
	struct bytes ids;
	char *room;
	size_t n_room;
};

enum shape_result {
	SHAPE_OK,
	SHAPE_INVALID, /* *ret_message says why, for the client */
	SHAPE_NOMEM
};

/* An empty text gives NULL: everything. */
enum shape_result mask_parse(
	struct bytes text, struct arena *arena, struct mask **ret, const char **ret_message);
/* What is left of the mask below a member; false when the member is not wanted. */
bool mask_enter(const struct mask *mask, struct bytes name, const struct mask **ret);

/* sees_all: hidden relations can be followed as well. Names that lead nowhere are left out, as
 * PocketBase leaves them out. */
enum shape_result expand_parse(struct bytes text, const struct record_schema *schema,
	const struct record_collection *collection, bool sees_all, struct arena *arena,
	struct expand **ret, const char **ret_message);
/* Keeps the ids. False when the arena is full. */
bool expand_keep(struct expand *expand, struct arena *arena, struct bytes ids);

/* What is read of text that may be HTML: tags and what they hide left out, white space as one
 * space, at most max characters and then, if wanted, "...". */
void excerpt_append(struct bytes text, int64_t max, bool has_ellipsis, struct bytes_buf *out);

#endif
