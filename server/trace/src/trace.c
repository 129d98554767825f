#include "trace.h"

#include <string.h>

#include "clock.h"

/* "00-" 32 "-" 16 "-" 2 */
#define LENGTH 55

static bool is_lower_hex(struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!(text.p[i] >= '0' && text.p[i] <= '9') &&
			!(text.p[i] >= 'a' && text.p[i] <= 'f'))
			return false;
	return true;
}

/* 2*n digits in lower case that are not all zero. */
static bool parse_id(const char *p, uint8_t *out, size_t n)
{
	struct bytes text = { p, 2 * n };
	uint8_t any = 0;

	if (!is_lower_hex(text) || !bytes_unhex(text, out, n))
		return false;
	for (size_t i = 0; i < n; i++)
		any |= out[i];
	return any != 0;
}

bool trace_parse(struct bytes header, struct trace_context *ret)
{
	struct trace_context context;
	uint8_t version, flags;

	if (header.n < LENGTH)
		return false;
	const char *p = header.p;
	struct bytes version_text = { p, 2 }, flags_text = { p + 53, 2 };
	if (!is_lower_hex(version_text) || !bytes_unhex(version_text, &version, 1) ||
		version == 0xff || !is_lower_hex(flags_text) || !bytes_unhex(flags_text, &flags, 1))
		return false;
	if (header.n > LENGTH && (version == 0 || p[LENGTH] != '-'))
		return false;
	if (p[2] != '-' || p[35] != '-' || p[52] != '-' ||
		!parse_id(p + 3, context.trace_id, sizeof context.trace_id) ||
		!parse_id(p + 36, context.span_id, sizeof context.span_id))
		return false;
	context.is_sampled = flags & 1;
	*ret = context;
	return true;
}

void trace_format(const struct trace_context *context, char out[static TRACE_HEADER_BYTES])
{
	out[0] = out[1] = '0';
	out[2] = '-';
	bytes_hex((struct bytes){ (const char *)context->trace_id, ID_TRACE_BYTES }, out + 3);
	out[35] = '-';
	bytes_hex((struct bytes){ (const char *)context->span_id, ID_SPAN_BYTES }, out + 36);
	memcpy(out + 52, context->is_sampled ? "-01" : "-00", 4);
}

struct trace_context trace_root(struct id_source *ids)
{
	struct trace_context context = { .is_sampled = true };

	id_random(ids, context.trace_id, sizeof context.trace_id);
	id_random(ids, context.span_id, sizeof context.span_id);
	return context;
}

struct trace_context trace_child(struct id_source *ids, const struct trace_context *parent)
{
	struct trace_context context = *parent;

	id_random(ids, context.span_id, sizeof context.span_id);
	return context;
}

void trace_begin(struct trace_span *span, struct id_source *ids, const struct trace_context *parent,
	const char *name)
{
	*span = (struct trace_span){ .name = name,
		.context = parent ? trace_child(ids, parent) : trace_root(ids),
		.started_wall_us = clock_wall_us(),
		.started_ns = clock_mono_ns() };
	if (parent)
		memcpy(span->parent_id, parent->span_id, sizeof span->parent_id);
}

void trace_end(struct trace_span *span, bool has_failed, struct trace_sink *sink)
{
	span->duration_ns = clock_mono_ns() - span->started_ns;
	span->has_failed = has_failed;
	if (sink && span->context.is_sampled)
		sink->take(sink, span);
}
