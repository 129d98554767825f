/*
 * bind.c - what a request gives a compiled condition
 */
#include "plan.h"

bool expr_bind(const struct expr_sql *sql, const struct expr_environment *environment,
	struct store_stmt *stmt)
{
	/* Parameters that ended up in no part of the SQL have no number in the statement. */
	int n_known = store_n_parameters(stmt);
	for (size_t i = 0; i < sql->n_params; i++) {
		int index = (int)(sql->first_param + i);
		struct expr_value value;
		if (index > n_known)
			continue;
		if (!param_value(&sql->params[i], environment, &value))
			return false;
		if (value.type == EXPR_VALUE_INTEGER)
			store_bind_int64(stmt, index, value.integer);
		else if (value.type == EXPR_VALUE_REAL)
			store_bind_double(stmt, index, value.real);
		else if (value.type == EXPR_VALUE_TEXT)
			store_bind_text(stmt, index, value.text);
	}
	return true;
}
