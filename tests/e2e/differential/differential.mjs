/**
 * differential.mjs - the same data, questions and writes for Tenon and for PocketBase: the same answers?
 *
 *   node differential.mjs --tenon URL --tenon-token T --pocketbase URL --pocketbase-token T
 *                         [--questions 2000] [--writes 5000] [--seed 8090] [--show 20]
 *
 * Compares the ids in their order, the status, and the codes of the fields. A difference that known.mjs explains is
 * counted with its reason, any other is printed. Ends with NAME<TAB>COUNT lines; exits 0 when all is explained.
 */
import { parseArgs } from "node:util";
import { known } from "./known.mjs";
import { collections, questions, rows, writes } from "./world.mjs";

const { values: args } = parseArgs({
	options: {
		tenon: { type: "string" },
		"tenon-token": { type: "string" },
		pocketbase: { type: "string" },
		"pocketbase-token": { type: "string" },
		questions: { type: "string", default: "2000" },
		writes: { type: "string", default: "5000" },
		seed: { type: "string", default: "8090" },
		show: { type: "string", default: "20" },
	},
});
const seed = Number(args.seed);
const servers = [
	{ name: "tenon", base: args.tenon, token: args["tenon-token"] },
	{ name: "pocketbase", base: args.pocketbase, token: args["pocketbase-token"] },
];

async function ask(server, method, path, body) {
	const answer = await fetch(`${server.base}/api/${path}`, {
		method,
		headers: { Authorization: server.token, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
		body: body === undefined ? undefined : JSON.stringify(body),
	});
	const text = await answer.text();
	return { status: answer.status, json: text ? JSON.parse(text) : null };
}
async function must(server, method, path, body) {
	const answer = await ask(server, method, path, body);
	if (answer.status >= 300) throw new Error(`${server.name}: ${method} ${path}: ${answer.status} ${JSON.stringify(answer.json)}`);
	return answer.json;
}

/** PocketBase before 0.23 has a field's options in an object of their own. */
function fieldOf(field, ids, isOld) {
	const { name, type, to, ...options } = field;
	if (to) options.collectionId = ids[to];
	if (!isOld) return { name, type, ...options };
	const { onlyInt, ...rest } = options;
	return { name, type, options: { ...rest, ...(onlyInt ? { noDecimal: true } : {}) } };
}
for (const server of servers) {
	const ids = {};
	const isOld = server.name === "pocketbase";
	for (const one of collections) {
		const fields = one.fields.map((field) => fieldOf(field, ids, isOld));
		ids[one.name] = (await must(server, "POST", "collections", { name: one.name, type: "base", [isOld ? "schema" : "fields"]: fields })).id;
	}
	for (const [name, record] of rows(seed)) await must(server, "POST", `collections/${name}/records`, record);
}

const count = { same: 0, explained: new Map(), different: 0 };
function judge(what, tenon, pocketbase) {
	if (JSON.stringify(tenon) === JSON.stringify(pocketbase)) {
		count.same++;
		return;
	}
	const reasons = known(what, tenon, pocketbase);
	for (const reason of reasons) count.explained.set(reason, (count.explained.get(reason) ?? 0) + 1);
	if (reasons.length) return;
	if (count.different++ < Number(args.show))
		console.log(`different: ${JSON.stringify(what)}\n   tenon      ${JSON.stringify(tenon).slice(0, 400)}\n   pocketbase ${JSON.stringify(pocketbase).slice(0, 400)}`);
}

for (const question of questions(seed + 1, Number(args.questions))) {
	const path = `collections/posts/records?${new URLSearchParams({ ...question, perPage: "500" })}`;
	const [tenon, pocketbase] = await Promise.all(servers.map((server) => ask(server, "GET", path)));
	const ids = (answer) => (answer.status === 200 ? [200, answer.json.totalItems, answer.json.items.map((one) => one.id)] : [answer.status]);
	judge({ question }, ids(tenon), ids(pocketbase));
}
const asked = count.same + count.different;

for (const [method, id, body] of writes(seed + 2, Number(args.writes))) {
	const path = `collections/posts/records${id ? `/${id}` : ""}`;
	const [tenon, pocketbase] = await Promise.all(servers.map((server) => ask(server, method, path, body)));
	const plain = (answer) => {
		if (answer.status !== 200) return [answer.status, Object.fromEntries(Object.entries(answer.json?.data ?? {}).map(([name, one]) => [name, one.code]).sort())];
		const { created, updated, collectionId, expand, ...record } = answer.json;
		return [200, Object.fromEntries(Object.entries(record).sort())];
	};
	judge({ method, id, body }, plain(tenon), plain(pocketbase));
}
console.log(`questions\t${args.questions}`);
console.log(`writes\t${args.writes}`);
console.log(`same\t${count.same}`);
for (const [reason, n] of count.explained) console.log(`explained\t${n}\t${reason}`);
console.log(`different\t${count.different}`);
process.exit(count.different === 0 && asked > 0 ? 0 : 1);
