import { readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** The version is the first heading of the changelog, as it is for the server. */
function readVersion(): string {
	const changelog = readFileSync(new URL("../CHANGELOG.md", import.meta.url), "utf8");
	const version = /^## (\d+\.\d+\.\d+)/m.exec(changelog)?.[1];
	if (!version) throw new Error("CHANGELOG.md has no version heading");
	return version;
}

export default defineConfig({
	base: "/_/",
	plugins: [react()],
	define: { __VERSION__: JSON.stringify(readVersion()) },
	build: {
		target: ["chrome120", "firefox125", "safari17.4"],
		// A data: script or style would be inline, which the policy forbids.
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		sourcemap: false,
		reportCompressedSize: false,
	},
	server: {
		proxy: { "/platform": process.env["TENON_URL"] ?? "http://127.0.0.1:8090" },
	},
	test: {
		environment: "happy-dom",
		include: ["src/**/*.test.{ts,tsx}"],
		setupFiles: ["src/testing/setup.ts"],
		restoreMocks: true,
	},
});
