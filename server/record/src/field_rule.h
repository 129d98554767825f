/*
 * field_rule.h - who may read and who may set one field, row by row
 *
 * A field's readRule and writeRule are texts of the rule language, asked about the very row, with
 * @request.*; null and "" restrict nobody, superusers pass. A value that may not be read is left
 * out of answers and reads as null wherever a client names it; one that may not be set is passed
 * over as a read-only field is.
 */
#ifndef RECORD_FIELD_RULE_H
#define RECORD_FIELD_RULE_H

#include "flaws.h"
#include "schema.h"

struct record_work;

/* Compiles the rules of all fields, and makes client_columns and rule_param. False when the arena
 * is full. A rule that does not compile lets nobody in. */
bool field_rules_compile(struct record_schema *schema, struct record_collection *collection);
/* Adds a flaw for each rule that does not compile in work->new_schema. */
void field_rules_check(
	struct record_work *work, const struct record_collection *collection, struct flaws *flaws);

/* ---- writes: which of the values that were sent may stand ---- */
/* Makes work->sent and work->locked, by fields, if this viewer has rules to meet: body_apply notes
 * what was sent and passes over what is locked. False when the arena is full. */
bool field_rules_begin(struct record_work *work);
/* On the writer's connection, before an update: asks the write rules about the row as it is, for
 * body_apply. */
enum store_outcome field_rules_ask(struct record_work *work, struct store_conn *conn);
/* Before an insert: asks about the row as it would be, and puts what may not be set back to its
 * default. Adds to call->ignored, or problems when the call is strict. */
enum store_outcome field_rules_apply(struct record_work *work, struct store_conn *conn);

#endif
