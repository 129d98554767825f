/*
 * schema.h - one immutable picture of a tenant's collections, with all that was worked out from it
 *
 * Made once per change of the schema, on the thread that made the change; then only read, by every
 * loop and executor thread, until the last reference goes.
 */
#ifndef RECORD_SCHEMA_H
#define RECORD_SCHEMA_H

#include <regex.h>
#include <stdatomic.h>

#include "expr.h"
#include "record.h"
#include "text_json_reader.h"
#include "text_json_writer.h"

#define NAME_MAX_BYTES  60
#define FIELDS_MAX      200 /* of a collection; the store allows foreign SQL 400 columns */
#define COLLECTIONS_MAX 1000
#define RULE_PARAM      10   /* parameters of rules start here; 1 to 9 are the statements' own */
#define TEXT_MAX        5000 /* characters of a text field that sets no maximum */
#define JSON_MAX        (1 << 20)
#define EDITOR_MAX      (5 << 20) /* bytes; a body's limit is lower */

enum field_type {
	FIELD_TEXT,
	FIELD_NUMBER,
	FIELD_BOOL,
	FIELD_EMAIL,
	FIELD_URL,
	FIELD_DATE,
	FIELD_AUTODATE,
	FIELD_SELECT,
	FIELD_JSON,
	FIELD_RELATION,
	FIELD_FILE,
	FIELD_PASSWORD,
	FIELD_EDITOR,
	FIELD_GEO_POINT,
	FIELD_TYPES
};

struct bytes_list {
	struct bytes *items;
	size_t n;
};

struct record_rule {
	bool is_null; /* superusers only; of a field: no restriction */
	struct bytes text;
	struct expr_sql sql; /* "1" when text is empty, "0" when it does not compile any more */
};

struct record_field {
	struct bytes id, name;
	struct bytes column; /* quoted */
	enum field_type type;
	bool is_system, is_hidden, is_presentable, is_required;
	bool is_primary;  /* the id */
	bool is_secret;   /* password, tokenKey: never shown, never asked for */
	bool is_list;     /* holds a JSON array */
	bool is_raw;      /* its column holds JSON: a list, json, geoPoint */
	bool is_computed; /* a json field of a view: its column may hold anything */
	bool convert_urls;
	int64_t cost; /* of password; PocketBase's, kept and not used: see docs/pocketbase.md */
	bool only_int, cascade_delete, on_create, on_update;
	/* Characters of text and password, choices of select, relation and file, bytes of json
	 * and editor; 0: none. */
	int64_t min, max;
	bool has_min, has_max; /* of min_number, max_number */
	double min_number, max_number;
	struct bytes min_date, max_date;
	struct bytes pattern, autogenerate;
	regex_t *regex; /* of pattern; NULL: none */
	struct bytes_list values;
	struct bytes_list only_domains, except_domains;
	struct bytes collection_id;
	const struct record_collection *target;
	/* Who may read and set it, row by row, beside the collection's own rules. */
	struct record_rule read_rule, write_rule;
	struct expr_guard read_guard; /* read_rule, for filters of clients */
	int read_column;              /* in client_columns: whether read_rule holds */
	/* of a file */
	bool is_protected;
	int64_t max_size;
	struct bytes_list mime_types, thumbs;
};

/* The first five every collection has; the others are options of auth collections. */
enum rule {
	RULE_LIST,
	RULE_VIEW,
	RULE_CREATE,
	RULE_UPDATE,
	RULE_DELETE,
	RULES,
	RULE_AUTH = RULES,
	RULE_MANAGE,
	RULE_SLOTS
};

/* What one column, or a constant, adds to a record's JSON. */
struct out_item {
	struct bytes name;
	struct bytes key;                 /* "name": or, of a constant, "name":"value" */
	const struct record_field *field; /* NULL: a constant */
	bool is_email;                    /* shown only when its owner says so */
};

struct record_collection {
	struct bytes id, name, table; /* table is the name, quoted */
	bool is_auth, is_view, is_system, is_superusers;
	bool has_files; /* a field of type file */
	struct record_rule rules[RULE_SLOTS];
	const struct auth_options *auth; /* of an auth collection; else NULL */
	int64_t n_revisions;             /* that are kept of each record */
	bool soft_delete;                /* what is deleted goes to the trash */
	struct record_field *fields;
	size_t n_fields;
	struct bytes_list indexes;
	struct bytes created, updated;
	struct bytes view_query;

	/* worked out */
	struct store_grant grant; /* of a view: what its SELECT may read */
	struct out_item *out;     /* in order of name */
	size_t n_out;
	/* The view rule, for the paths of clients' filters; is_row_open: it lets everybody. */
	struct expr_guard row_guard;
	bool is_row_open;
	struct bytes columns; /* t."a",t."b",... as out, constants left out */
	int email_visibility; /* its place in columns; -1 */
	unsigned rule_param; /* first parameter of rules: those of fields' read rules come before */
	unsigned n_ruled;    /* fields with a read rule */
	bool has_ruled_subquery;
	struct bytes client_columns; /* columns, and for each of n_ruled whether it may be read */
	struct bytes get_sql;        /* by id ?1, for superusers */
	struct bytes written_sql;    /* the same for all others */
	struct bytes view_sql;       /* and with the view rule */
};

struct schema_names {
	struct expr_schema expr;
	const struct record_schema *schema;
	bool for_clients; /* hidden fields do not exist, e-mail addresses keep their guard */
	struct expr_guard address_guard;
};

struct record_schema {
	atomic_uint n_refs;
	struct arena *arena;
	int64_t version;
	struct bytes cursor_key; /* that cursors of lists are signed with */
	struct record_collection *collections;
	size_t n_collections;
	struct schema_names rules, clients;
};

/* Reads the schema as the connection sees it. Returns 0 and one reference, or -1. */
int schema_load(struct store_conn *conn, struct record_schema **ret, struct err *err);
struct record_schema *schema_ref(struct record_schema *schema);
void schema_unref(struct record_schema *schema);

/* By name (whatever its case) or id; NULL when there is none. */
const struct record_collection *schema_find(const struct record_schema *schema, struct bytes name);
const struct record_field *collection_field(
	const struct record_collection *collection, struct bytes name);
/* Sets up what names mean to rules and to clients' filters (names.c), once the collections have
 * been read. False when the arena is full. */
bool names_init(struct record_schema *schema);
/* True when one index alone makes the field unique. */
bool field_is_unique(const struct record_collection *collection, const struct record_field *field);
/* As store_prepare, for a statement that reads this collection's table: a view's runs under its
 * grant. */
enum store_outcome collection_prepare(struct store_conn *conn,
	const struct record_collection *collection, struct bytes sql, struct store_stmt **ret);
/* "base", "auth", "view". */
const char *collection_type_name(const struct record_collection *collection);
/* As the collections API has it. */
void collection_write(struct text_json_writer *writer, const struct record_collection *collection);

/* ---- fields (field.c) ---- */
enum field_result {
	FIELD_OK,
	FIELD_NO_OBJECT,   /* no object, or its type is none that we know */
	FIELD_BAD_OPTION,  /* *ret_option has a value of another kind */
	FIELD_BAD_PATTERN, /* the pattern is no regular expression that is supported here */
	FIELD_NOMEM
};
/* Reads a field object and prepares it. Whether its options fit each other, field_check says. */
enum field_result field_parse(
	struct bytes json, struct arena *arena, struct record_field *ret, const char **ret_option);
/* Works out column, is_list, regex and so on from what was read. */
enum field_result field_prepare(struct record_field *field, struct arena *arena);
void field_fini(struct record_field *field);
void field_write(struct text_json_writer *writer, const struct record_field *field);
/* Not everybody who sees the record may read the field. */
static inline bool field_is_ruled(const struct record_field *field)
{
	return field->read_rule.text.n > 0;
}
/* Whether values of this type can be made into those of others and back. */
bool field_can_convert(enum field_type type);
/* The column as CREATE TABLE has it, without its name. */
const char *field_column_type(const struct record_field *field);
/* "text", as the API has it. */
const char *field_type_name(enum field_type type);
/* True for names that a field or a collection of a user's may have. */
bool name_is_valid(struct bytes name);
/* True for the words that mean something else where a field is named. */
bool name_is_reserved(struct bytes name);
/* The name in quotes; it has none of its own. */
struct bytes name_quote(struct arena *arena, struct bytes name);
/* The texts of a JSON array, copied. */
bool bytes_list_parse(struct bytes json, struct arena *arena, struct bytes_list *ret);

DEFER_DEFINE(struct record_schema *, schema_unref)

#endif
