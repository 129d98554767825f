import { describe, expect, it } from "vitest";
import { needsAttention } from "../lib/attention";
import { sampleOverview, samplePlugin, sampleTick } from "../testing/samples";
import { applyTick, arrange, toRows } from "./overview";

describe("applyTick", () => {
	it("moves what a tick knows and keeps what it does not", () => {
		const before = sampleOverview({ plugins: [samplePlugin({ id: "gone" })] });
		const start = Date.parse("2026-11-23T14:00:00Z") / 1000;
		const after = applyTick(before, sampleTick(start + 90));
		expect(after.uptimeS).toBe(90);
		expect(after.audit.records).toBe(1240);
		expect(after.process.openFiles).toBe(71);
		expect(after.sandbox).toBe(before.sandbox);
		expect(after.plugins.map((plugin) => plugin.id)).toEqual(["order-rules"]);
		expect(after.plugins[0]).not.toHaveProperty("callsDelta");
	});
});

describe("arrange", () => {
	const rows = toRows(
		[
			samplePlugin({ id: "b", calls: 1 }),
			samplePlugin({ id: "a", calls: 5, crashes: 1 }),
			samplePlugin({ id: "c", tenant: "atelier", calls: 5, state: "quarantined" }),
		],
		() => 0,
	);
	const view = { text: "", attentionOnly: false, sort: "plugin", isDescending: false } as const;
	const ids = (change: object) =>
		arrange(rows, { ...view, ...change }, needsAttention).map((row) => row.plugin.id);

	it("sorts by name, by figure, and worst state first; equals keep their order", () => {
		expect(ids({})).toEqual(["a", "b", "c"]);
		expect(ids({ sort: "calls", isDescending: true })).toEqual(["c", "a", "b"]);
		expect(ids({ sort: "state" })).toEqual(["c", "a", "b"]);
	});

	it("filters by name and tenant, and by need", () => {
		expect(ids({ text: " ATELIER " })).toEqual(["c"]);
		expect(ids({ attentionOnly: true })).toEqual(["a", "c"]);
		expect(ids({ text: "nothing" })).toEqual([]);
	});
});
