#include "statement.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "text_utf8.h"

bool statement_is_write(const struct plugin_statement *statement)
{
	return statement->kind == PLUGIN_EXEC || statement->kind == PLUGIN_WRITE;
}

/* The text behind white space and comments. */
static struct bytes skip_blank(struct bytes sql)
{
	while (sql.n) {
		if (strchr(" \t\r\n", sql.p[0])) {
			sql.p++, sql.n--;
		} else if (sql.n >= 2 && memcmp(sql.p, "--", 2) == 0) {
			const char *end = memchr(sql.p, '\n', sql.n);
			size_t n = end ? (size_t)(end - sql.p) + 1 : sql.n;
			sql.p += n, sql.n -= n;
		} else if (sql.n >= 2 && memcmp(sql.p, "/*", 2) == 0) {
			const char *end = sql.n > 3 ? memmem(sql.p + 2, sql.n - 2, "*/", 2) : NULL;
			size_t n = end ? (size_t)(end - sql.p) + 2 : sql.n;
			sql.p += n, sql.n -= n;
		} else {
			break;
		}
	}
	return sql;
}

static bool starts_with_word(struct bytes sql, const char *word)
{
	size_t n = strlen(word);
	return sql.n > n && strncasecmp(sql.p, word, n) == 0;
}

static bool contains_word(struct bytes sql, const char *word)
{
	size_t n = strlen(word);
	for (size_t i = 0; i + n <= sql.n; i++)
		if (strncasecmp(sql.p + i, word, n) == 0)
			return true;
	return false;
}

/* The writes that a collection must have been granted for this statement to make them. Where the
 * text could mean more than one, all of them are asked for: that refuses, and never allows, too
 * much. */
static uint32_t needed_writes(const struct plugin_statement *statement)
{
	struct bytes sql = skip_blank(statement->sql);
	uint32_t actions = PLUGIN_GRANT_ANY_WRITE;
	if (starts_with_word(sql, "insert"))
		actions = PLUGIN_GRANT_CREATE;
	else if (starts_with_word(sql, "update"))
		actions = PLUGIN_GRANT_UPDATE;
	else if (starts_with_word(sql, "delete"))
		actions = PLUGIN_GRANT_DELETE;
	if (contains_word(sql, "conflict"))
		actions |= PLUGIN_GRANT_UPDATE;
	if (contains_word(sql, "replace"))
		actions |= PLUGIN_GRANT_ANY_WRITE;
	return actions;
}

static size_t list_tables(const struct plugin_version *version,
	const struct plugin_granted *granted, uint32_t needed, struct bytes *tables)
{
	size_t n = 0;
	for (unsigned i = 0; i < version->manifest.n_grants; i++)
		if ((granted->actions[i] & needed) == needed)
			tables[n++] = version->manifest.grants[i].collection;
	return n;
}

void statement_grant(const struct plugin_version *version, const struct plugin_granted *granted,
	const struct plugin_statement *statement, uint64_t deadline_ns,
	struct statement_tables *tables, struct store_grant *ret)
{
	*ret = (struct store_grant){
		.tables = tables->read,
		.n_tables = list_tables(version, granted, PLUGIN_GRANT_READ, tables->read),
		.may_write = statement_is_write(statement),
		.deadline_ns = deadline_ns,
	};
	if (!ret->may_write)
		return;
	uint32_t needed = needed_writes(statement);
	ret->write_tables = tables->write;
	ret->n_write_tables = list_tables(version, granted, needed, tables->write);
	/* A record that is there is changed by its id; one that is created has none yet. */
	if (needed & (PLUGIN_GRANT_UPDATE | PLUGIN_GRANT_DELETE))
		ret->write_key = "id";
}

static bool bind_value(struct store_stmt *stmt, int index, const struct wire_value *value)
{
	switch (value->type) {
	case WIRE_NULL:
		store_bind_null(stmt, index);
		return true;
	case WIRE_INTEGER:
	case WIRE_BOOL:
		store_bind_int64(stmt, index, value->integer);
		return true;
	case WIRE_REAL:
		store_bind_double(stmt, index, value->real);
		return true;
	case WIRE_TEXT:
		if (!text_utf8_is_valid(value->text))
			return false;
		store_bind_text(stmt, index, value->text);
		return true;
	case WIRE_BLOB:
		store_bind_blob(stmt, index, value->text);
		return true;
	}
	return false;
}

enum store_outcome statement_prepare(struct store_conn *conn,
	const struct plugin_statement *statement, const struct wire_list *values,
	struct store_stmt **ret, char *message, size_t message_bytes)
{
	enum store_outcome outcome = store_prepare_foreign(conn, statement->sql, ret);
	if (outcome == STORE_REFUSED)
		snprintf(message, message_bytes, "%s", store_message(conn));
	if (outcome != STORE_OK)
		return outcome;
	struct wire_list rest = values ? *values : (struct wire_list){ 0 };
	for (unsigned i = 0; i < statement->n_params; i++) {
		char name[PLUGIN_NAME_MAX + 2];
		struct bytes param = statement->params[i];
		snprintf(name, sizeof name, ":%.*s", (int)param.n, param.p);
		int index = store_parameter(*ret, name);
		struct wire_value value;
		if (index == 0) {
			snprintf(message, message_bytes, "its SQL has no parameter %s", name);
			return STORE_REFUSED;
		}
		if (!values)
			continue;
		if (!wire_next_value(&rest, &value) || !bind_value(*ret, index, &value)) {
			snprintf(message, message_bytes, "the value of %s is not UTF-8", name);
			return STORE_REFUSED;
		}
	}
	return STORE_OK;
}
