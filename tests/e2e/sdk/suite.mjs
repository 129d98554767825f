/**
 * suite.mjs - PocketBase's JavaScript SDK, unmodified, against Tenon: each public method is used, or docs/pocketbase.md
 * says that it is refused, with which status and why; what is in neither fails.
 *
 *   node suite.mjs --base URL --email E --password P --other URL --refused docs/pocketbase.md --mail FOLDER --mail-port N
 *
 * --other is another tenant with the same superuser; --mail is where the mail server puts what it was sent, one file
 * each, and --mail-port where it listens.
 * Prints a line for each claim; exits 0 when all hold.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { EventSource } from "eventsource";
import PocketBase, { ClientResponseError } from "pocketbase";
import { publicMethods, watch } from "./reflect.mjs";

const { values: args } = parseArgs({
	options: {
		base: { type: "string" },
		other: { type: "string" },
		email: { type: "string" },
		password: { type: "string" },
		refused: { type: "string" },
		mail: { type: "string" },
		"mail-port": { type: "string" },
	},
});
globalThis.EventSource = EventSource;
const warn = console.warn;
console.warn = (...text) => (String(text[0]).includes("Please replace") ? undefined : warn(...text)); // old names of the SDK

let failed = 0;
function is(claim, expected, seen) {
	const isIt = JSON.stringify(expected) === JSON.stringify(seen);
	console.log(isIt ? `ok    ${claim}` : `FAIL  ${claim}: expected ${JSON.stringify(expected)}, saw ${JSON.stringify(seen)}`);
	failed += isIt ? 0 : 1;
}
/** The status that a call is refused with; 0 when it is not. */
async function status(promise) {
	try {
		await promise;
		return 0;
	} catch (error) {
		if (!(error instanceof ClientResponseError)) throw error;
		return error.status;
	}
}
async function part(name, run) {
	try {
		await run();
	} catch (error) {
		console.log(`FAIL  ${name}: ${error?.message} ${JSON.stringify(error?.response ?? {})} ${error?.url ?? ""}`);
		failed++;
	}
}
async function until(condition, what, milliseconds = 5000) {
	for (const end = Date.now() + milliseconds; Date.now() < end; ) {
		const value = condition();
		if (value) return value;
		await new Promise((done) => setTimeout(done, 20));
	}
	throw new Error(`${what} did not come within ${milliseconds} ms`);
}
/** The letters that came, newest first; one that is being written has another name. */
const letters = () =>
	readdirSync(args.mail)
		.filter((name) => /^\d+$/.test(name))
		.sort((a, b) => b - a);
/** The token in the newest letter of a kind: "verification", "password-reset" or "email-change". */
const tokenFor = (address, kind) =>
	until(() => {
		for (const file of letters()) {
			const text = readFileSync(`${args.mail}/${file}`, "utf8").replaceAll(/=\r?\n/g, "").replaceAll("=3D", "=");
			const token = text.includes(address) && new RegExp(`confirm-${kind}/([\\w-]+\\.[\\w-]+\\.[\\w-]+)`).exec(text);
			if (token) return token[1];
		}
		return undefined;
	}, `a letter to ${address}`);

const done = new Set();
const pb = new PocketBase(args.base);
pb.autoCancellation(false);
const services = {
	client: pb,
	authStore: pb.authStore,
	collections: pb.collections,
	files: pb.files,
	logs: pb.logs,
	settings: pb.settings,
	realtime: pb.realtime,
	health: pb.health,
	backups: pb.backups,
	crons: pb.crons,
	sql: pb.sql,
	records: pb.collection("any"),
	batch: pb.createBatch(),
	batchRecords: pb.createBatch().collection("any"),
};
const methods = publicMethods(services, createRequire(import.meta.url).resolve("pocketbase").replace(/[^/]*$/, "pocketbase.es.d.mts"));
for (const name of ["collections", "files", "logs", "settings", "realtime", "health", "backups", "crons", "sql", "authStore"])
	watch(name, services[name], done);
watch("client", pb, done);
const collection = (client, name) => watch("records", client.collection(name), done);
const records = (name) => collection(pb, name);
/** A batch whose every method is watched. */
function newBatch(client = pb) {
	const batch = client.createBatch();
	const of = batch.collection.bind(batch);
	batch.collection = (name) => {
		done.add("batch.collection");
		return watch("batchRecords", of(name), done);
	};
	const send = batch.send.bind(batch);
	batch.send = async (...more) => {
		const answer = await send(...more);
		done.add("batch.send");
		return answer;
	};
	return batch;
}

// ---- superusers, collections ----
await part("the superuser signs in", async () => {
	const health = await pb.health.check();
	is("health answers", 200, health.code);
	await records("_superusers").authWithPassword(args.email, args.password);
	is("the store holds a superuser", true, pb.authStore.isValid && pb.authStore.isSuperuser);
	const other = new PocketBase(args.other, undefined);
	other.authStore.save(pb.authStore.token, pb.authStore.record);
	is("the other tenant refuses the token", 401, await status(other.collections.getFullList()));
	const refreshed = await records("_superusers").authRefresh();
	is("the token is refreshed", true, refreshed.token.length > 20 && refreshed.record.email === args.email);
});
let posts;
await part("collections", async () => {
	const authors = await pb.collections.create({
		name: "authors",
		type: "base",
		listRule: "",
		viewRule: "",
		fields: [{ name: "name", type: "text", required: true }],
	});
	posts = await pb.collections.create({
		name: "posts",
		type: "base",
		listRule: 'visible = true || @request.auth.id != ""',
		viewRule: 'visible = true || @request.auth.id != ""',
		createRule: '@request.auth.id != ""',
		updateRule: '@request.auth.id != ""',
		deleteRule: '@request.auth.id != ""',
		fields: [
			{ name: "title", type: "text", required: true, max: 80 },
			{ name: "body", type: "editor" },
			{ name: "views", type: "number", min: 0 },
			{ name: "visible", type: "bool" },
			{ name: "place", type: "geoPoint" },
			{ name: "cover", type: "file", maxSelect: 1, maxSize: 1000000, mimeTypes: ["image/png"] },
			{ name: "papers", type: "file", maxSelect: 3, protected: true },
			{ name: "author", type: "relation", collectionId: authors.id, maxSelect: 1 },
			{ name: "created", type: "autodate", onCreate: true },
			{ name: "updated", type: "autodate", onCreate: true, onUpdate: true },
		],
		indexes: ["CREATE UNIQUE INDEX idx_posts_title ON posts (title)"],
	});
	is("a collection is made", "posts", (await pb.collections.getOne("posts")).name);
	is("it is in the list", true, (await pb.collections.getList(1, 50)).items.some((one) => one.name === "posts"));
	is("the full list has it too", true, (await pb.collections.getFullList()).some((one) => one.id === posts.id));
	is("the first of a filter is it", posts.id, (await pb.collections.getFirstListItem('name = "posts"')).id);
	await pb.collections.update("posts", { fields: [...posts.fields, { name: "meta", type: "json" }] });
	is("a field was added", true, (await pb.collections.getOne("posts")).fields.some((one) => one.name === "meta"));
	is("scaffolds are there for each type", ["auth", "base", "view"], Object.keys(await pb.collections.getScaffolds()).sort());
	const imported = await pb.collections.import([{ name: "imported", type: "base", fields: [{ name: "note", type: "text" }] }], false);
	is("an import is taken", true, imported);
	await records("imported").create({ note: "gone soon" });
	is("a collection is emptied", true, await pb.collections.truncate("imported"));
	is("nothing is left in it", 0, (await records("imported").getList(1, 1)).totalItems);
	is("a collection is deleted", true, await pb.collections.delete("imported"));
	is("decode gives what it got", { a: 1 }, pb.collections.decode({ a: 1 }));
});

// ---- records ----
let post;
const author = { name: "Ada" };
await part("records", async () => {
	Object.assign(author, await records("authors").create({ name: "Ada" }));
	post = await records("posts").create({ title: "First", views: 1, visible: true, author: author.id, place: { lon: 23.3, lat: 42.7 } });
	is("a record has an id of 15 characters", 15, post.id.length);
	const one = await records("posts").getOne(post.id, { expand: "author", fields: "title,views,expand.author.name" });
	is("one record, expanded and picked", { expand: { author: { name: "Ada" } }, title: "First", views: 1 }, { expand: one.expand, title: one.title, views: one.views });
	await records("posts").create({ title: "Second", views: 5, visible: false, author: author.id });
	const page = await records("posts").getList(1, 1, { sort: "-views", filter: pb.filter("author.name = {:name}", { name: "Ada" }) });
	is("a page, sorted and filtered", [2, 2, "Second"], [page.totalItems, page.totalPages, page.items[0].title]);
	is("the full list", 2, (await records("posts").getFullList({ batch: 1 })).length);
	is("the first that fits", "First", (await records("posts").getFirstListItem("visible = true")).title);
	is("an update with a modifier", 11, (await records("posts").update(post.id, { "views+": 10 })).views);
	is("a delete", true, await records("posts").delete((await records("posts").create({ title: "Gone" })).id));
	is("what is not there is 404", 404, await status(records("posts").getOne("nothere00000000")));
	is("a unique title stays unique", "validation_not_unique", await records("posts").create({ title: "First" }).catch((error) => error.response.data.title?.code));
	is("a title is required", "validation_required", await records("posts").create({}).catch((error) => error.response.data.title?.code));
	is("decode gives the record", "x", records("posts").decode({ id: "x" }).id);
	is("a guest sees what is visible", 1, (await collection(new PocketBase(args.base), "posts").getList()).totalItems);
	is("a guest makes nothing", 400, await status(new PocketBase(args.base).collection("posts").create({ title: "No" })));
});
await part("batches", async () => {
	const batch = newBatch();
	batch.collection("posts").create({ title: "Batch 1" });
	batch.collection("posts").upsert({ id: "upserted0000001", title: "Batch 2" });
	batch.collection("posts").update(post.id, { views: 20 });
	batch.collection("posts").delete((await records("posts").create({ title: "To go" })).id);
	is("a batch answers each request", [200, 200, 200, 204], (await batch.send()).map((one) => one.status));
	const broken = newBatch();
	broken.collection("posts").create({ title: "Batch 3" });
	broken.collection("posts").create({ title: "First" });
	is("a batch with a bad request is refused", 400, await status(broken.send()));
	is("and writes nothing", 0, (await records("posts").getList(1, 1, { filter: 'title = "Batch 3"' })).totalItems);
	const files = newBatch();
	files.collection("posts").create({ title: "With a file", papers: [new File(["one"], "one.txt")] });
	is("a batch takes files", 1, (await files.send())[0].body.papers.length);
});

// ---- files ----
const PNG = Uint8Array.from(Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64"));
await part("files", async () => {
	const one = await records("posts").create({
		title: "Filed",
		visible: false,
		cover: new File([PNG], "cover art.png", { type: "image/png" }),
		papers: [new File(["secret paper"], "paper.txt", { type: "text/plain" }), new Blob(["two"])],
	});
	is("names are made of the given ones", true, /^cover_art_[a-z0-9]{10}\.png$/.test(one.cover));
	is("several files", 2, one.papers.length);
	const url = pb.files.getURL(one, one.cover);
	is("the old name of it", url, pb.files.getUrl(one, one.cover));
	is("and the oldest", url, pb.getFileUrl(one, one.cover));
	const answer = await fetch(url);
	is("a file is served as it was", [200, Buffer.from(PNG).toString("hex")], [answer.status, Buffer.from(await answer.arrayBuffer()).toString("hex")]);
	is("a range of it", [206, "89504e47"], await fetch(url, { headers: { Range: "bytes=0-3" } }).then(async (part) => [part.status, Buffer.from(await part.arrayBuffer()).toString("hex")]));
	is("a protected one needs a token", 404, (await fetch(pb.files.getURL(one, one.papers[0]))).status);
	const token = await pb.files.getToken();
	is("with a token it is served", "secret paper", await (await fetch(pb.files.getURL(one, one.papers[0], { token }))).text());
	is("a wrong kind is refused", "validation_invalid_mime_type", await records("posts").create({ title: "Wrong", cover: new File(["text"], "x.png") }).catch((error) => error.response.data.cover?.code));
	const less = await records("posts").update(one.id, { "papers-": [one.papers[0]] });
	is("a file is taken away", [one.papers[1]], less.papers);
	is("and is served no more", 404, (await fetch(pb.files.getURL(one, one.papers[0], { token }))).status);
});

// ---- realtime ----
await part("realtime", async () => {
	const events = [];
	await records("posts").subscribe("*", (event) => events.push(`${event.action} ${event.record.title}`));
	await pb.realtime.subscribe(`posts/${post.id}`, (event) => events.push(`one ${event.action}`));
	is("it is connected", true, pb.realtime.isConnected);
	const made = await records("posts").create({ title: "Live" });
	await records("posts").update(post.id, { views: 30 });
	await records("posts").delete(made.id);
	await until(() => events.length >= 4, "four events");
	is("events come in their order", ["create Live", "delete Live", "one update", "update First"], [...events].sort());
	await pb.realtime.unsubscribeByTopicAndListener(`posts/${post.id}`, () => {});
	await pb.realtime.unsubscribeByPrefix("posts/");
	await records("posts").unsubscribe();
	await pb.realtime.unsubscribe();
	is("it is closed", false, pb.realtime.isConnected);
	// A guest hears only of what he may see.
	const guest = new PocketBase(args.base);
	const heard = [];
	await guest.collection("posts").subscribe("*", (event) => heard.push(event.record.title));
	await records("posts").create({ title: "Hidden", visible: false });
	await records("posts").create({ title: "Shown", visible: true });
	await until(() => heard.length > 0, "an event for the guest");
	is("a guest hears what he may see", ["Shown"], heard);
	await guest.realtime.unsubscribe();
});

// ---- users ----
const ann = { email: "ann@example.com", password: "first password" };
await part("users", async () => {
	await pb.settings.update({
		meta: { appName: "Shop", appURL: "http://shop.test", senderName: "Shop", senderAddress: "shop@example.com" },
		smtp: { enabled: true, host: "127.0.0.1", port: Number(args["mail-port"]) },
	});
	const made = await records("users").create({ email: ann.email, password: ann.password, passwordConfirm: ann.password, name: "Ann" });
	const user = new PocketBase(args.base);
	user.autoCancellation(false);
	const users = collection(user, "users");
	const options = await users.listAuthMethods();
	is("passwords are offered", [true, "email"], [options.password.enabled, options.password.identityFields[0]]);
	await users.authWithPassword(ann.email, ann.password);
	is("a user is no superuser", [true, false], [user.authStore.isValid, user.authStore.isSuperuser]);
	await users.authRefresh();
	await users.requestVerification(ann.email);
	is("the address is verified", true, await users.confirmVerification(await tokenFor(ann.email, "verification")));
	is("and says so", true, (await users.getOne(made.id)).verified);
	await users.requestEmailChange("anna@example.com");
	is("the address is changed", true, await users.confirmEmailChange(await tokenFor("anna@example.com", "email-change"), ann.password));
	is("the old token is worth nothing", 401, await status(users.authRefresh()));
	await users.requestPasswordReset("anna@example.com");
	is("the password is reset", true, await users.confirmPasswordReset(await tokenFor("anna@example.com", "password-reset"), "second password", "second password"));
	is("the old password is none", 400, await status(users.authWithPassword("anna@example.com", ann.password)));
	await users.authWithPassword("anna@example.com", "second password");
	is("a reset for nobody looks alike", true, await users.requestPasswordReset("nobody@example.com"));
	is("no account elsewhere is linked", [], await records("users").listExternalAuths(made.id));
	const as = await records("users").impersonate(made.id, 60);
	is("a superuser acts as a user", made.id, as.authStore.record.id);
});

// ---- the rest of the administration ----
await part("settings", async () => {
	const settings = await pb.settings.getAll();
	is("the settings read back", "Shop", settings.meta.appName);
	is("no secret is told", undefined, settings.smtp.password || undefined);
	is("a test mail is sent", true, await pb.settings.testEmail("_superusers", "ops@example.com", "verification"));
	is("which arrives", true, await until(() => letters().some((file) => readFileSync(`${args.mail}/${file}`, "utf8").includes("ops@example.com")), "the test mail"));
});
await part("logs", async () => {
	const logs = await until(() => pb.logs.getList(1, 20), "logs");
	const page = await logs;
	is("requests are in the log", true, page.items.length > 0);
	is("one of them", page.items[0].id, (await pb.logs.getOne(page.items[0].id)).id);
	is("how many there were", true, Array.isArray(await pb.logs.getStats()));
});
await part("crons", async () => {
	const jobs = await pb.crons.getFullList();
	is("jobs are listed", true, jobs.length > 0 && typeof jobs[0].expression === "string");
	is("a job is run", true, await pb.crons.run(jobs[0].id));
	is("an unknown one is 404", 404, await status(pb.crons.run("no-such-job")));
});
await part("the client itself", async () => {
	is("a url is built", `${args.base}/api/health`, pb.buildURL("/api/health"));
	is("by its old name too", `${args.base}/api/health`, pb.buildUrl("/api/health"));
	is("a request of one's own", 200, (await pb.send("/api/health", { method: "GET" })).code);
	is("send options are taken", "GET", pb.initSendOptions("/x", { method: "GET" }).method);
	is("a header is found", "b", pb.getHeader({ A: "b" }, "a"));
	is("a filter is bound", 'a = "it\'s"', pb.filter('a = {:x}', { x: "it's" }).replaceAll("\\'", "'").replaceAll("'it's'", "\"it's\""));
	pb.autoCancellation(false);
	pb.cancelRequest("nothing");
	pb.cancelAllRequests();
	const cookie = pb.authStore.exportToCookie();
	const copy = new PocketBase(args.base);
	watch("authStore", copy.authStore, done);
	copy.authStore.loadFromCookie(cookie);
	is("a cookie carries the sign-in", pb.authStore.token, copy.authStore.token);
	let changes = 0;
	copy.authStore.onChange(() => changes++);
	copy.authStore.save(pb.authStore.token, pb.authStore.record);
	copy.authStore.clear();
	is("changes are told", 2, changes);
});

// ---- what is refused, and what was left out ----
const refused = new Map(
	[...readFileSync(args.refused, "utf8").matchAll(/^\| `(\w+\.\w+)` \| (\d+|none) \| (.+?) \|$/gm)].map(([, name, code]) => [name, code]),
);
const calls = {
	"backups.getFullList": () => pb.backups.getFullList(),
	"backups.create": () => pb.backups.create("a.zip"),
	"backups.upload": () => pb.backups.upload({ file: new Blob(["x"]) }),
	"backups.delete": () => pb.backups.delete("a.zip"),
	"backups.restore": () => pb.backups.restore("a.zip"),
	"backups.getDownloadURL": () => pb.send(new URL(pb.backups.getDownloadURL("t", "a.zip")).pathname.replace(new URL(args.base).pathname.replace(/\/$/, ""), ""), {}),
	"backups.getDownloadUrl": () => pb.send(new URL(pb.backups.getDownloadUrl("t", "a.zip")).pathname.replace(new URL(args.base).pathname.replace(/\/$/, ""), ""), {}),
	"settings.testS3": () => pb.settings.testS3(),
	"settings.generateAppleClientSecret": () => pb.settings.generateAppleClientSecret("a", "b", "c", "d", 100),
	"records.authWithOAuth2": () => collection(new PocketBase(args.base), "users").authWithOAuth2({ provider: "google", urlCallback: () => {} }),
	"records.authWithOAuth2Code": () => records("users").authWithOAuth2Code("google", "code", "verifier", "http://x.test"),
	"records.requestOTP": () => records("users").requestOTP("anna@example.com"),
	"records.authWithOTP": () => records("users").authWithOTP("id", "123456"),
	"records.listExternalAuths": () => records("users").listExternalAuths("nothere00000000"),
	"records.unlinkExternalAuth": () => records("users").unlinkExternalAuth("nothere00000000", "google"),
	"collections.dryRunViewQuery": () => pb.collections.dryRunViewQuery("SELECT id FROM posts"),
	"collections.getAllOAuth2Providers": () => pb.collections.getAllOAuth2Providers(),
	"logs.truncate": () => pb.logs.truncate(),
	"sql.run": () => pb.sql.run("SELECT 1"),
};
for (const [name, expected] of refused) {
	if (!calls[name]) {
		is(`${name} is refused as documented`, "a call in this suite", "none");
		continue;
	}
	is(`${name} is refused as documented`, expected, String(await status(calls[name]())));
	done.delete(name);
}
const missing = methods.filter((name) => !done.has(name) && !refused.has(name));
is("each public method is used or documented as refused", [], missing);
console.log(`note  ${methods.length} public methods: ${methods.length - refused.size} used, ${refused.size} refused`);
pb.realtime.unsubscribe();
process.exit(failed ? 1 : 0);
