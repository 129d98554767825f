/** Pictures of the console in its states, for the eye: node e2e/shots.mjs --out FOLDER [--only NAME] */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { openBrowser, openPage, readArguments, runAxe, scrollsSideways } from "./browser.mjs";
import { startMock } from "./mock-server.mjs";

const { out, only } = readArguments(["out"], ["only"]);
mkdirSync(out, { recursive: true });

const VIEWS = [
	["light-en", { scheme: "light" }],
	["dark-zh", { scheme: "dark", locale: "zh-CN", timezone: "Asia/Shanghai" }],
	["light-en-320", { scheme: "light", width: 320, height: 700 }],
	["dark-zh-320", { scheme: "dark", locale: "zh-CN", width: 320, height: 700 }],
	["light-en-768", { scheme: "light", width: 768, height: 900 }],
];

const STATES = {
	setup: { mock: { setUp: false }, path: "/_/#setup=first-run-token", signIn: false },
	needslink: { mock: { setUp: false }, path: "/_/", signIn: false },
	signin: { mock: {}, path: "/_/", signIn: false },
	overview: { mock: {}, path: "/_/" },
	trouble: {
		mock: { audit: "broken", degraded: ["cgroup"], refused: 53, states: { saboteur: "quarantined", "price-feed": "backing_off" } },
		path: "/_/?range=900",
	},
	empty: { mock: { empty: true, quiet: true }, path: "/_/" },
};

const browser = await openBrowser();
for (const [name, state] of Object.entries(STATES)) {
	if (only && !name.startsWith(only)) continue;
	for (const [view, options] of VIEWS) {
		const mock = await startMock({ isSetUp: true });
		mock.change(state.mock);
		const { context, page, faults } = await openPage(browser, mock.base, options);
		await page.goto(mock.base + state.path);
		if (state.signIn !== false) {
			await page.locator("[name=email]").fill(mock.user.email);
			await page.locator("[name=password]").fill(mock.user.password);
			await page.keyboard.press("Enter");
			await page.locator("#safety").waitFor();
			await page.waitForTimeout(2300);
		} else await page.locator("h1").waitFor();
		await page.screenshot({ path: join(out, `${name}-${view}.png`), fullPage: true });
		const axe = await runAxe(page);
		const wide = await scrollsSideways(page);
		for (const line of [...faults, ...axe, ...(wide ? ["scrolls sideways"] : [])])
			console.log(`${name} ${view}: ${line}`);
		await context.close();
		mock.close();
	}
}
await browser.close();
