import { describe, expect, it } from "vitest";
import { sampleRange, sampleTick } from "../testing/samples";
import { History, HISTORY_SECONDS } from "./history";

const KEY = "shop/order-rules";

describe("History", () => {
	it("has each second once, and null for those that never came", () => {
		const history = new History();
		history.push(sampleTick(100));
		history.push(sampleTick(103));
		const window = history.window(10);
		expect(window.times).toEqual([100, 101, 102, 103]);
		expect(window.series("s2xx")).toEqual([10, null, null, 10]);
		expect(window.calls(KEY)).toEqual([4, null, null, 4]);
		expect(history.lastHole(30)).toBe(102);
	});

	it("replaces a second that comes again, fills one that comes late, and drops one too old", () => {
		const history = new History();
		for (const t of [100, 102]) history.push(sampleTick(t));
		history.push(sampleTick(102, { denied: 7 }));
		history.push(sampleTick(101, { denied: 3 }));
		history.push(sampleTick(42));
		expect(history.window(10).times).toEqual([100, 101, 102]);
		expect(history.window(10).series("denied")).toEqual([0, 3, 7]);
	});

	it("takes the server's memory, and keeps what is newer and what the server does not know", () => {
		const history = new History();
		for (const t of [98, 99, 100, 101]) history.push(sampleTick(t));
		const range = sampleRange(90, 10);
		range.requests.s2xx[8] = null;
		history.load(range);
		const window = history.window(20);
		expect(window.times).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101]);
		expect(window.series("s2xx")).toEqual([5, 5, 5, 5, 5, 5, 5, 5, 10, 5, 10, 10]);
	});

	it("never grows beyond its seconds", () => {
		const history = new History();
		history.load(sampleRange(1000, HISTORY_SECONDS));
		for (let t = 1900; t < 2000; t++) history.push(sampleTick(t));
		const window = history.window(5000);
		expect(window.times).toHaveLength(HISTORY_SECONDS);
		expect(window.times[0]).toBe(1100);
		expect(window.series("p99")).toHaveLength(HISTORY_SECONDS);
		expect(window.calls(KEY)).toHaveLength(HISTORY_SECONDS);
	});

	it("forgets all after a silence longer than itself", () => {
		const history = new History();
		history.push(sampleTick(100));
		history.push(sampleTick(100 + HISTORY_SECONDS * 3));
		expect(history.window(5000).times).toEqual([100 + HISTORY_SECONDS * 3]);
	});

	it("forgets a plugin that is gone from all its seconds", () => {
		const history = new History();
		history.push(sampleTick(100));
		for (let t = 101; t < 101 + HISTORY_SECONDS; t++) history.push(sampleTick(t, { plugins: [] }));
		expect(history.window(10).plugins).toEqual([]);
	});

	it("a copy stays as it is", () => {
		const history = new History();
		history.push(sampleTick(100));
		const copy = history.copy();
		history.push(sampleTick(101));
		history.push(sampleTick(100, { denied: 9 }));
		expect(copy.window(10).times).toEqual([100]);
		expect(copy.window(10).series("denied")).toEqual([0]);
	});

	it("tells its listeners, until they leave", () => {
		const history = new History();
		let told = 0;
		const leave = history.subscribe(() => told++);
		history.push(sampleTick(100));
		leave();
		history.push(sampleTick(101));
		expect(told).toBe(1);
	});
});
