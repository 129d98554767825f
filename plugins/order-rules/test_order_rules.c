/*
 * The rules of the shop against a host that is made of three tables and a handful of answers: what
 * the plugin asks for, in which order, and what it says.
 */
#include <stdio.h>
#include <string.h>

#include "unit.h"

#include <tenon/plugin.h>

struct tenon_call {
	struct tenon_call_info info;
	const char *body;
};

/* What the database holds, and what the plugin did. */
static struct {
	int n_rows;
	double stock;
	int32_t query_status, attach_status;
	char asked[64], attached[64], message[64], field[32];
	double taken;
	int32_t failed;
	uint32_t status;
	char answer[2048];
} world;

static const struct tenon_call_info *fake_info(struct tenon_call *call)
{
	return &call->info;
}

static int32_t fake_body(struct tenon_call *call, const void **out, size_t *out_n)
{
	*out = call->body;
	*out_n = strlen(call->body);
	return TENON_OK;
}

static int32_t fake_respond(struct tenon_call *call, const struct tenon_response *response)
{
	(void)call;
	world.status = response->status;
	(void)snprintf(world.answer, sizeof world.answer, "%.*s", (int)response->body_n,
		(const char *)response->body);
	return TENON_OK;
}

static int32_t fake_fail(struct tenon_call *call, const struct tenon_error *error)
{
	(void)call;
	world.failed = error->code;
	(void)snprintf(world.message, sizeof world.message, "%.*s", (int)error->message.n,
		error->message.p);
	(void)snprintf(
		world.field, sizeof world.field, "%.*s", (int)error->field.n, error->field.p);
	return error->code;
}

static int32_t fake_query(
	struct tenon_call *call, const struct tenon_statement *statement, struct tenon_rows **out)
{
	(void)call;
	*out = NULL;
	(void)snprintf(
		world.asked, sizeof world.asked, "%.*s", (int)statement->name.n, statement->name.p);
	return world.query_status;
}

static int32_t fake_next(struct tenon_rows *rows, const struct tenon_value **values, size_t *n)
{
	static struct tenon_value row[1];

	(void)rows;
	if (world.n_rows-- <= 0)
		return TENON_E_NOT_FOUND;
	row[0] = (struct tenon_value){ .type = TENON_TYPE_REAL, .real = world.stock };
	*values = row;
	*n = 1;
	return TENON_OK;
}

static int32_t fake_attach(struct tenon_call *call, const struct tenon_attachment *attachment)
{
	(void)call;
	(void)snprintf(world.attached, sizeof world.attached, "%.*s", (int)attachment->name.n,
		attachment->name.p);
	world.taken = attachment->args[0].real;
	return world.attach_status;
}

/* Just enough of JSON: "name":value, where the value is a number or a string. */
static int32_t fake_parse(
	struct tenon_call *call, const void *text, size_t text_n, struct tenon_json **out)
{
	(void)text_n;
	(void)text;
	*out = (struct tenon_json *)(void *)call;
	return TENON_OK;
}

static int32_t fake_get(
	struct tenon_json *json, const char *pointer, size_t pointer_n, struct tenon_value *out)
{
	const struct tenon_call *call = (const struct tenon_call *)(const void *)json;
	char key[32];

	(void)snprintf(key, sizeof key, "\"%.*s\":", (int)pointer_n - 1, pointer + 1);
	const char *at = strstr(call->body, key);
	if (!at)
		return TENON_E_NOT_FOUND;
	at += strlen(key);
	*out = (struct tenon_value){ .type = TENON_TYPE_REAL };
	if (*at == '"')
		*out = (struct tenon_value){ .type = TENON_TYPE_TEXT,
			.text = { at + 1, strcspn(at + 1, "\"") } };
	else
		(void)sscanf(at, "%lf", &out->real);
	return TENON_OK;
}

static void fake_log(struct tenon_call *call, uint32_t level, const char *message, size_t message_n,
	const struct tenon_pair *fields, size_t n_fields)
{
	(void)call, (void)level, (void)message, (void)message_n, (void)fields, (void)n_fields;
}

static const void *fake_iface(struct tenon_host *host, const char *id, uint32_t min_rev)
{
	static const struct tenon_call_api call = { .size = sizeof call,
		.rev = 1,
		.info = fake_info,
		.body = fake_body,
		.respond = fake_respond,
		.fail = fake_fail };
	static const struct tenon_db_api db = { .size = sizeof db,
		.rev = 1,
		.query = fake_query,
		.next = fake_next,
		.attach = fake_attach };
	static const struct tenon_json_api json = {
		.size = sizeof json, .rev = 1, .parse = fake_parse, .get = fake_get
	};
	static const struct tenon_log_api log = { .size = sizeof log, .rev = 1, .write = fake_log };

	(void)host, (void)min_rev;
	return strcmp(id, TENON_CALL_ID) == 0   ? (const void *)&call
	       : strcmp(id, TENON_DB_ID) == 0   ? (const void *)&db
	       : strcmp(id, TENON_JSON_ID) == 0 ? (const void *)&json
	       : strcmp(id, TENON_LOG_ID) == 0  ? (const void *)&log
						: NULL;
}

/* Enters the plugin's hook with that record. */
static int32_t hook(const char *record)
{
	struct tenon_host host = { .size = sizeof host, .iface = fake_iface };
	struct tenon_call call = {
		.info = { .size = sizeof call.info, .kind = TENON_KIND_HOOK, .route_id = 1 },
		.body = record
	};
	struct tenon_instance *instance = NULL;
	const struct tenon_config config = { .size = sizeof config };

	CU_ASSERT_EQUAL_FATAL(tenon_plugin_v1.create(&host, &call, &config, &instance), TENON_OK);
	return tenon_plugin_v1.invoke(instance, &call);
}

static void reset(double stock)
{
	memset(&world, 0, sizeof world);
	world.n_rows = 1;
	world.stock = stock;
}

static void more_than_there_is_is_refused_with_the_number(void)
{
	reset(39);
	CU_ASSERT_EQUAL(hook("{\"product\":\"p\",\"quantity\":40}"), TENON_E_PRECOND);
	CU_ASSERT_STRING_EQUAL(world.message, "39 in stock");
	CU_ASSERT_STRING_EQUAL(world.field, "quantity");
	CU_ASSERT_STRING_EQUAL(world.attached, "");
}

static void what_is_there_is_taken_by_a_guarded_write(void)
{
	reset(39);
	CU_ASSERT_EQUAL(hook("{\"product\":\"p\",\"quantity\":39}"), TENON_OK);
	CU_ASSERT_STRING_EQUAL(world.asked, "stock");
	CU_ASSERT_STRING_EQUAL(world.attached, "take");
	CU_ASSERT_EQUAL(world.taken, 39);
}

static void nothing_less_than_something_is_sold(void)
{
	static const char *const records[] = {
		"{\"product\":\"p\",\"quantity\":0}",
		"{\"product\":\"p\",\"quantity\":-5}",
		"{\"product\":\"p\",\"quantity\":\"5\"}",
		"{\"product\":\"p\"}",
	};

	for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
		reset(39);
		CU_ASSERT_EQUAL(hook(records[i]), TENON_E_PRECOND);
		CU_ASSERT_STRING_EQUAL(world.message, "must be more than 0");
		CU_ASSERT_STRING_EQUAL(world.attached, "");
	}
}

static void a_product_that_is_not_there_is_named(void)
{
	reset(39);
	CU_ASSERT_EQUAL(hook("{\"quantity\":1}"), TENON_E_PRECOND);
	CU_ASSERT_STRING_EQUAL(world.field, "product");
	reset(39);
	world.n_rows = 0;
	CU_ASSERT_EQUAL(hook("{\"product\":\"p\",\"quantity\":1}"), TENON_E_PRECOND);
	CU_ASSERT_STRING_EQUAL(world.message, "no such product");
}

static void what_the_host_refuses_travels_on(void)
{
	reset(39);
	world.query_status = TENON_E_DEADLINE;
	CU_ASSERT_EQUAL(hook("{\"product\":\"p\",\"quantity\":1}"), TENON_E_DEADLINE);
	reset(39);
	world.attach_status = TENON_E_DENIED;
	CU_ASSERT_EQUAL(hook("{\"product\":\"p\",\"quantity\":1}"), TENON_E_DENIED);
}

static const struct unit_test tests[] = {
	UNIT(more_than_there_is_is_refused_with_the_number),
	UNIT(what_is_there_is_taken_by_a_guarded_write),
	UNIT(nothing_less_than_something_is_sold),
	UNIT(a_product_that_is_not_there_is_named),
	UNIT(what_the_host_refuses_travels_on),
};
UNIT_MAIN("order_rules", tests)
