/**
 * No text and no inline style in components: what people read stands in src/i18n, and the page's policy
 * forbids style strings. Prints file:line of each breach.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SRC = fileURLToPath(new URL("../src/", import.meta.url));
const RULES = [
	[/>\s*[A-Za-z\u4e00-\u9fff][^<>{}=;()]*<\//, "text between tags"],
	[/\b(aria-label|aria-description|aria-roledescription|placeholder|title|alt)="[^"]*[A-Za-z]/, "text in an attribute"],
	[/\bstyle="/, "a style string"],
	[/dangerouslySetInnerHTML|\.innerHTML|\.outerHTML|insertAdjacentHTML|document\.write/, "markup from a string"],
	[/\btitle=\{/, "a title, which keyboards and touch never see"],
];
const ALLOWED = new Set(["title={title}", "title={t("]);

let found = 0;
for (const name of readdirSync(SRC, { recursive: true })) {
	if (!/\.tsx$/.test(name) || /\.test\.tsx$/.test(name)) continue;
	readFileSync(SRC + name, "utf8")
		.split("\n")
		.forEach((line, i) => {
			for (const [pattern, what] of RULES) {
				const match = pattern.exec(line);
				// ChartCard and Gate have a property of this name that is a heading.
				const isHeading = what.startsWith("a title") && [...ALLOWED].some((one) => line.includes(one));
				if (!match || isHeading) continue;
				console.log(`src/${name}:${i + 1}: ${what}: ${line.trim()}`);
				found++;
			}
		});
}
process.exitCode = found > 0 ? 1 : 0;
