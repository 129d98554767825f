/*
 * flaws.c - see flaws.h
 */
#include "flaws.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "text_json_writer.h"

#define MESSAGE_MAX 1024

void flaws_init(struct flaws *flaws, struct arena *arena)
{
	*flaws = (struct flaws){ .arena = arena };
}

static bool is_same(const char *a, const char *b)
{
	return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static bool is_there(const struct flaws *flaws, const char *member, long index, const char *option)
{
	for (const struct flaw *flaw = flaws->first; flaw; flaw = flaw->next)
		if (is_same(flaw->member, member) && flaw->index == index &&
			(!flaw->option || is_same(flaw->option, option)))
			return true;
	return false;
}

static __attribute__((format(printf, 2, 0))) struct bytes format_text(
	struct arena *arena, const char *format, va_list args)
{
	char text[MESSAGE_MAX];
	(void)vsnprintf(text, sizeof(text), format, args);
	char *copy = arena_copy(arena, bytes_of(text));
	return (struct bytes){ copy, copy ? strlen(text) : 0 };
}

void flaws_add(struct flaws *flaws, const char *member, long index, const char *option,
	const char *code, const char *format, ...)
{
	va_list args;
	flaws->n++;
	if (is_there(flaws, member, index, option))
		return;
	struct flaw *flaw = arena_alloc(flaws->arena, sizeof(*flaw));
	if (!flaw) {
		flaws->failed = true;
		return;
	}
	*flaw = (struct flaw){ .member = member, .index = index, .option = option, .code = code };
	va_start(args, format);
	flaw->message = format_text(flaws->arena, format, args);
	va_end(args);
	*(flaws->last ? &flaws->last->next : &flaws->first) = flaw;
	flaws->last = flaw;
}

void flaws_params(struct flaws *flaws, const char *format, ...)
{
	va_list args;
	if (!flaws->last)
		return;
	va_start(args, format);
	flaws->last->params = format_text(flaws->arena, format, args);
	va_end(args);
}

/* ---- telling them ---- */

static void write_flaw(struct text_json_writer *writer, const struct flaw *flaw)
{
	text_json_begin_object(writer);
	text_json_write_key(writer, BYTES("code"));
	text_json_write_string(writer, bytes_of(flaw->code));
	text_json_write_key(writer, BYTES("message"));
	text_json_write_string(writer, flaw->message);
	if (flaw->params.n) {
		text_json_write_key(writer, BYTES("params"));
		text_json_write_raw(writer, flaw->params);
	}
	text_json_end_object(writer);
}

/* The first flaw of the same member (and item), so that each is opened once. */
static bool is_first(const struct flaws *flaws, const struct flaw *flaw, bool of_item)
{
	for (const struct flaw *f = flaws->first; f != flaw; f = f->next)
		if (is_same(f->member, flaw->member) && (!of_item || f->index == flaw->index))
			return false;
	return true;
}

static const struct flaw *find(
	const struct flaws *flaws, const struct flaw *like, long index, bool is_whole)
{
	for (const struct flaw *f = flaws->first; f; f = f->next)
		if (is_same(f->member, like->member) && f->index == index &&
			(!is_whole || !f->option))
			return f;
	return NULL;
}

/* "emailTemplate/subject" stands one level deeper. */
static void write_option(struct text_json_writer *writer, const struct flaw *flaw)
{
	const char *slash = strchr(flaw->option, '/');
	if (slash) {
		text_json_write_key(
			writer, (struct bytes){ flaw->option, (size_t)(slash - flaw->option) });
		text_json_begin_object(writer);
	}
	text_json_write_key(writer, bytes_of(slash ? slash + 1 : flaw->option));
	write_flaw(writer, flaw);
	if (slash)
		text_json_end_object(writer);
}

static void write_item(
	const struct flaws *flaws, const struct flaw *item, struct text_json_writer *writer)
{
	const struct flaw *whole = find(flaws, item, item->index, true);
	if (whole) {
		write_flaw(writer, whole);
		return;
	}
	text_json_begin_object(writer);
	for (const struct flaw *f = item; f; f = f->next)
		if (is_same(f->member, item->member) && f->index == item->index)
			write_option(writer, f);
	text_json_end_object(writer);
}

static void write_member(
	const struct flaws *flaws, const struct flaw *member, struct text_json_writer *writer)
{
	char key[24];
	const struct flaw *whole = find(flaws, member, -1, true);
	if (whole) {
		write_flaw(writer, whole);
		return;
	}
	text_json_begin_object(writer);
	for (const struct flaw *f = member; f; f = f->next)
		if (is_same(f->member, member->member) && f->index < 0) {
			write_option(writer, f);
		} else if (is_same(f->member, member->member) && is_first(flaws, f, true)) {
			int n = snprintf(key, sizeof(key), "%ld", f->index);
			text_json_write_key(writer, (struct bytes){ key, (size_t)n });
			write_item(flaws, f, writer);
		}
	text_json_end_object(writer);
}

void flaws_write(const struct flaws *flaws, struct bytes_buf *out)
{
	struct text_json_writer writer;
	text_json_writer_init(&writer, out);
	text_json_begin_object(&writer);
	for (const struct flaw *f = flaws->first; f; f = f->next)
		if (is_first(flaws, f, false)) {
			text_json_write_key(&writer, bytes_of(f->member));
			write_member(flaws, f, &writer);
		}
	text_json_end_object(&writer);
}
