#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena.h"
#include "config_value.h"
#include "json.h"
#include "text_utf8.h"

#define FILE_BYTES   (1u << 20)
#define MEMORY_BYTES (4u << 20)
#define LIST_ITEMS   64
#define NAME_BYTES   128

struct value {
	enum config_origin origin;
	int64_t number; /* of a number or a boolean */
	struct bytes text;
	struct bytes *items; /* of a list: LIST_ITEMS of them, or NULL */
	size_t n_items;
};

struct config {
	const struct config_row *rows;
	size_t n_rows;
	struct arena *arena;
	struct value values[];
};

static bool is_number(enum config_type type)
{
	return type == CONFIG_INTEGER || type == CONFIG_BYTES || type == CONFIG_DURATION;
}

/* ---- messages: always the name, the value, and what would be right ---- */

static void append_range(const struct config_row *row, struct bytes_buf *out)
{
	if (row->type == CONFIG_BOOL) {
		bytes_buf_append_string(out, "true or false");
	} else if (row->type == CONFIG_CHOICE) {
		bytes_buf_append_string(out, "one of ");
		bytes_buf_append_string(out, row->choices);
	} else if (is_number(row->type)) {
		if (row->min == 0 && row->max == 0) {
			bytes_buf_append_string(out, "a number");
		} else {
			config_value_format(row->type, row->min, out);
			bytes_buf_append_string(out, " to ");
			config_value_format(row->type, row->max, out);
		}
		if (row->unit)
			bytes_buf_appendf(out, " %s", row->unit);
	} else if (row->min != 0 || row->max != 0) {
		bytes_buf_appendf(out, "a text of %lld to %lld bytes", (long long)row->min,
			(long long)row->max);
	} else {
		bytes_buf_append_string(out, "a text");
	}
}

static int refuse(const struct config_row *row, struct bytes text, struct err *err)
{
	DEFER(bytes_buf_fini) struct bytes_buf range;
	struct bytes shown = row->is_secret ? BYTES("(secret)") : text_utf8_prefix(text, 60);

	bytes_buf_init(&range, 256);
	append_range(row, &range);
	return ERR_SET(err, ERR_INVALID, "%s: \"%.*s\" is not %.*s", row->name, (int)shown.n,
		shown.p, (int)range.n, range.n ? range.p : "");
}

static const struct config_row *find_row(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->n_rows; i++)
		if (strcmp(config->rows[i].name, name) == 0)
			return &config->rows[i];
	return NULL;
}

static struct value *value_of(struct config *config, const struct config_row *row)
{
	return &config->values[row - config->rows];
}

/* ---- setting ---- */

static bool is_choice(const struct config_row *row, struct bytes text)
{
	for (const char *p = row->choices; p && text.n > 0;) {
		const char *end = strchrnul(p, ' ');
		if (bytes_eq(text, (struct bytes){ p, (size_t)(end - p) }))
			return true;
		p = *end ? end + 1 : NULL;
	}
	return false;
}

static bool is_fitting_text(const struct config_row *row, struct bytes text)
{
	if (!text_utf8_is_valid(text) || (text.n > 0 && memchr(text.p, 0, text.n)))
		return false;
	if (row->type == CONFIG_CHOICE)
		return is_choice(row, text);
	if (row->min == 0 && row->max == 0)
		return true;
	return text.n >= (size_t)row->min && text.n <= (size_t)row->max;
}

static int keep_text(struct config *config, const struct config_row *row, struct bytes text,
	struct bytes *ret, struct err *err)
{
	if (!is_fitting_text(row, text))
		return refuse(row, text, err);
	char *copy = arena_copy(config->arena, text);
	if (!copy)
		return ERR_SET(err, ERR_NOMEM, "no memory for the setting %s", row->name);
	*ret = (struct bytes){ copy, text.n };
	return 0;
}

static int set_number(struct config *config, const struct config_row *row, int64_t number,
	struct bytes shown, enum config_origin origin, struct err *err)
{
	if ((row->min != 0 || row->max != 0) && (number < row->min || number > row->max))
		return refuse(row, shown, err);
	*value_of(config, row) = (struct value){ .origin = origin, .number = number };
	return 0;
}

/* The first item from a higher origin replaces what a lower one gave, the next ones follow it. */
static int add_item(struct config *config, const struct config_row *row, struct bytes text,
	enum config_origin origin, struct err *err)
{
	struct value *value = value_of(config, row);

	if (value->origin != origin)
		*value = (struct value){ .origin = origin, .items = value->items };
	if (!value->items)
		value->items = arena_alloc(config->arena, LIST_ITEMS * sizeof *value->items);
	if (!value->items)
		return ERR_SET(err, ERR_NOMEM, "no memory for the setting %s", row->name);
	if (value->n_items == LIST_ITEMS)
		return ERR_SET(err, ERR_INVALID, "%s: more than %d items", row->name, LIST_ITEMS);
	if (keep_text(config, row, text, &value->items[value->n_items], err) < 0)
		return -1;
	value->n_items++;
	return 0;
}

static int set_row(struct config *config, const struct config_row *row, struct bytes text,
	enum config_origin origin, struct err *err)
{
	struct value value = { .origin = origin };
	int64_t number;

	switch (row->type) {
	case CONFIG_INTEGER:
	case CONFIG_BYTES:
	case CONFIG_DURATION:
		if (!config_value_parse(row->type, text, &number))
			return refuse(row, text, err);
		return set_number(config, row, number, text, origin, err);
	case CONFIG_BOOL:
		value.number = bytes_eq(text, BYTES("true"));
		if (!value.number && !bytes_eq(text, BYTES("false")))
			return refuse(row, text, err);
		break;
	case CONFIG_LIST:
		return add_item(config, row, text, origin, err);
	case CONFIG_TEXT:
	case CONFIG_CHOICE:
		if (keep_text(config, row, text, &value.text, err) < 0)
			return -1;
		break;
	}
	*value_of(config, row) = value;
	return 0;
}

int config_set(struct config *config, const char *name, struct bytes text,
	enum config_origin origin, struct err *err)
{
	const struct config_row *row = find_row(config, name);

	if (!row)
		return ERR_SET(err, ERR_INVALID, "%.60s: no such setting", name);
	return set_row(config, row, text, origin, err);
}

static void set_default(struct config *config, const struct config_row *row)
{
	const char *text = row->initial;
	int failed = 0;

	if (text && row->type == CONFIG_LIST) {
		while (*text) {
			const char *end = strchrnul(text, ' ');
			failed |= set_row(config, row, (struct bytes){ text, (size_t)(end - text) },
				CONFIG_DEFAULT, NULL);
			text = *end ? end + 1 : end;
		}
	} else if (text) {
		failed = set_row(config, row, bytes_of(text), CONFIG_DEFAULT, NULL);
	}
	/* A default of ours that is out of its own range is a bug, found by the first start. */
	assert(!failed);
}

int config_new(const struct config_row *rows, size_t n_rows, struct config **ret, struct err *err)
{
	DEFER(config_free)
	struct config *config = calloc(1, sizeof *config + n_rows * sizeof config->values[0]);

	if (!config)
		return ERR_SET(err, ERR_NOMEM, "no memory for settings");
	config->rows = rows;
	config->n_rows = n_rows;
	if (arena_new(MEMORY_BYTES, &config->arena, err) < 0)
		return -1;
	for (size_t i = 0; i < n_rows; i++)
		set_default(config, &rows[i]);
	*ret = config;
	config = NULL; /* handed over */
	return 0;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	arena_free(config->arena);
	free(config);
}

/* ---- from a file ---- */

static int set_list(struct config *config, const struct config_row *row, const struct json *list,
	struct err *err)
{
	struct value *value = value_of(config, row);
	struct bytes text;

	/* An empty array is a value as well: it takes the defaults away. */
	*value = (struct value){ .origin = CONFIG_FILE, .items = value->items };
	for (size_t i = 0; i < json_count(list); i++) {
		if (!json_as_string(json_at(list, i), &text))
			return ERR_SET(
				err, ERR_INVALID, "%s: item %zu is not a text", row->name, i);
		if (add_item(config, row, text, CONFIG_FILE, err) < 0)
			return -1;
	}
	return 0;
}

static int set_from_json(struct config *config, const struct config_row *row,
	const struct json *json, struct err *err)
{
	DEFER(bytes_buf_fini) struct bytes_buf shown;
	struct text_json_writer writer;
	struct bytes text;
	int64_t number;
	bool truth;

	bytes_buf_init(&shown, FILE_BYTES);
	if (row->type == CONFIG_LIST && json_kind(json) == JSON_ARRAY)
		return set_list(config, row, json, err);
	if (row->type == CONFIG_BOOL && json_as_bool(json, &truth)) {
		*value_of(config, row) = (struct value){ .origin = CONFIG_FILE, .number = truth };
		return 0;
	}
	text_json_writer_init(&writer, &shown);
	json_write(json, &writer);
	if (is_number(row->type) && json_as_int64(json, &number))
		return set_number(config, row, number, bytes_buf_view(&shown), CONFIG_FILE, err);
	/* A text may stand for anything but a boolean, a plain number and a list. */
	if (row->type != CONFIG_BOOL && row->type != CONFIG_INTEGER && row->type != CONFIG_LIST &&
		json_as_string(json, &text))
		return set_row(config, row, text, CONFIG_FILE, err);
	return refuse(row, bytes_buf_view(&shown), err);
}

/* Members are settings, or objects that hold the settings whose names begin with theirs. The depth
 * is bounded by the length of a name. */
static int load_object(
	struct config *config, const struct json *object, const char *prefix, struct err *err)
{
	struct json_members members = json_members_of(object);
	const struct json *json;
	struct bytes key;
	char name[NAME_BYTES];

	while (json_members_next(&members, &key, &json)) {
		size_t n = strlen(prefix);
		if (key.n >= sizeof name - n - 1)
			return ERR_SET(err, ERR_INVALID, "%s%.40s: no such setting", prefix, key.p);
		memcpy(name, prefix, n);
		memcpy(name + n, key.p, key.n);
		name[n + key.n] = '\0';
		const struct config_row *row = find_row(config, name);
		if (!row && json_kind(json) != JSON_OBJECT)
			return ERR_SET(err, ERR_INVALID, "%.120s: no such setting", name);
		if (row) {
			if (set_from_json(config, row, json, err) < 0)
				return -1;
			continue;
		}
		name[n + key.n] = '.';
		name[n + key.n + 1] = '\0';
		if (load_object(config, json, name, err) < 0)
			return -1;
	}
	return 0;
}

int config_load(struct config *config, struct bytes json, struct err *err)
{
	DEFER(json_free) struct json *tree = NULL;
	size_t offset;

	enum text_json_verdict verdict = json_parse(json, NULL, &tree, &offset);
	if (verdict == TEXT_JSON_NOMEM)
		return ERR_SET(err, ERR_NOMEM, "no memory for the settings file");
	if (verdict != TEXT_JSON_VALID) {
		size_t line = 1;
		for (size_t i = 0; i < offset && i < json.n; i++)
			line += json.p[i] == '\n';
		return ERR_SET(err, ERR_INVALID, "line %zu (byte %zu): %s", line, offset,
			text_json_reason(verdict));
	}
	if (json_kind(tree) != JSON_OBJECT)
		return ERR_SET(err, ERR_INVALID, "the settings are not an object");
	return load_object(config, tree, "", err);
}

/* Reads the whole file into out. Returns 0, or -1 (ERR_IO, or ERR_INVALID when it is too long). */
static int read_file(const char *path, struct bytes_buf *out, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	if (fd < 0)
		return ERR_SET(err, ERR_IO, "cannot open %.150s", path);
	while (n > 0) {
		char *to = bytes_buf_reserve(out, 4096);
		if (!to) {
			close(fd);
			return ERR_SET(err, ERR_INVALID, "%.150s is longer than 1 MiB", path);
		}
		do
			n = read(fd, to, 4096);
		while (n < 0 && errno == EINTR);
		out->n += n > 0 ? (size_t)n : 0;
	}
	int failed = n < 0 ? ERR_SET(err, ERR_IO, "cannot read %.150s", path) : 0;
	close(fd);
	return failed;
}

int config_load_file(struct config *config, const char *path, struct err *err)
{
	DEFER(bytes_buf_fini) struct bytes_buf text;

	bytes_buf_init(&text, FILE_BYTES + 4096);
	if (read_file(path, &text, err) < 0)
		return -1;
	return config_load(config, bytes_buf_view(&text), err);
}

/* ---- from the command line ---- */

/* Is word, without its dashes, the flag of a setting: its name with '-' for '.'? */
static bool is_flag_of(const struct config_row *row, struct bytes word)
{
	if (strlen(row->name) != word.n)
		return false;
	for (size_t i = 0; i < word.n; i++)
		if (word.p[i] != (row->name[i] == '.' ? '-' : row->name[i]))
			return false;
	return true;
}

static const struct config_row *find_flag(const struct config *config, struct bytes word)
{
	for (size_t i = 0; i < config->n_rows; i++)
		if (is_flag_of(&config->rows[i], word))
			return &config->rows[i];
	return NULL;
}

/* Handles argv[0] and, when it is its value, argv[1]. Returns how many were used, or -1. */
static int set_flag(struct config *config, int argc, char *const argv[], struct err *err)
{
	struct bytes word = bytes_of(argv[0] + 2), value = { 0 };
	const char *equals = memchr(word.p, '=', word.n);
	int used = 1;

	if (equals) {
		value = bytes_of(equals + 1);
		word.n = (size_t)(equals - word.p);
	}
	const struct config_row *row = find_flag(config, word);
	bool is_no = !row && !equals && bytes_starts_with(word, BYTES("no-"));
	if (is_no) {
		row = find_flag(config, (struct bytes){ word.p + 3, word.n - 3 });
		row = row && row->type == CONFIG_BOOL ? row : NULL;
	}
	if (!row)
		return ERR_SET(err, ERR_INVALID, "--%.*s: no such setting",
			word.n < 60 ? (int)word.n : 60, word.p);
	if (row->type == CONFIG_BOOL && !equals) {
		value = is_no ? BYTES("false") : BYTES("true");
	} else if (!equals) {
		if (argc < 2)
			return ERR_SET(err, ERR_INVALID, "%s: a value is missing", row->name);
		value = bytes_of(argv[1]);
		used = 2;
	}
	return set_row(config, row, value, CONFIG_FLAG, err) < 0 ? -1 : used;
}

int config_args(struct config *config, int argc, char *const argv[], struct err *err)
{
	int at = 0;

	while (at < argc && strncmp(argv[at], "--", 2) == 0) {
		if (argv[at][2] == '\0')
			return at + 1;
		int used = set_flag(config, argc - at, argv + at, err);
		if (used < 0)
			return -1;
		at += used;
	}
	return at;
}

/* ---- reading ---- */

static const struct value *get(
	const struct config *config, const char *name, const struct config_row **ret_row)
{
	const struct config_row *row = find_row(config, name);

	assert(row);
	*ret_row = row;
	return &config->values[row - config->rows];
}

int64_t config_int64(const struct config *config, const char *name)
{
	const struct config_row *row;
	const struct value *value = get(config, name, &row);

	assert(is_number(row->type));
	return value->number;
}

bool config_bool(const struct config *config, const char *name)
{
	const struct config_row *row;
	const struct value *value = get(config, name, &row);

	assert(row->type == CONFIG_BOOL);
	return value->number;
}

struct bytes config_text(const struct config *config, const char *name)
{
	const struct config_row *row;
	const struct value *value = get(config, name, &row);

	assert(row->type == CONFIG_TEXT || row->type == CONFIG_CHOICE);
	return value->text;
}

size_t config_list_count(const struct config *config, const char *name)
{
	const struct config_row *row;
	const struct value *value = get(config, name, &row);

	assert(row->type == CONFIG_LIST);
	return value->n_items;
}

struct bytes config_list_at(const struct config *config, const char *name, size_t index)
{
	const struct config_row *row;
	const struct value *value = get(config, name, &row);

	assert(row->type == CONFIG_LIST && index < value->n_items);
	return value->items[index];
}

enum config_origin config_origin(const struct config *config, const char *name)
{
	const struct config_row *row;

	return get(config, name, &row)->origin;
}

const char *config_origin_name(enum config_origin origin)
{
	static const char *const names[] = { [CONFIG_UNSET] = "unset",
		[CONFIG_DEFAULT] = "default",
		[CONFIG_FILE] = "file",
		[CONFIG_FLAG] = "flag" };
	size_t i = (size_t)origin;

	return i < sizeof names / sizeof names[0] ? names[i] : "unknown";
}

void config_format(const struct config *config, const char *name, struct bytes_buf *out)
{
	const struct config_row *row;
	const struct value *value = get(config, name, &row);

	if (value->origin == CONFIG_UNSET)
		return;
	if (row->is_secret) {
		bytes_buf_append_string(out, "(set)");
	} else if (row->type == CONFIG_BOOL) {
		bytes_buf_append_string(out, value->number ? "true" : "false");
	} else if (is_number(row->type)) {
		config_value_format(row->type, value->number, out);
	} else if (row->type == CONFIG_LIST) {
		for (size_t i = 0; i < value->n_items; i++) {
			if (i > 0)
				bytes_buf_append_byte(out, ' ');
			bytes_buf_append(out, value->items[i]);
		}
	} else {
		bytes_buf_append(out, value->text);
	}
}

void config_help(const struct config_row *rows, size_t n_rows, struct bytes_buf *out)
{
	static const char *const words[] = { [CONFIG_TEXT] = " TEXT",
		[CONFIG_CHOICE] = " WORD",
		[CONFIG_BOOL] = "",
		[CONFIG_INTEGER] = " N",
		[CONFIG_BYTES] = " SIZE",
		[CONFIG_DURATION] = " TIME",
		[CONFIG_LIST] = " TEXT ..." };

	for (const struct config_row *row = rows; row < rows + n_rows; row++) {
		bytes_buf_append_string(out, row->type == CONFIG_BOOL ? "  --[no-]" : "  --");
		for (const char *c = row->name; *c; c++)
			bytes_buf_append_byte(out, *c == '.' ? '-' : *c);
		bytes_buf_appendf(out, "%s\n      %s (", words[row->type], row->prose);
		append_range(row, out);
		if (row->initial && *row->initial && !row->is_secret)
			bytes_buf_appendf(out, "; default %s", row->initial);
		bytes_buf_append_string(out, ")\n");
	}
}
