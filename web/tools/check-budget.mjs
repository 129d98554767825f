/**
 * How much a browser loads before it shows something, in kB of gzip at level 9:
 *   shell       what index.html names
 *   first view  the shell and the overview, with its charts, in the larger of the two languages
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));
const LIMITS_KB = { shell: 160, "first view": 190 };
const ROUTE_LIMIT_KB = 40;

const page = readFileSync(`${DIST}index.html`, "utf8");
const sizes = new Map(
	readdirSync(`${DIST}assets`).map((name) => [
		name,
		gzipSync(readFileSync(`${DIST}assets/${name}`), { level: 9 }).length / 1000,
	]),
);
const sum = (names) => names.reduce((total, name) => total + sizes.get(name), 0);
const names = [...sizes.keys()];
const shell = names.filter((name) => page.includes(name));
const lazy = names.filter((name) => !shell.includes(name));
const scripts = shell.map((name) => readFileSync(`${DIST}assets/${name}`, "utf8")).join("");
const unknown = lazy.filter((name) => !scripts.includes(name));

let failed = 0;
const check = (what, size, limit) => {
	const isOver = size > limit;
	console.log(`${isOver ? "FAIL" : "ok  "}  ${what}: ${size.toFixed(1)} kB of ${limit}`);
	if (isOver) failed++;
};
check("shell", sum(shell), LIMITS_KB.shell);
check("first view", sum(names), LIMITS_KB["first view"]);
for (const name of lazy.filter((one) => one.endsWith(".js"))) check(name, sizes.get(name), ROUTE_LIMIT_KB);
if (shell.length < 2 || unknown.length > 0) {
	console.log(`FAIL  the parts do not add up: ${shell.join(" ")}; unknown: ${unknown.join(" ")}`);
	failed++;
}
process.exitCode = failed > 0 ? 1 : 0;
