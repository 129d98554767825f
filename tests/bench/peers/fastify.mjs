/**
 * fastify.mjs PORT DATABASE - what a good Node developer writes by hand for one table: Fastify, better-sqlite3,
 * prepared statements, a schema for the serializer. The same paths and the same answers as the others, as far as
 * the benchmark asks. No rules, no users, no audit; a commit does not wait for the disk.
 */
import Database from "better-sqlite3";
import Fastify from "fastify";

const [port, file] = process.argv.slice(2);
const db = new Database(file);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = NORMAL");
const COLUMNS = "id, title, amount, body, active, created, updated";
const schema = {
	type: "object",
	properties: {
		collectionId: { type: "string" },
		collectionName: { type: "string" },
		id: { type: "string" },
		title: { type: "string" },
		amount: { type: "number" },
		body: { type: "string" },
		active: { type: "boolean" },
		created: { type: "string" },
		updated: { type: "string" },
	},
};
const page = {
	type: "object",
	properties: {
		page: { type: "integer" },
		perPage: { type: "integer" },
		totalItems: { type: "integer" },
		totalPages: { type: "integer" },
		items: { type: "array", items: schema },
	},
};
const ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789";
const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(15)), (byte) => ALPHABET[byte % 36]).join("");
const now = () => new Date().toISOString().replace("T", " ");

const app = Fastify({ logger: false });
for (const name of ["items", "writes"]) {
	db.exec(
		`CREATE TABLE IF NOT EXISTS ${name} (id TEXT PRIMARY KEY, title TEXT, amount REAL, body TEXT, active INTEGER, created TEXT, updated TEXT)`,
	);
	const record = (row) => ({ collectionId: `${name}00000000000`, collectionName: name, ...row, active: row.active === 1 });
	const get = db.prepare(`SELECT ${COLUMNS} FROM ${name} WHERE id = ? AND active = 1`);
	const insert = db.prepare(`INSERT INTO ${name} (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`);
	const count = db.prepare(`SELECT count(*) AS n FROM ${name} WHERE active = 1`);
	const list = db.prepare(`SELECT ${COLUMNS} FROM ${name} WHERE active = 1 LIMIT ? OFFSET ?`);
	// The two shapes of lists that the benchmark asks for: by hand there is no need for a language of filters.
	const countAbove = db.prepare(`SELECT count(*) AS n FROM ${name} WHERE active = 1 AND amount > ?`);
	const listAbove = db.prepare(`SELECT ${COLUMNS} FROM ${name} WHERE active = 1 AND amount > ? ORDER BY title DESC LIMIT ? OFFSET ?`);
	const base = `/api/collections/${name}/records`;

	app.get(`${base}/:id`, { schema: { response: { 200: schema } } }, (request, reply) => {
		const row = get.get(request.params.id);
		if (!row) return reply.code(404).send({ status: 404, message: "Not found.", data: {} });
		return reply.send(record(row));
	});
	app.get(base, { schema: { response: { 200: page } } }, (request, reply) => {
		const at = Number(request.query.page ?? 1);
		const size = Math.min(Number(request.query.perPage ?? 30), 1000);
		const above = /^amount > ([0-9.]+)$/.exec(request.query.filter ?? "");
		const total = above ? countAbove.get(Number(above[1])).n : count.get().n;
		const rows = above ? listAbove.all(Number(above[1]), size, (at - 1) * size) : list.all(size, (at - 1) * size);
		return reply.send({ page: at, perPage: size, totalItems: total, totalPages: Math.ceil(total / size), items: rows.map(record) });
	});
	app.post(base, { schema: { response: { 200: schema } } }, (request, reply) => {
		const body = request.body ?? {};
		const row = {
			id: typeof body.id === "string" && /^[a-z0-9]{15}$/.test(body.id) ? body.id : newId(),
			title: String(body.title ?? ""),
			amount: Number(body.amount ?? 0),
			body: String(body.body ?? ""),
			active: body.active ? 1 : 0,
			created: now(),
			updated: now(),
		};
		insert.run(row.id, row.title, row.amount, row.body, row.active, row.created, row.updated);
		return reply.send(record(row));
	});
}
app.get("/api/health", () => ({ code: 200 }));
await app.listen({ port: Number(port), host: "127.0.0.1" });
