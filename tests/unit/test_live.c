#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "live.h"
#include "migrate.h"
#include "record.h"
#include "text_json_check.h"

/* One tenant, one loop that this thread runs, and clients whose streams are buffers. */
struct ear {
	struct live_client *client;
	struct bytes_buf heard;
	size_t n_pending; /* what it has not read */
	bool is_slow, has_ended;
};

static struct {
	char folder[64];
	struct loop *loop;
	struct executor *executor;
	struct store *control;
	struct tenant_catalogue *tenants;
	struct tenant *tenant;
	struct tenant_use use; /* keeps the database open */
	struct record_book *book;
	struct live *live;
	struct live_hub *hub;
	struct arena *arena;
	int status;
	char id[32];
	enum live_subscribe_outcome outcome;
} fix;

static bool sink_write(void *stream, struct bytes data)
{
	struct ear *ear = stream;

	if (ear->is_slow)
		ear->n_pending += data.n;
	return bytes_buf_append(&ear->heard, data);
}

static size_t sink_pending(void *stream)
{
	return ((struct ear *)stream)->n_pending;
}

static void sink_end(void *stream)
{
	((struct ear *)stream)->has_ended = true;
}

static int open_book(void *context, struct tenant *tenant, const char *path,
	struct store **ret_store, void **ret_hung, struct err *err)
{
	struct record_boot boot = { 0 };
	struct record_book *book = NULL;
	const struct store_config config = { .path = path,
		.n_loops = 1,
		.n_readers = 2,
		.write_queue_limit = 100,
		.on_open = record_on_open,
		.on_open_context = &boot };

	(void)context;
	if (store_open(&config, fix.executor, ret_store, err) < 0)
		return -1;
	const struct record_config book_config = { .store = *ret_store,
		.executor = fix.executor,
		.boot = &boot,
		.tenant = bytes_of(tenant_name(tenant)),
		.events = live_hub_events(live_hub(fix.live, tenant)) };
	if (record_book_new(&book_config, &book, err) < 0)
		return -1;
	*ret_hung = book;
	return 0;
}

static struct record_book *book_of(void *hung)
{
	return hung;
}

static void close_book(void *context, struct store *store, void *hung)
{
	(void)context;
	record_book_free(hung);
	store_close(store);
}

static void on_tenant(struct tenant_request *request)
{
	loop_stop(request->loop);
}

static void on_open(struct tenant_use *use, bool is_open)
{
	CU_ASSERT_FATAL(is_open);
	loop_stop(use->loop);
}

static void setup_with(unsigned per_tenant, unsigned per_address)
{
	struct executor_config lanes = { .n_threads = { [EXECUTOR_READ] = 2,
						 [EXECUTOR_FILE] = 1,
						 [EXECUTOR_PASSWORD] = 1,
						 [EXECUTOR_WRITE] = 1 },
		.queue_limit = { 1000, 1000, 1000, 1000 } };
	struct err err = { 0 };
	char path[128];

	memset(&fix, 0, sizeof fix);
	strcpy(fix.folder, "/tmp/tenon-live-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(fix.folder));
	CU_ASSERT_EQUAL_FATAL(executor_new(&lanes, &fix.executor, &err), 0);
	CU_ASSERT_EQUAL_FATAL(loop_new(0, &fix.loop, &err), 0);
	CU_ASSERT_EQUAL_FATAL(arena_new(16u << 20, &fix.arena, &err), 0);
	const struct live_config live = { .loops = &fix.loop,
		.n_loops = 1,
		.clients_per_tenant = per_tenant,
		.clients_per_address = per_address,
		.book_of = book_of,
		.sink = { sink_write, sink_pending, sink_end } };
	CU_ASSERT_EQUAL_FATAL(live_new(&live, &fix.live, &err), 0);
	(void)snprintf(path, sizeof path, "%s/control.db", fix.folder);
	const struct store_config store = { .path = path,
		.n_loops = 1,
		.n_readers = 1,
		.write_queue_limit = 16,
		.on_open = migrate_on_open,
		.on_open_context = (void *)(uintptr_t)migrate_control() };
	CU_ASSERT_EQUAL_FATAL(store_open(&store, fix.executor, &fix.control, &err), 0);
	const struct tenant_config tenants = { .data_folder = fix.folder,
		.control = fix.control,
		.executor = fix.executor,
		.on_open = open_book,
		.on_close = close_book };
	CU_ASSERT_EQUAL_FATAL(tenant_catalogue_open(&tenants, &fix.tenants, &err), 0);
	struct tenant_request request = { .done = on_tenant, .loop = fix.loop };
	tenant_create(fix.tenants, BYTES("shop"), &request);
	CU_ASSERT_EQUAL_FATAL(loop_run(fix.loop, NULL), 0);
	fix.tenant = tenant_find(fix.tenants, BYTES("shop"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(fix.tenant);
	fix.use = (struct tenant_use){ .done = on_open, .loop = fix.loop };
	tenant_use_begin(fix.tenant, &fix.use);
	CU_ASSERT_EQUAL_FATAL(loop_run(fix.loop, NULL), 0);
	fix.book = tenant_hung(fix.tenant);
	fix.hub = live_hub(fix.live, fix.tenant);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fix.hub);
}

/* Runs the loop until every line is worked off. */
static void settle(void)
{
	for (int i = 0; i < 2000; i++) {
		loop_stop(fix.loop);
		CU_ASSERT_EQUAL_FATAL(loop_run(fix.loop, NULL), 0);
		if (live_is_idle(fix.live))
			return;
		usleep(500);
	}
	CU_FAIL_FATAL("the line is never worked off");
}

static void teardown(void)
{
	char command[128];

	settle();
	tenant_use_end(&fix.use);
	tenant_catalogue_close(fix.tenants);
	live_free(fix.live);
	store_close(fix.control);
	executor_free(fix.executor);
	loop_free(fix.loop);
	arena_free(fix.arena);
	(void)snprintf(command, sizeof command, "rm -rf %s", fix.folder);
	CU_ASSERT_EQUAL(system(command), 0);
}

/* ---- records ---- */

static const struct record_viewer superuser = { .is_superuser = true };
static const struct record_viewer guest = { 0 };

static void on_call(struct record_call *call)
{
	const char *at;

	fix.status = call->status;
	bytes_buf_append_byte(&call->answer, '\0');
	at = call->answer.p ? strstr(call->answer.p, "\"id\":\"") : NULL;
	if (at && call->status == 200)
		(void)bytes_to_string(
			(struct bytes){ at + 6, strcspn(at + 6, "\"") }, fix.id, sizeof fix.id);
	record_call_fini(call);
	loop_stop(call->loop);
}

static void write_record(void (*start)(struct record_call *), const char *collection,
	const char *id, const char *body)
{
	struct record_call call = { .book = fix.book,
		.loop = fix.loop,
		.arena = fix.arena,
		.viewer = superuser,
		.collection = bytes_of(collection),
		.id = bytes_of(id),
		.body = bytes_of(body),
		.method = BYTES("POST"),
		.done = on_call };

	fix.status = 0;
	start(&call);
	while (fix.status == 0)
		CU_ASSERT_EQUAL_FATAL(loop_run(fix.loop, NULL), 0);
	if (fix.status >= 300)
		printf("%s %s: %d\n", collection, body ? body : "", fix.status);
	CU_ASSERT(fix.status < 300);
	arena_reset(fix.arena);
}

#define RULES_OF(list, view) "\"listRule\":" list ",\"viewRule\":" view
#define FIELDS                                                                                     \
	",\"fields\":[{\"name\":\"title\",\"type\":\"text\"},{\"name\":\"secret\",\"type\":"       \
	"\"text\",\"hidden\":true},{\"name\":\"n\",\"type\":\"number\"},{\"name\":\"j\","          \
	"\"type\":\"json\"},{\"name\":\"owner\",\"type\":\"text\"}]}"

static void make_posts(const char *rules)
{
	char body[1024];

	(void)snprintf(body, sizeof body, "{\"name\":\"posts\",\"type\":\"base\",%s" FIELDS, rules);
	write_record(record_collection_create, "", NULL, body);
}

/* ---- clients ---- */

static enum live_join_result join_as(struct ear *ear, const char *address, const char *last_id)
{
	enum live_join_result result;

	memset(ear, 0, sizeof *ear);
	bytes_buf_init(&ear->heard, LIVE_BUFFER_BYTES_MAX);
	/* A client joins on its loop. */
	result = live_join(fix.hub, fix.loop, bytes_of(address), bytes_of(last_id), &ear->client);
	if (result == LIVE_JOINED)
		live_open(ear->client, ear);
	return result;
}

static void join(struct ear *ear)
{
	CU_ASSERT_EQUAL_FATAL(join_as(ear, "192.0.2.1", ""), LIVE_JOINED);
}

struct leaving {
	struct loop_message message;
	struct live_client *client;
};

static void deliver_leave(struct loop_message *message)
{
	live_leave(((struct leaving *)message)->client);
}

/* Leaves on its loop, as it must. */
static void leave(struct ear *ear)
{
	struct leaving leaving = { .message = { .deliver = deliver_leave }, .client = ear->client };

	loop_post(fix.loop, &leaving.message);
	settle();
	bytes_buf_fini(&ear->heard);
}

static const char *heard(struct ear *ear)
{
	bytes_buf_append_byte(&ear->heard, '\0');
	ear->heard.n--;
	return ear->heard.p ? ear->heard.p : "";
}

static unsigned times(struct ear *ear, const char *text)
{
	unsigned n = 0;

	for (const char *at = heard(ear); (at = strstr(at, text)); at++)
		n++;
	return n;
}

static void id_of(struct ear *ear, char out[LIVE_CLIENT_ID_MAX + 1])
{
	const char *at = strstr(heard(ear), "id:");

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	size_t n = strcspn(at + 3, "\n");
	(void)bytes_to_string((struct bytes){ at + 3, n }, out, LIVE_CLIENT_ID_MAX + 1);
}

/* The id of the last event. */
static void last_id(struct ear *ear, char out[LIVE_CLIENT_ID_MAX + 1])
{
	const char *last = NULL;

	for (const char *at = heard(ear); (at = strstr(at, "id:")); at++)
		if (at == ear->heard.p || at[-1] == '\n')
			last = at;
	CU_ASSERT_PTR_NOT_NULL_FATAL(last);
	(void)bytes_to_string(
		(struct bytes){ last + 3, strcspn(last + 3, "\n") }, out, LIVE_CLIENT_ID_MAX + 1);
}

static void on_subscribed(struct live_subscribe *subscribe)
{
	fix.outcome = subscribe->outcome;
	*(bool *)subscribe->context = true;
}

static enum live_subscribe_outcome subscribe_as(
	struct ear *ear, struct record_viewer viewer, const char *topics)
{
	char json[4096], id[LIVE_CLIENT_ID_MAX + 1];
	struct live_body body;
	bool is_done = false;

	id_of(ear, id);
	(void)snprintf(json, sizeof json, "{\"clientId\":\"%s\",\"subscriptions\":%s}", id, topics);
	CU_ASSERT_EQUAL_FATAL(live_body_parse(bytes_of(json), fix.arena, &body), LIVE_BODY_OK);
	struct live_subscribe subscribe = { .loop = fix.loop,
		.body = &body,
		.viewer = viewer,
		.done = on_subscribed,
		.context = &is_done };
	live_subscribe(fix.hub, &subscribe);
	settle();
	CU_ASSERT(is_done);
	return fix.outcome;
}

/* ---- topics ---- */

static void topics_are_taken_apart(void)
{
	struct live_topic topic;
	struct arena *arena = NULL;

	CU_ASSERT_EQUAL_FATAL(arena_new(1u << 20, &arena, NULL), 0);
	CU_ASSERT_EQUAL(live_topic_parse(BYTES("posts"), arena, &topic), LIVE_TOPIC_OK);
	CU_ASSERT(bytes_eq_string(topic.key, "posts/*"));
	CU_ASSERT(bytes_eq_string(topic.text, "posts"));
	CU_ASSERT_EQUAL(live_topic_parse(BYTES("posts/abc?options=%7B%22query%22%3A%7B%22a%22%3A1%"
					       "2C%22b%22%3A%22x%22%7D%2C%22headers%22%3A%7B%22X-"
					       "My-H%22%3A%22v%22%7D%7D"),
				arena, &topic),
		LIVE_TOPIC_OK);
	CU_ASSERT(bytes_eq_string(topic.key, "posts/abc"));
	CU_ASSERT_EQUAL_FATAL(topic.n_query, 2);
	CU_ASSERT(bytes_eq_string(topic.query[0].value, "1"));
	CU_ASSERT(bytes_eq_string(topic.query[1].value, "x"));
	CU_ASSERT_EQUAL_FATAL(topic.n_headers, 1);
	CU_ASSERT(bytes_eq_string(topic.headers[0].name, "x_my_h"));
	CU_ASSERT_EQUAL(live_topic_parse(BYTES("posts/*\n"), arena, &topic), LIVE_TOPIC_CONTROL);
	CU_ASSERT_EQUAL(live_topic_parse(BYTES("p?options=[1]"), arena, &topic), LIVE_TOPIC_OK);
	CU_ASSERT_EQUAL(
		live_topic_parse(BYTES("p?options=%7B"), arena, &topic), LIVE_TOPIC_OPTIONS);
	CU_ASSERT_EQUAL(live_topic_parse(BYTES("p?options={\"query\":[]}"), arena, &topic),
		LIVE_TOPIC_OPTIONS);
	CU_ASSERT_EQUAL(live_topic_parse(BYTES("p?a=%zz"), arena, &topic), LIVE_TOPIC_OPTIONS);
	CU_ASSERT_EQUAL(live_topic_parse(BYTES("@oauth2"), arena, &topic), LIVE_TOPIC_OK);
	arena_free(arena);
}

static void a_body_has_its_limits(void)
{
	DEFER(bytes_buf_fini) struct bytes_buf many;
	struct live_body body;
	struct arena *arena = NULL;

	CU_ASSERT_EQUAL_FATAL(arena_new(8u << 20, &arena, NULL), 0);
	CU_ASSERT_EQUAL(live_body_parse(BYTES("[]"), arena, &body), LIVE_BODY_SHAPE);
	CU_ASSERT_EQUAL(live_body_parse(BYTES("{}"), arena, &body), LIVE_BODY_CLIENT_ID);
	CU_ASSERT_EQUAL(live_body_parse(BYTES("{\"clientId\":\"c\"}"), arena, &body), LIVE_BODY_OK);
	CU_ASSERT_EQUAL(
		live_body_parse(BYTES("{\"clientId\":\"c\",\"subscriptions\":{}}"), arena, &body),
		LIVE_BODY_SHAPE);
	CU_ASSERT_EQUAL(
		live_body_parse(BYTES("{\"clientId\":\"c\",\"subscriptions\":[\"a\",\"a\",1]}"),
			arena, &body),
		LIVE_BODY_SHAPE);
	CU_ASSERT_EQUAL(
		live_body_parse(BYTES("{\"clientId\":\"c\",\"subscriptions\":[\"a\",\"a\"]}"),
			arena, &body),
		LIVE_BODY_OK);
	CU_ASSERT_EQUAL(body.n_topics, 1);
	bytes_buf_init(&many, 1u << 20);
	bytes_buf_append_string(&many, "{\"clientId\":\"c\",\"subscriptions\":[");
	for (int i = 0; i <= LIVE_TOPICS_MAX; i++)
		bytes_buf_appendf(&many, "%s\"t%d\"", i ? "," : "", i);
	bytes_buf_append_string(&many, "]}");
	CU_ASSERT_EQUAL(live_body_parse(bytes_buf_view(&many), arena, &body), LIVE_BODY_MANY);
	arena_free(arena);
}

/* ---- who hears ---- */

static void those_who_may_see_it_hear_of_it(void)
{
	static const struct record_viewer ada = { .collection_id = { "_pb_users_auth_", 15 },
		.collection_name = { "users", 5 },
		.record_id = { "ada000000000000", 15 } };
	struct ear all, own, by_id;

	setup_with(0, 0);
	make_posts(RULES_OF("\"owner = @request.auth.id\"", "\"n > 5\""));
	join(&all);
	join(&own);
	join(&by_id);
	CU_ASSERT_EQUAL(subscribe_as(&all, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(subscribe_as(&own, ada, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(
		subscribe_as(&by_id, guest, "[\"posts/post00000000001\"]"), LIVE_SUBSCRIBED);
	write_record(record_create, "posts", NULL,
		"{\"id\":\"post00000000001\",\"title\":\"first\",\"secret\":\"hush\",\"n\":3,"
		"\"j\":{\"a\":\n1},\"owner\":\"ada000000000000\"}");
	write_record(record_update, "posts", "post00000000001", "{\"n\":6}");
	write_record(record_delete, "posts", "post00000000001", NULL);
	settle();
	CU_ASSERT_EQUAL(times(&all, "first"), 0);
	CU_ASSERT_EQUAL(times(&own, "\"title\":\"first\""), 3);
	CU_ASSERT_EQUAL(times(&own, "\"action\":\"delete\""), 1);
	CU_ASSERT_EQUAL(times(&own, "hush"), 0);
	/* Both sides of n > 5: the update and the delete. */
	CU_ASSERT_EQUAL(times(&by_id, "event:posts/post00000000001\n"), 2);
	CU_ASSERT_EQUAL(times(&by_id, "\"action\":\"create\""), 0);
	/* Every line of the stream is one of its own, whatever a json field holds. */
	for (const char *at = heard(&own); *at; at += strcspn(at, "\n") + 1)
		CU_ASSERT(*at == '\n' || !strncmp(at, "id:", 3) || !strncmp(at, "event:", 6) ||
			  !strncmp(at, "data:", 5));
	leave(&all);
	leave(&own);
	leave(&by_id);
	teardown();
}

static void a_superuser_sees_what_is_hidden_and_his_filter_holds(void)
{
	struct ear root;

	setup_with(0, 0);
	make_posts(RULES_OF("null", "null"));
	join(&root);
	CU_ASSERT_EQUAL(subscribe_as(&root, superuser,
				"[\"posts/*?options={\\\"query\\\":{\\\"filter\\\":\\\"secret = "
				"'a'\\\",\\\"fields\\\":"
				"\\\"secret,n\\\"}}\"]"),
		LIVE_SUBSCRIBED);
	write_record(record_create, "posts", NULL, "{\"secret\":\"a\",\"n\":1}");
	write_record(record_create, "posts", NULL, "{\"secret\":\"b\",\"n\":2}");
	settle();
	CU_ASSERT_EQUAL(times(&root, "\"record\":{\"n\":1,\"secret\":\"a\"}"), 1);
	CU_ASSERT_EQUAL(times(&root, "\"n\":2"), 0);
	leave(&root);
	teardown();
}

static void a_guest_cannot_ask_for_hidden_fields(void)
{
	struct ear ear;

	setup_with(0, 0);
	make_posts(RULES_OF("\"\"", "\"\""));
	join(&ear);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest,
				"[\"posts/*?options={\\\"query\\\":{\\\"filter\\\":\\\"secret = "
				"'a'\\\"}}\",\"posts/*?options={\\\"query\\\":{\\\"filter\\\":\\\"@"
				"request.auth.id = ''\\\"}}\"]"),
		LIVE_SUBSCRIBED);
	write_record(record_create, "posts", NULL, "{\"secret\":\"a\",\"n\":1}");
	settle();
	CU_ASSERT_EQUAL(times(&ear, "\"action\""), 0);
	leave(&ear);
	teardown();
}

static void each_viewer_is_shown_the_fields_that_he_may_read(void)
{
	static const struct record_viewer ada = { .collection_id = { "_pb_users_auth_", 15 },
		.collection_name = { "users", 5 },
		.record_id = { "ada000000000000", 15 } };
	struct ear own, all;

	setup_with(0, 0);
	write_record(record_collection_create, "", NULL,
		"{\"name\":\"staff\",\"type\":\"base\",\"listRule\":\"\",\"viewRule\":\"\","
		"\"fields\":[{"
		"\"name\":\"name\",\"type\":\"text\"},{\"name\":\"who\",\"type\":\"text\"},{"
		"\"name\":"
		"\"salary\",\"type\":\"number\",\"readRule\":\"who = @request.auth.id\"}]}");
	join(&own);
	join(&all);
	/* A filter must not give the value away either. */
	CU_ASSERT_EQUAL(subscribe_as(&all, guest,
				"[\"staff/*\",\"staff/*?options={\\\"query\\\":{\\\"filter\\\":"
				"\\\"salary > 1000\\\"}}\"]"),
		LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(subscribe_as(&own, ada, "[\"staff/*\"]"), LIVE_SUBSCRIBED);
	write_record(record_create, "staff", NULL,
		"{\"name\":\"Ada\",\"who\":\"ada000000000000\",\"salary\":5000}");
	settle();
	CU_ASSERT_EQUAL(times(&own, "\"salary\":5000"), 1);
	CU_ASSERT_EQUAL(times(&all, "\"name\":\"Ada\""), 1);
	CU_ASSERT_EQUAL(times(&all, "salary\":"), 0);
	leave(&own);
	leave(&all);
	teardown();
}

static void a_truncated_collection_is_read_anew(void)
{
	struct ear ear;

	setup_with(0, 0);
	make_posts(RULES_OF("\"\"", "\"\""));
	write_record(record_create, "posts", NULL, "{\"title\":\"x\"}");
	join(&ear);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	write_record(record_collection_truncate, "posts", NULL, NULL);
	settle();
	CU_ASSERT_EQUAL(times(&ear, "event:TN_RESYNC\ndata:{\"reason\":\"many\"}"), 1);
	leave(&ear);
	teardown();
}

static void many_are_told_in_turns(void)
{
	static struct ear ears[300];

	setup_with(0, 1000);
	make_posts(RULES_OF("\"\"", "\"\""));
	for (size_t i = 0; i < 300; i++) {
		join(&ears[i]);
		CU_ASSERT_EQUAL(subscribe_as(&ears[i], guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	}
	write_record(record_create, "posts", NULL, "{\"title\":\"x\"}");
	write_record(record_create, "posts", NULL, "{\"title\":\"y\"}");
	settle();
	for (size_t i = 0; i < 300; i++) {
		CU_ASSERT_EQUAL(times(&ears[i], "\"title\":\"x\""), 1);
		CU_ASSERT_EQUAL(times(&ears[i], "\"title\":\"y\""), 1);
		CU_ASSERT(strstr(heard(&ears[i]), "\"x\"") < strstr(heard(&ears[i]), "\"y\""));
		leave(&ears[i]);
	}
	teardown();
}

static void a_delete_is_judged_by_what_was_true_before_it(void)
{
	static const struct record_viewer ada = { .collection_id = { "_pb_users_auth_", 15 },
		.collection_name = { "users", 5 },
		.record_id = { "ada000000000000", 15 } };
	char body[1024], projects[32];
	struct ear own, all;

	setup_with(0, 0);
	write_record(record_collection_create, "", NULL,
		"{\"name\":\"projects\",\"type\":\"base\",\"fields\":[{\"name\":\"secret\","
		"\"type\":\"bool\"},{\"name\":\"owner\",\"type\":\"text\"}]}");
	memcpy(projects, fix.id, sizeof projects);
	(void)snprintf(body, sizeof body,
		"{\"name\":\"tasks\",\"type\":\"base\",\"listRule\":\"project.owner = "
		"@request.auth.id\",\"viewRule\":\"project.secret != true\",\"fields\":[{\"name\":"
		"\"title\",\"type\":\"text\"},{\"name\":\"project\",\"type\":\"relation\","
		"\"collectionId\":\"%s\",\"cascadeDelete\":true,\"maxSelect\":1}]}",
		projects);
	write_record(record_collection_create, "", NULL, body);
	write_record(record_create, "projects", NULL,
		"{\"id\":\"project00000001\",\"secret\":true,\"owner\":\"ada000000000000\"}");
	write_record(record_create, "tasks", NULL,
		"{\"id\":\"task00000000001\",\"title\":\"hush\",\"project\":\"project00000001\"}");
	join(&own);
	join(&all);
	CU_ASSERT_EQUAL(subscribe_as(&own, ada, "[\"tasks/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(subscribe_as(&all, guest, "[\"tasks/task00000000001\",\"tasks/*\"]"),
		LIVE_SUBSCRIBED);
	/* Its project goes with it, and before anybody is told. */
	write_record(record_delete, "projects", "project00000001", NULL);
	settle();
	CU_ASSERT_EQUAL(times(&own, "\"action\":\"delete\""), 1);
	CU_ASSERT_EQUAL(times(&own, "\"title\":\"hush\""), 1);
	CU_ASSERT_EQUAL(times(&all, "hush"), 0);
	CU_ASSERT_EQUAL(times(&all, "TN_RESYNC"), 0);
	leave(&own);
	leave(&all);
	teardown();
}

static void a_changed_collection_is_judged_by_its_new_rules(void)
{
	struct ear ear;

	setup_with(0, 0);
	make_posts(RULES_OF("\"\"", "\"\""));
	join(&ear);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest, "[\"posts\"]"), LIVE_SUBSCRIBED);
	write_record(record_create, "posts", NULL, "{\"title\":\"seen\"}");
	settle();
	CU_ASSERT_EQUAL(times(&ear, "event:posts\n"), 1);
	write_record(record_collection_update, "posts", NULL, "{\"listRule\":null}");
	write_record(record_create, "posts", NULL, "{\"title\":\"unseen\"}");
	settle();
	CU_ASSERT_EQUAL(times(&ear, "event:posts\n"), 1);
	leave(&ear);
	teardown();
}

/* ---- coming back ---- */

static void who_comes_back_hears_what_he_missed(void)
{
	struct ear first, second, third;
	char id[LIVE_CLIENT_ID_MAX + 1];

	setup_with(0, 0);
	make_posts(RULES_OF("\"n < 10\"", "\"\""));
	join(&first);
	CU_ASSERT_EQUAL(subscribe_as(&first, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	write_record(record_create, "posts", NULL, "{\"title\":\"one\"}");
	settle();
	last_id(&first, id);
	leave(&first);
	write_record(record_create, "posts", NULL, "{\"title\":\"two\"}");
	write_record(record_create, "posts", NULL,
		"{\"id\":\"post00000000003\",\"title\":\"three\",\"n\":1}");
	write_record(record_create, "posts", NULL, "{\"title\":\"four\",\"n\":11}");
	/* What may not be seen any more is not told either. */
	write_record(record_update, "posts", "post00000000003", "{\"n\":12}");
	CU_ASSERT_EQUAL(join_as(&second, "192.0.2.1", id), LIVE_JOINED);
	CU_ASSERT_EQUAL(subscribe_as(&second, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(times(&second, "\"title\""), 1);
	CU_ASSERT_EQUAL(times(&second, "\"title\":\"two\""), 1);
	CU_ASSERT_EQUAL(times(&second, "TN_RESYNC"), 0);
	/* The connection's own id is a place too. */
	id_of(&second, id);
	leave(&second);
	write_record(record_create, "posts", NULL, "{\"title\":\"five\"}");
	CU_ASSERT_EQUAL(join_as(&third, "192.0.2.1", id), LIVE_JOINED);
	CU_ASSERT_EQUAL(subscribe_as(&third, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(times(&third, "\"title\":\"five\""), 1);
	CU_ASSERT_EQUAL(times(&third, "\"title\""), 1);
	leave(&third);
	teardown();
}

static void a_place_that_is_not_known_is_told_to_read_anew(void)
{
	struct ear ear;

	setup_with(0, 0);
	make_posts(RULES_OF("\"\"", "\"\""));
	CU_ASSERT_EQUAL(join_as(&ear, "192.0.2.1", "fedcba9876543210"), LIVE_JOINED);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest, "[]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(times(&ear, "TN_RESYNC"), 0);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(times(&ear, "event:TN_RESYNC\ndata:{\"reason\":\"gap\"}\n\n"), 1);
	leave(&ear);
	teardown();
}

static void more_than_the_ring_holds_is_a_gap(void)
{
	struct ear first, second;
	char id[LIVE_CLIENT_ID_MAX + 1];

	setup_with(0, 0);
	make_posts(RULES_OF("\"\"", "\"\""));
	join(&first);
	CU_ASSERT_EQUAL(subscribe_as(&first, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	id_of(&first, id);
	leave(&first);
	for (int i = 0; i < 1100; i++)
		write_record(record_create, "posts", NULL, "{\"title\":\"x\"}");
	CU_ASSERT_EQUAL(join_as(&second, "192.0.2.1", id), LIVE_JOINED);
	CU_ASSERT_EQUAL(subscribe_as(&second, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(times(&second, "TN_RESYNC"), 1);
	CU_ASSERT_EQUAL(times(&second, "\"title\""), 0);
	leave(&second);
	teardown();
}

/* ---- slow readers ---- */

static void a_slow_reader_is_told_once_that_he_missed_something(void)
{
	static char body[40000];
	struct ear ear;

	setup_with(0, 0);
	make_posts(RULES_OF("\"\"", "\"\""));
	join(&ear);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	ear.is_slow = true;
	(void)snprintf(body, sizeof body, "{\"j\":\"%030000d\",\"n\":1}", 7);
	for (int i = 0; i < 6; i++)
		write_record(record_create, "posts", NULL, body);
	settle();
	CU_ASSERT_EQUAL(times(&ear, "\"action\":\"create\""), 2);
	CU_ASSERT_EQUAL(times(&ear, "event:TN_RESYNC\ndata:{\"reason\":\"slow\"}"), 1);
	/* Not even a small one slips past the word: it would come out of order. */
	write_record(record_create, "posts", NULL, "{\"title\":\"small\"}");
	settle();
	CU_ASSERT_EQUAL(times(&ear, "small"), 0);
	ear.n_pending = 0;
	write_record(record_create, "posts", NULL, "{\"title\":\"after\"}");
	settle();
	CU_ASSERT_EQUAL(times(&ear, "\"title\":\"after\""), 1);
	CU_ASSERT_EQUAL(times(&ear, "TN_RESYNC"), 1);
	leave(&ear);
	teardown();
}

/* ---- authority ---- */

static void nobody_takes_over_a_bound_client(void)
{
	static const struct record_viewer ada = { .collection_id = { "_pb_users_auth_", 15 },
		.collection_name = { "users", 5 },
		.record_id = { "ada000000000000", 15 } };
	static const struct record_viewer bob = { .collection_id = { "_pb_users_auth_", 15 },
		.collection_name = { "users", 5 },
		.record_id = { "bob000000000000", 15 } };
	struct ear ear;

	setup_with(0, 0);
	join(&ear);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest, "[\"a/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(subscribe_as(&ear, ada, "[\"a/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(subscribe_as(&ear, ada, "[\"a/*\",\"b/*\"]"), LIVE_SUBSCRIBED);
	CU_ASSERT_EQUAL(subscribe_as(&ear, bob, "[\"a/*\"]"), LIVE_OTHER_AUTH);
	CU_ASSERT_EQUAL(subscribe_as(&ear, guest, "[\"a/*\"]"), LIVE_OTHER_AUTH);
	leave(&ear);
	teardown();
}

static void an_account_that_goes_takes_its_clients_with_it(void)
{
	struct ear ear;
	char id[32];

	setup_with(0, 0);
	make_posts(RULES_OF("\"@request.auth.id != ''\"", "\"\""));
	write_record(record_create, "users", NULL,
		"{\"email\":\"ada@shop.test\",\"password\":\"password of ada\",\"passwordConfirm\":"
		"\"password of ada\"}");
	memcpy(id, fix.id, sizeof id);
	const struct record_viewer ada = { .collection_id = BYTES("_pb_users_auth_"),
		.collection_name = BYTES("users"),
		.record_id = bytes_of(id) };
	join(&ear);
	CU_ASSERT_EQUAL(subscribe_as(&ear, ada, "[\"posts/*\"]"), LIVE_SUBSCRIBED);
	write_record(record_create, "posts", NULL, "{\"title\":\"before\"}");
	write_record(record_delete, "users", id, NULL);
	write_record(record_create, "posts", NULL, "{\"title\":\"after\"}");
	settle();
	CU_ASSERT_EQUAL(times(&ear, "\"title\":\"before\""), 1);
	CU_ASSERT_EQUAL(times(&ear, "\"title\":\"after\""), 0);
	CU_ASSERT(ear.has_ended);
	CU_ASSERT_EQUAL(times(&ear, "event:TN_CLOSE\ndata:{\"reason\":\"auth\"}"), 1);
	leave(&ear);
	teardown();
}

/* ---- limits ---- */

static void clients_have_their_bounds(void)
{
	struct ear ears[4];

	setup_with(3, 2);
	CU_ASSERT_EQUAL(join_as(&ears[0], "192.0.2.1", ""), LIVE_JOINED);
	CU_ASSERT_EQUAL(join_as(&ears[1], "2001:db8::1", ""), LIVE_JOINED);
	CU_ASSERT_EQUAL(join_as(&ears[2], "2001:db8::ffff:1", ""), LIVE_JOINED);
	CU_ASSERT_EQUAL(join_as(&ears[3], "2001:db8::2", ""), LIVE_ADDRESS_FULL);
	CU_ASSERT_EQUAL(join_as(&ears[3], "192.0.2.2", ""), LIVE_TENANT_FULL);
	leave(&ears[0]);
	live_set_limit(fix.live, 2);
	CU_ASSERT_EQUAL(join_as(&ears[3], "192.0.2.2", ""), LIVE_SERVER_FULL);
	live_set_limit(fix.live, 3);
	CU_ASSERT_EQUAL(join_as(&ears[3], "192.0.2.2", ""), LIVE_JOINED);
	for (int i = 1; i < 4; i++)
		leave(&ears[i]);
	teardown();
}

static void a_tenant_without_listeners_is_not_told(void)
{
	struct live_stats stats;
	struct ear ear;

	setup_with(0, 0);
	make_posts(RULES_OF("\"\"", "\"\""));
	write_record(record_create, "posts", NULL, "{\"title\":\"x\"}");
	live_stats(fix.live, &stats);
	CU_ASSERT_EQUAL(stats.n_events, 0);
	join(&ear);
	write_record(record_create, "posts", NULL, "{\"title\":\"x\"}");
	settle();
	live_stats(fix.live, &stats);
	CU_ASSERT_EQUAL(stats.n_events, 1);
	CU_ASSERT_EQUAL(stats.n_clients, 1);
	leave(&ear);
	teardown();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT(topics_are_taken_apart),
		UNIT(a_body_has_its_limits),
		UNIT(those_who_may_see_it_hear_of_it),
		UNIT(a_superuser_sees_what_is_hidden_and_his_filter_holds),
		UNIT(a_guest_cannot_ask_for_hidden_fields),
		UNIT(each_viewer_is_shown_the_fields_that_he_may_read),
		UNIT(many_are_told_in_turns),
		UNIT(a_truncated_collection_is_read_anew),
		UNIT(a_delete_is_judged_by_what_was_true_before_it),
		UNIT(a_changed_collection_is_judged_by_its_new_rules),
		UNIT(who_comes_back_hears_what_he_missed),
		UNIT(a_place_that_is_not_known_is_told_to_read_anew),
		UNIT(more_than_the_ring_holds_is_a_gap),
		UNIT(a_slow_reader_is_told_once_that_he_missed_something),
		UNIT(nobody_takes_over_a_bound_client),
		UNIT(an_account_that_goes_takes_its_clients_with_it),
		UNIT(clients_have_their_bounds),
		UNIT(a_tenant_without_listeners_is_not_told),
	};

	return unit_run("live", tests, sizeof tests / sizeof tests[0]);
}
