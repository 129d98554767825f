/**
 * northwind.mjs - builds the Northwind shop over the API, loads its history, lets a plugin guard it, and looks.
 *
 *   node northwind.mjs --base http://127.0.0.1:8090/t/shop --token SUPERUSER --data FOLDER --deploy COMMAND
 *
 * Prints what it saw, one NAME<TAB>VALUE a line; what should be seen stands as literals with whoever reads it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { collections, id, tables, views } from "./shop.mjs";

const { values: args } = parseArgs({
	options: { base: { type: "string" }, token: { type: "string" }, data: { type: "string" }, deploy: { type: "string" } },
});
const see = (name, value) => console.log(`${name}\t${value}`);
const PASSWORD = "a good password";

async function ask(method, path, body, token = args.token) {
	const answer = await fetch(`${args.base}/api/${path}`, {
		method,
		headers: { ...(token ? { Authorization: token } : {}), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
		body: body === undefined ? undefined : JSON.stringify(body),
	});
	const json = answer.status === 204 ? null : await answer.json();
	return { status: answer.status, json };
}
async function must(method, path, body, token) {
	const answer = await ask(method, path, body, token);
	if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.json)}`);
	return answer.json;
}
const records = (name) => `collections/${name}/records`;
const list = (name, query, token) => must("GET", `${records(name)}?${new URLSearchParams(query)}`, undefined, token);
const money = (value) => value.toFixed(2);

// ---- the app ----
const made = {};
for (const one of collections) {
	const fields = one.fields.map((field) => ({ ...field, ...(field.collectionId ? { collectionId: made[field.collectionId] } : {}) }));
	const answer = await must("POST", "collections", {
		name: one.name,
		type: "base",
		fields,
		indexes: one.indexes ?? [],
		listRule: one.read,
		viewRule: one.read,
		createRule: one.create ?? null,
	});
	made[one.name] = answer.id;
	if (one.later) {
		const later = one.later.map((field) => ({ ...field, collectionId: made[field.collectionId] }));
		await must("PATCH", `collections/${one.name}`, { fields: [...answer.fields, ...later] });
	}
}
see("collections", Object.keys(made).length);
const users = await must("GET", "collections/users");
await must("PATCH", "collections/users", {
	fields: [...users.fields, { name: "role", type: "select", values: ["staff", "customer"], maxSelect: 1 }, { name: "code", type: "text" }],
});
const account = (email, more) => must("POST", records("users"), { email, password: PASSWORD, passwordConfirm: PASSWORD, ...more });
await account("nancy@northwind.test", { role: "staff" });
await account("maria@alfreds.test", { role: "customer", code: "ALFKI" });
const signIn = async (identity) =>
	(await must("POST", "collections/users/auth-with-password", { identity, password: PASSWORD }, "")).token;
const staff = await signIn("nancy@northwind.test");
const maria = await signIn("maria@alfreds.test");

// ---- its history, each row by a request of its own, sixteen at a time ----
let loaded = 0;
for (const [file, name, record] of tables) {
	const rows = JSON.parse(readFileSync(join(args.data, `${file}.json`), "utf8"));
	const work = rows.map(record);
	await Promise.all(
		Array.from({ length: 16 }, async () => {
			for (let one = work.shift(); one; one = work.shift()) {
				await must("POST", records(name), one);
				loaded++;
			}
		}),
	);
}
for (const row of JSON.parse(readFileSync(join(args.data, "employees.json"), "utf8")))
	if (row.ReportsTo) await must("PATCH", `${records("employees")}/${id("emp", row.EmployeeID)}`, { reports_to: id("emp", row.ReportsTo) });
see("rows", loaded);
for (const one of collections) see(`rows of ${one.name}`, (await list(one.name, { perPage: 1 })).totalItems);

// ---- what it refuses ----
const code = (answer, field) => `${answer.status} ${answer.json.data?.[field]?.code ?? ""}`;
see("a code twice", code(await ask("POST", records("customers"), { code: "ALFKI", name: "Twice" }), "code"));
see("a name twice in other letters", code(await ask("POST", records("products"), { name: "CHAI", supplier: id("sup", 1), category: id("cat", 1) }), "name"));
see("no name", code(await ask("POST", records("customers"), { code: "NONAM" }), "name"));
see("a code of six letters", code(await ask("POST", records("customers"), { code: "TOOLNG", name: "x" }), "code"));
see("a relation to nothing", code(await ask("POST", records("orders"), { number: 1, customer: id("cus", "NOONE"), employee: id("emp", 1), ordered: "2026-01-01", ship_via: id("shi", 1) }), "customer"));
see("a product that lines need", (await ask("DELETE", `${records("products")}/${id("pro", 11)}`)).status);
see("a stranger's order list", (await list("orders", {}, "")).totalItems);
see("a customer's order list", (await list("orders", {}, maria)).totalItems);
see("a customer asks for another's order", (await ask("GET", `${records("orders")}/${id("ord", 10248)}`, undefined, maria)).status);
see("a customer's suppliers", (await list("suppliers", {}, maria)).totalItems);
see("a customer changes a price", (await ask("PATCH", `${records("products")}/${id("pro", 1)}`, { unit_price: 1 }, maria)).status);

// ---- money ----
for (const view of views)
	await must("POST", "collections", { name: view.name, type: "view", viewQuery: view.query, listRule: null, viewRule: null });
let revenue = 0;
let lines = 0;
for (let page = 1, pages = 1; page <= pages; page++) {
	const answer = await list("order_lines", { page, perPage: 500, sort: "id" });
	pages = answer.totalPages;
	lines += answer.items.length;
	for (const one of answer.items) revenue += one.unit_price * one.quantity * (1 - one.discount);
}
see("lines, page by page", lines);
see("revenue after discount, added up by the client", money(revenue));
const byCategory = await list("category_revenue", { sort: "name", perPage: 100 });
see("revenue after discount, by a view", money((await list("revenue", {})).items[0].revenue));
for (const one of byCategory.items) see(`revenue of ${one.name}`, money(one.revenue));
const largest = await list("order_totals", { sort: "-total", perPage: 10, expand: "customer" });
see("the ten largest orders", largest.items.map((one) => `${one.number} ${one.expand.customer.code} ${money(one.total)}`).join(", "));

// ---- lists ----
const numbers = async (query, token = staff) => (await list("orders", query, token)).items.map((one) => one.number).join(" ");
const total = async (name, filter, token = staff) => (await list(name, { filter, perPage: 1 }, token)).totalItems;
see("dearest products", (await list("products", { sort: "-unit_price,name", perPage: 5 }, "")).items.map((one) => one.name).join(", "));
see("below their reorder level", await total("products", "discontinued = false && stock < reorder_level"));
see("names with ch", await total("products", 'name ~ "ch"'));
see("names that end in ade", await total("products", 'name ~ "%ade"'));
see("names with an umlaut", (await list("products", { filter: 'name ~ "grüne Soße"' })).items.map((one) => one.name).join(", "));
see("orders not shipped", await numbers({ filter: 'shipped = ""', sort: "number", perPage: 100 }));
see("orders of 1997", await total("orders", 'ordered >= "1997-01-01" && ordered < "1998-01-01"'));
see("orders of German customers", await total("orders", 'customer.country = "Germany"'));
see("heavy freight to Germany, page 1", await numbers({ filter: 'ship_country = "Germany" && freight > 100', sort: "-freight,number", perPage: 10, page: 1 }));
see("heavy freight to Germany, page 4", await numbers({ filter: 'ship_country = "Germany" && freight > 100', sort: "-freight,number", perPage: 10, page: 4 }));
see("orders with a line of 100 or more", await numbers({ filter: "order_lines_via_order.quantity ?>= 100", sort: "number", perPage: 100 }));
see("orders with a discount on every line", await total("orders", "order_lines_via_order.discount > 0"));
see("customers without a region", await total("customers", 'region = ""'));
see("who reports to whom", (await list("employees", { sort: "last_name", expand: "reports_to" }, staff)).items.map((one) => `${one.last_name}>${one.expand?.reports_to?.last_name ?? ""}`).join(" "));
const seen = new Set();
for (let page = 1; page <= 9; page++) for (const one of (await list("orders", { sort: "-ordered,number", perPage: 100, page }, staff)).items) seen.add(one.id);
see("orders on nine pages of 100", seen.size);
const groups = await list("orders", { "aggregate[count]": "*", "aggregate[sum]": "freight", groupBy: "ship_country", sort: "-sum.freight", perPage: 3 }, staff);
see("freight per country", groups.items.map((one) => `${one.ship_country} ${one.count} ${money(one.sum.freight)}`).join(", "));

// ---- the plugin ----
execFileSync("/bin/sh", ["-c", args.deploy], { stdio: ["ignore", "ignore", "inherit"] });
const tops = (await must("GET", "x/order-rules/totals", undefined, staff)).items.slice(0, 3);
see("the plugin's totals before discount", tops.map((one) => `${one.name} ${one.orders} ${money(one.total)}`).join(", "));
const line = (quantity) => ({ order: id("ord", 11077), product: id("pro", 1), unit_price: 18, quantity, discount: 0 });
const tooMany = await ask("POST", records("order_lines"), line(40), staff);
see("forty of 39 in stock", `${tooMany.status} ${tooMany.json.message}`);
see("all that is in stock", (await ask("POST", records("order_lines"), line(39), staff)).status);
see("what is left", (await must("GET", `${records("products")}/${id("pro", 1)}`)).stock);
see("one more", (await ask("POST", records("order_lines"), { ...line(1), order: id("ord", 11076) }, staff)).status);
see("lines at the end", await total("order_lines", ""));
