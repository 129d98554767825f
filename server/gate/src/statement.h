/*
 * statement.h - a declared statement on a connection: its grant, its values
 */
#ifndef GATE_STATEMENT_H
#define GATE_STATEMENT_H

#include "gate.h"

struct statement_tables {
	struct bytes read[PLUGIN_GRANTS_MAX], write[PLUGIN_GRANTS_MAX];
};

/* What the statement may touch: it reads the collections that were granted to be read, and writes
 * those whose granted actions cover what it does. The grant borrows tables. */
void statement_grant(const struct plugin_version *version, const struct plugin_granted *granted,
	const struct plugin_statement *statement, uint64_t deadline_ns,
	struct statement_tables *tables, struct store_grant *ret);

/* Prepares it under the grant that is set and binds the values by name. Returns STORE_OK, or
 * STORE_REFUSED with a sentence in message, or what the store said. values NULL: only prepares and
 * checks that each parameter exists. */
enum store_outcome statement_prepare(struct store_conn *conn,
	const struct plugin_statement *statement, const struct wire_list *values,
	struct store_stmt **ret, char *message, size_t message_bytes);

bool statement_is_write(const struct plugin_statement *statement);

#endif
