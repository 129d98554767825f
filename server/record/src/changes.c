/*
 * changes.c - what a write did to the rows, kept until its commit and then told
 *
 * A note is one row: its action, its id, and, when somebody wants them, its JSON before and after.
 * All texts lie in one buffer, so a note holds places in it and not pointers. When the buffer is
 * full the notes that follow have ids only: whoever keeps a picture of the rows reads them again.
 */
#include <stdlib.h>
#include <string.h>

#include "store_hold.h"
#include "work.h"

#define NOTES_MAX 32768 /* of one write: what a cascading delete may take with it, and some */
#define IDS_BYTES (NOTES_MAX * 64u)

struct place {
	size_t at, n;
};

struct note {
	enum record_action action;
	enum record_wanted wanted;
	const struct record_collection *collection;
	struct place id, old, record;
};

struct changes {
	struct note *notes;
	size_t n, max;
	struct bytes_buf text;
	bool is_full;
	struct store_hold *before; /* the write */
};

void changes_free(struct changes *changes)
{
	if (!changes)
		return;
	store_hold_unref(changes->before);
	bytes_buf_fini(&changes->text);
	free(changes->notes);
	free(changes);
}

void changes_forget(struct record_work *work)
{
	struct changes *changes = work->changes;
	if (!changes)
		return;
	store_hold_unref(changes->before);
	changes->before = NULL;
	changes->n = 0;
	changes->is_full = false;
	bytes_buf_clear(&changes->text);
}

static enum store_outcome no_memory(struct record_work *work)
{
	(void)ERR_SET(&work->job.err, ERR_NOMEM, "no memory to tell of a write");
	return STORE_FAULT;
}

static struct note *add_note(struct record_work *work)
{
	struct changes *changes = work->changes;
	if (!changes) {
		changes = work->changes = calloc(1, sizeof(*changes));
		if (!changes)
			return NULL;
		bytes_buf_init(&changes->text, RECORD_EVENT_BYTES_MAX + IDS_BYTES);
	}
	if (changes->n == changes->max) {
		size_t max = changes->max ? 2 * changes->max : 4;
		struct note *notes =
			max > NOTES_MAX ? NULL : reallocarray(changes->notes, max, sizeof(*notes));
		if (!notes)
			return NULL;
		changes->notes = notes;
		changes->max = max;
	}
	return &changes->notes[changes->n++];
}

/* The row as it is now, with all that a superuser sees. */
static enum store_outcome keep_row(struct record_work *work, struct store_conn *conn,
	const struct record_collection *collection, struct place id, struct place *ret)
{
	struct changes *changes = work->changes;
	struct encoder encoder;
	char text[64];
	bool found;
	size_t at = changes->text.n;
	if (changes->is_full || !bytes_to_string((struct bytes){ changes->text.p + id.at, id.n },
					text, sizeof(text)))
		return STORE_OK;
	encoder_init(&encoder, work, conn);
	encoder.out = &changes->text;
	encoder.sees_all = true;
	enum store_outcome outcome =
		encode_by_id(&encoder, collection, bytes_of(text), NULL, NULL, &found);
	if (outcome != STORE_OK)
		return outcome;
	if (changes->text.failed || changes->text.n > RECORD_EVENT_BYTES_MAX) {
		changes->text.failed = false;
		changes->text.n = at;
		changes->is_full = true;
	} else if (found) {
		*ret = (struct place){ at, changes->text.n - at };
	}
	return STORE_OK;
}

enum store_outcome changes_begin(struct record_work *work, struct store_conn *conn,
	enum record_action action, const struct record_collection *collection, struct bytes id,
	int *ret)
{
	const struct record_book *book = work->call->book;
	*ret = -1;
	if (!book->events)
		return STORE_OK;
	enum record_wanted wanted =
		book->events->wants(book->events->context, book->tenant, collection->id);
	if (wanted == RECORD_WANT_NOTHING)
		return STORE_OK;
	struct note *note = add_note(work);
	if (!note)
		return no_memory(work);
	struct changes *changes = work->changes;
	*ret = (int)(changes->n - 1);
	*note = (struct note){ .action = action,
		.wanted = wanted,
		.collection = collection,
		.id = { changes->text.n, id.n } };
	if (!bytes_buf_append(&changes->text, id))
		return no_memory(work);
	if (wanted != RECORD_WANT_RECORDS || action == RECORD_CREATE)
		return STORE_OK;
	/* Whoever is told asks the rules after the commit; what they look at may have gone with
	 * the row. One hold serves all deletes of a write: they have one beginning. */
	if (action == RECORD_DELETE && !changes->before &&
		(collection->rules[RULE_LIST].sql.has_subquery ||
			collection->rules[RULE_VIEW].sql.has_subquery))
		changes->before = store_hold_new(book->store);
	struct place old = { 0 };
	enum store_outcome outcome = keep_row(work, conn, collection, note->id, &old);
	changes->notes[*ret].old = old;
	return outcome;
}

enum store_outcome changes_end(struct record_work *work, struct store_conn *conn, int index)
{
	if (index < 0)
		return STORE_OK;
	struct note *note = &work->changes->notes[index];
	if (note->wanted != RECORD_WANT_RECORDS || note->action == RECORD_DELETE)
		return STORE_OK;
	return keep_row(work, conn, note->collection, note->id, &note->record);
}

static struct bytes text_at(const struct changes *changes, struct place place)
{
	return (struct bytes){ place.n ? changes->text.p + place.at : NULL, place.n };
}

void changes_tell_many(struct record_work *work)
{
	const struct record_book *book = work->call->book;
	const struct record_collection *collection = work->collection;
	const struct record_event event = { .action = RECORD_DELETE,
		.collection_id = collection->id,
		.collection_name = collection->name };
	if (book->events && book->events->wants(book->events->context, book->tenant,
				    collection->id) != RECORD_WANT_NOTHING)
		book->events->committed(book->events->context, book->tenant, &event, 1);
}

void changes_tell(struct record_work *work)
{
	const struct record_book *book = work->call->book;
	const struct changes *changes = work->changes;
	if (!changes || !changes->n)
		return;
	/* One at a time when there is no memory for all: nothing may be lost here. */
	struct record_event one = { 0 }, *list = calloc(changes->n, sizeof(*list));
	for (size_t i = 0; i < changes->n; i++) {
		const struct note *note = &changes->notes[i];
		struct record_event *event = list ? &list[i] : &one;
		*event = (struct record_event){ .action = note->action,
			.collection_id = note->collection->id,
			.collection_name = note->collection->name,
			.id = text_at(changes, note->id),
			.record = text_at(changes, note->record),
			.old = text_at(changes, note->old),
			.before = note->action == RECORD_DELETE ? changes->before : NULL };
		if (!list)
			book->events->committed(book->events->context, book->tenant, event, 1);
	}
	if (list)
		book->events->committed(book->events->context, book->tenant, list, changes->n);
	free(list);
}
