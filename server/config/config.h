/*
 * config.h - settings: rows that say everything about a setting, and where its value came from
 *
 * A program declares its settings as rows: name, type, bounds, default, unit, prose. Values are
 * filled from the rows' defaults, then from a JSON file, then from command-line flags; later ones
 * win. Each value knows its origin, and each mistake names the setting, the value and what is
 * allowed. The help text comes from the same rows, so it is never out of date.
 *
 * Names are lower case with '-' and '.': "listen", "store.readers". The file holds either the full
 * name as a key or objects for the parts before a dot: {"store":{"readers":4}}. The flag of
 * "store.readers" is --store-readers.
 *
 * Threads: none inside; once filled, any thread may read.
 * Memory:  the rows are the caller's and static; config_free gives the rest back.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bytes.h"
#include "defer.h"
#include "err.h"

enum config_type {
	CONFIG_TEXT,     /* UTF-8; min and max bound its bytes */
	CONFIG_CHOICE,   /* one of the words in choices */
	CONFIG_BOOL,     /* true or false; the flag alone means true, --no-NAME false */
	CONFIG_INTEGER,  /* in the row's unit */
	CONFIG_BYTES,    /* an integer, or text with KiB, MiB or GiB: "64 MiB" */
	CONFIG_DURATION, /* in milliseconds; an integer, or text with ms, s, min, h or d: "2 s" */
	CONFIG_LIST      /* texts: in a file an array, as a flag given several times */
};

struct config_row {
	const char *name;
	enum config_type type;
	const char *initial; /* as on the command line; NULL: not set. A list: items separated by
				spaces */
	int64_t min, max;    /* of a number; of the bytes of a text or a list's item; both 0: any */
	const char *unit;    /* for people: "threads"; may be NULL */
	const char *choices; /* CONFIG_CHOICE: words separated by spaces */
	const char *prose;   /* one sentence, without its full stop */
	bool is_secret;      /* never shown: config_format gives "(set)" */
};

enum config_origin { CONFIG_UNSET, CONFIG_DEFAULT, CONFIG_FILE, CONFIG_FLAG };

struct config;

/* Settings for n_rows rows, filled with their defaults. A row whose own default does not fit is a
 * bug and aborts. Returns 0, or -1 (ERR_NOMEM). */
int config_new(const struct config_row *rows, size_t n_rows, struct config **ret, struct err *err);
void config_free(struct config *config);

/* Fills from a JSON document. Returns 0, or -1 (ERR_INVALID, with name of the setting, value and
 * range in the message), in which case the settings may be filled in part and must not be used. */
int config_load(struct config *config, struct bytes json, struct err *err);
/* As config_load, from a file of at most 1 MiB; ERR_IO when it cannot be read. */
int config_load_file(struct config *config, const char *path, struct err *err);

/* Fills from command-line arguments: --name value, --name=value, --flag, --no-flag. Stops at "--"
 * or at the first argument that is no flag. Returns how many arguments were used, or -1
 * (ERR_INVALID). */
int config_args(struct config *config, int argc, char *const argv[], struct err *err);

/* Sets one value, as text from the command line. Returns 0, or -1 (ERR_INVALID). */
int config_set(struct config *config, const char *name, struct bytes text,
	enum config_origin origin, struct err *err);

/* Values. Asking for a name that has no row, or as another type, is a bug and aborts. A number that
 * is not set is 0, a text {NULL, 0}. */
int64_t config_int64(const struct config *config, const char *name);
bool config_bool(const struct config *config, const char *name);
/* Of CONFIG_TEXT and CONFIG_CHOICE; terminated. */
struct bytes config_text(const struct config *config, const char *name);
size_t config_list_count(const struct config *config, const char *name);
struct bytes config_list_at(const struct config *config, const char *name, size_t index);
enum config_origin config_origin(const struct config *config, const char *name);
const char *config_origin_name(enum config_origin origin);

/* Appends the value as on the command line, for listings; a secret as "(set)". */
void config_format(const struct config *config, const char *name, struct bytes_buf *out);
/* Appends the help text: one entry for each row, with range, default and prose. */
void config_help(const struct config_row *rows, size_t n_rows, struct bytes_buf *out);

DEFER_DEFINE(struct config *, config_free)

#endif
