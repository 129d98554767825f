/**
 * Debian's Chromium, and a page that is watched: each violation of the content security policy, each
 * error on the console, and each request that leaves the origin is kept and fails the flow.
 */
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export async function openBrowser() {
	return chromium.launch({
		executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
		// A root user's Chromium has no sandbox of its own; this one only ever sees our server.
		args: ["--no-sandbox", "--disable-dev-shm-usage"],
	});
}

/** Opens a page of the console in a context of its own, under watch. */
export async function openPage(browser, base, { width = 1360, height = 900, scheme = "light", locale = "en-GB", timezone = "UTC" } = {}) {
	const context = await browser.newContext({
		viewport: { width, height },
		colorScheme: scheme,
		locale,
		timezoneId: timezone,
		reducedMotion: "reduce",
	});
	const page = await context.newPage();
	const faults = [];
	const origin = new URL(base).origin;

	await page.exposeFunction("reportViolation", (text) => faults.push(`policy: ${text}`));
	await page.addInitScript(() => {
		document.addEventListener("securitypolicyviolation", (event) =>
			window.reportViolation(
				`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`,
			),
		);
	});
	page.on("console", (message) => {
		if (message.type() !== "error" && message.type() !== "warning") return;
		// The browser's own note on an answer that the flow expects, as 401 before signing in.
		if (/^Failed to load resource: /.test(message.text())) return;
		faults.push(`console ${message.type()}: ${message.text()}`);
	});
	page.on("pageerror", (error) => faults.push(`page: ${error.message}`));
	page.on("request", (request) => {
		const url = new URL(request.url());
		if (url.origin !== origin && url.protocol !== "data:" && url.protocol !== "blob:")
			faults.push(`off origin: ${request.url()}`);
	});
	return { context, page, faults };
}

/** Runs axe over the whole page. Returns one line for each finding. Runs past the page's policy. */
export async function runAxe(page) {
	// The page forbids eval to itself, not to its debugger; axe is code of this test and not of the page.
	const session = await page.context().newCDPSession(page);
	try {
		await session.send("Page.setBypassCSP", { enabled: true });
		await session.send("Runtime.evaluate", { expression: AXE });
		const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
			expression: `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
				.then((r) => JSON.stringify(r.violations.map((v) => v.id + " (" + v.impact + "): " + v.help + " — " + v.nodes.slice(0, 4).map((n) => n.target.join(" ") + " [" + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? "") + "]").join("; "))))`,
			awaitPromise: true,
			returnByValue: true,
		});
		if (exceptionDetails) throw new Error(`axe: ${exceptionDetails.exception?.description}`);
		return JSON.parse(result.value);
	} finally {
		await session.send("Page.setBypassCSP", { enabled: false });
		await session.detach();
	}
}

/** True when something is wider than the window. */
export async function scrollsSideways(page) {
	return page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
}

/** Prints a line for each claim, and remembers whether all held. */
export class Report {
	failed = 0;

	check(claim, isTrue, detail = "") {
		console.log(`${isTrue ? "ok  " : "FAIL"}  ${claim}${detail ? `  (${detail})` : ""}`);
		if (!isTrue) this.failed++;
	}

	none(claim, list) {
		this.check(claim, list.length === 0, list.length > 0 ? `${list.length}` : "");
		for (const item of list) console.log(`      ${item}`);
	}

	finish() {
		console.log(this.failed === 0 ? "PASS" : `FAIL: ${this.failed}`);
		process.exitCode = this.failed === 0 ? 0 : 1;
	}
}

/** --name value pairs. */
export function readArguments(required, optional = []) {
	const found = {};
	const argv = process.argv.slice(2);
	for (let i = 0; i < argv.length; i += 2) {
		const name = argv[i]?.replace(/^--/, "");
		if (![...required, ...optional].includes(name) || argv[i + 1] === undefined) usage();
		found[name] = argv[i + 1];
	}
	if (required.some((name) => found[name] === undefined)) usage();
	return found;

	function usage() {
		const words = [...required.map((n) => `--${n} VALUE`), ...optional.map((n) => `[--${n} VALUE]`)];
		console.error(`usage: node ${process.argv[1]} ${words.join(" ")}`);
		process.exit(2);
	}
}
