/*
 * order_rules.c - what a shop wants to be sure of: nothing is sold that is not there
 *
 * Before an order line is created the hook looks at the product's stock, so that the customer gets
 * an answer that says how much there is, and attaches a guarded UPDATE to the pending write. The
 * server runs that UPDATE in the write's own savepoint: of many lines for the last piece exactly
 * one succeeds, however the hooks were interleaved.
 */
#include <stdio.h>

#include <tenon/plugin.h>

#ifndef TENON_BUILD_NUMBER
#define TENON_BUILD_NUMBER 1
#endif
#define TEXT_OF(number)   #number
#define STRING_OF(number) TEXT_OF(number)

#ifndef ORDER_RULES_VERSION
#error "the build takes the version from the manifest"
#endif

/* Ids of the manifest. */
enum { ROUTE_HELLO = 1, ROUTE_BUILD = 2, ROUTE_TOTALS = 3 };
enum { HOOK_LINE_CREATE = 1 };

struct tenon_instance {
	const struct tenon_call_api *call;
	const struct tenon_db_api *db;
	const struct tenon_json_api *json;
	const struct tenon_log_api *log;
};

static struct tenon_instance self;

/* One line of 64 characters. */
#define LINE "A tenon fits its mortise and holds the frame without any glue.  "

static const char hello[] = "{\"hello\":\"world\",\"text\":\"" LINE LINE LINE LINE LINE LINE LINE
	LINE LINE LINE LINE LINE LINE LINE LINE LINE "\"}";

static const char build[] =
	"{\"version\":\"" ORDER_RULES_VERSION "\",\"build\":" STRING_OF(TENON_BUILD_NUMBER) "}";

static int32_t create(struct tenon_host *host, struct tenon_call *boot,
	const struct tenon_config *config, struct tenon_instance **out)
{
	(void)config;
	self.call = host->iface(host, TENON_CALL_ID, 1);
	self.db = host->iface(host, TENON_DB_ID, 1);
	self.json = host->iface(host, TENON_JSON_ID, 1);
	self.log = host->iface(host, TENON_LOG_ID, 1);
	if (!self.call || !self.db || !self.json || !self.log)
		return TENON_E_UNSUPPORTED;
	self.log->write(boot, TENON_LOG_INFO,
		TENON_LIT("order-rules " ORDER_RULES_VERSION " is ready"), NULL, 0);
	*out = &self;
	return TENON_OK;
}

static void destroy(struct tenon_instance *instance)
{
	(void)instance;
}

/* Answers with JSON that stays where it is until the call ends. */
static int32_t answer(struct tenon_call *call, const char *body, size_t n)
{
	const struct tenon_response response = {
		.size = sizeof response,
		.flags = TENON_RESPONSE_BORROW_BODY,
		.status = 200,
		.body = body,
		.body_n = n,
	};

	return self.call->respond(call, &response);
}

static int32_t refuse(struct tenon_call *call, struct tenon_str message, struct tenon_str reason,
	struct tenon_str field)
{
	const struct tenon_error error = {
		.size = sizeof error,
		.code = TENON_E_PRECOND,
		.http_status = 400,
		.message = message,
		.reason = reason,
		.field = field,
	};

	return self.call->fail(call, &error);
}

/* ---- the hook: is there enough? ---- */

static double number_of(const struct tenon_value *value)
{
	return value->type == TENON_TYPE_INTEGER ? (double)value->integer : value->real;
}

/* The stock of a product. NOT_FOUND: there is no such product. */
static int32_t find_stock(struct tenon_call *call, const struct tenon_value *product, double *stock)
{
	const struct tenon_statement statement = {
		.size = sizeof statement,
		.name = TENON_STR("stock"),
		.args = product,
		.n_args = 1,
	};
	struct tenon_rows *rows;
	const struct tenon_value *values;
	size_t n;
	int32_t status = self.db->query(call, &statement, &rows);

	if (status != TENON_OK)
		return status;
	status = self.db->next(rows, &values, &n);
	if (status == TENON_OK)
		*stock = number_of(&values[0]);
	return status;
}

static int32_t attach_take(struct tenon_call *call, const struct tenon_value *quantity,
	const struct tenon_value *product)
{
	const struct tenon_value args[] = { *quantity, *product };
	const struct tenon_attachment attachment = {
		.size = sizeof attachment,
		.name = TENON_STR("take"),
		.args = args,
		.n_args = 2,
		.message = TENON_STR("not enough in stock any more"),
		.reason = TENON_STR("out_of_stock"),
		.field = TENON_STR("quantity"),
	};

	return self.db->attach(call, &attachment);
}

static int32_t before_line_create(struct tenon_call *call)
{
	struct tenon_str field_quantity = TENON_STR("quantity"),
			 field_product = TENON_STR("product");
	struct tenon_str positive = TENON_STR("must be more than 0");
	struct tenon_str unknown = TENON_STR("no such product");
	struct tenon_str word_invalid = TENON_STR("invalid"),
			 word_stock = TENON_STR("out_of_stock");
	struct tenon_json *record;
	struct tenon_value product, quantity;
	const void *body;
	size_t body_n;
	double stock = 0;
	int32_t status = self.call->body(call, &body, &body_n);

	if (status == TENON_OK)
		status = self.json->parse(call, body, body_n, &record);
	if (status != TENON_OK)
		return status;
	if (self.json->get(record, TENON_LIT("/product"), &product) != TENON_OK ||
		product.type != TENON_TYPE_TEXT || product.text.n == 0)
		return refuse(call, unknown, word_invalid, field_product);
	/* A negative quantity would fill the shelf. */
	if (self.json->get(record, TENON_LIT("/quantity"), &quantity) != TENON_OK ||
		(quantity.type != TENON_TYPE_INTEGER && quantity.type != TENON_TYPE_REAL) ||
		!(number_of(&quantity) > 0))
		return refuse(call, positive, word_invalid, field_quantity);
	status = find_stock(call, &product, &stock);
	if (status == TENON_E_NOT_FOUND)
		return refuse(call, unknown, word_invalid, field_product);
	if (status != TENON_OK)
		return status;
	if (number_of(&quantity) > stock) {
		char text[48];
		int n = snprintf(text, sizeof text, "%.15g in stock", stock);
		return refuse(
			call, (struct tenon_str){ text, (size_t)n }, word_stock, field_quantity);
	}
	return attach_take(call, &quantity, &product);
}

/* ---- the route: what has each customer spent? ---- */

static int32_t totals(struct tenon_call *call)
{
	const struct tenon_statement statement = {
		.size = sizeof statement,
		.name = TENON_STR("totals"),
	};
	const struct tenon_json_api *json = self.json;
	struct tenon_rows *rows;
	struct tenon_json_out *out;
	struct tenon_str text;
	const struct tenon_value *values;
	size_t n;
	int32_t status = self.db->query(call, &statement, &rows);

	if (status == TENON_OK)
		status = json->build(call, &out);
	if (status != TENON_OK)
		return status;
	/* The first failure is remembered: finish() tells. */
	json->begin(out, TENON_TYPE_OBJECT);
	json->key(out, TENON_LIT("items"));
	json->begin(out, TENON_TYPE_ARRAY);
	while (self.db->next(rows, &values, &n) == TENON_OK && n == 4) {
		json->begin(out, TENON_TYPE_OBJECT);
		json->key(out, TENON_LIT("customer"));
		json->put(out, &values[0]);
		json->key(out, TENON_LIT("name"));
		json->put(out, &values[1]);
		json->key(out, TENON_LIT("orders"));
		json->put(out, &values[2]);
		json->key(out, TENON_LIT("total"));
		json->put(out, &values[3]);
		json->end(out);
	}
	json->end(out);
	json->end(out);
	status = json->finish(out, &text);
	return status == TENON_OK ? answer(call, text.p, text.n) : status;
}

static int32_t invoke(struct tenon_instance *instance, struct tenon_call *call)
{
	const struct tenon_call_info *info = instance->call->info(call);

	if (info->kind == TENON_KIND_HOOK)
		return info->route_id == HOOK_LINE_CREATE ? before_line_create(call)
							  : TENON_E_UNSUPPORTED;
	switch (info->route_id) {
	case ROUTE_HELLO:
		return answer(call, hello, sizeof hello - 1);
	case ROUTE_BUILD:
		return answer(call, build, sizeof build - 1);
	case ROUTE_TOTALS:
		return totals(call);
	default:
		return TENON_E_UNSUPPORTED;
	}
}

const struct tenon_plugin tenon_plugin_v1 = {
	.size = sizeof tenon_plugin_v1,
	.abi_major = TENON_ABI_MAJOR,
	.abi_minor = TENON_ABI_MINOR,
	.target = TENON_TARGET,
	.concurrency = TENON_COOPERATIVE,
	.id = "order-rules",
	.version = ORDER_RULES_VERSION,
	.create = create,
	.invoke = invoke,
	.destroy = destroy,
};
