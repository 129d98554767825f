import { describe, expect, it } from "vitest";
import { stack, roundUp } from "../charts/Plot";
import { sparkPath } from "../charts/Sparkline";
import { parseRetryAfter } from "../api/client";
import { History } from "../live/history";
import { checkEmail, missingCharacters, readSetupToken } from "../pages/checks";
import { sampleOverview, samplePlugin, sampleTick } from "../testing/samples";
import { findAttention, isPlainHttp } from "./attention";
import { createFormat } from "./format";
import { add, bucket, condense, latest, peak, recentMean } from "./stats";
import { parseMoment } from "./time";

describe("format", () => {
	const en = createFormat("en", "utc");
	const rows: [string, string][] = [
		[en.latency(0.4), "0 µs"],
		[en.latency(999.4), "999 µs"],
		[en.latency(999.6), "1.00 ms"],
		[en.latency(12_340), "12.3 ms"],
		[en.latency(999_600), "1.00 s"],
		[en.latencyAxis(0), "0"],
		[en.latencyAxis(2_500), "2.5 ms"],
		[en.bytes(1023), "1,023 B"],
		[en.bytes(1_900_000), "1.81 MiB"],
		[en.bytes(3 * 1024 ** 3), "3.00 GiB"],
		[en.compact(9_999), "9,999"],
		[en.compact(10_000), "10.0k"],
		[en.compact(1_250_000), "1.3M"],
		[en.rate(0), "0/s"],
		[en.rate(0.4), "0.4/s"],
		[en.rate(482.3), "482/s"],
		[en.percent(0), "0 %"],
		[en.percent(0.00001), "<0.01 %"],
		[en.percent(0.0123), "1.23 %"],
		[en.percent(0.99999), ">99.99 %"],
		[en.percent(1), "100 %"],
		[en.duration(59.9), "59 sec"],
		[en.duration(61), "1 min 1 sec"],
		[en.duration(3 * 3600 + 720), "3 hr 12 min"],
		[en.duration(86_400), "1 day"],
		[en.time(1_795_444_931), "14:42:11"],
		[en.minute(1_795_444_920), "14:42"],
		[en.stamp(1_795_444_931), "2026-11-23 14:42:11 UTC"],
		[createFormat("zh-CN", "utc").duration(3_720), "1小时 2分钟"],
		[createFormat("zh-CN", "utc").stamp(1_795_444_931), "2026-11-23 14:42:11 UTC"],
	];
	it.each(rows)("%s is %s", (is, shouldBe) => expect(is).toBe(shouldBe));
});

describe("stats", () => {
	it("null is no figure, and not zero", () => {
		expect(add([[1, null, null], [2, 3, null]])).toEqual([3, 3, null]);
		expect(peak([null, 4, 9, 9])).toEqual({ value: 9, index: 2 });
		expect(peak([null])).toBeNull();
		expect(recentMean([100, null, 4, 6], 3)).toBe(5);
		expect(recentMean([1, null], 1)).toBeNull();
		expect(latest([7, null, null], 2)).toBeNull();
		expect(latest([7, 8, null], 2)).toBe(8);
	});

	it("buckets follow the clock", () => {
		const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
		const times = [119, 120, 121, 134, 135];
		const rows = bucket(times, [[1, 2, 3, null, 5], [null, null, null, null, null]], 15, sum);
		expect(rows).toEqual([
			{ time: 135, values: [5, null] },
			{ time: 120, values: [5, null] },
			{ time: 105, values: [1, null] },
		]);
		expect(condense(times, [[1, 2, 3, null, 5]], 15, sum)).toEqual({
			times: [105, 120, 135],
			columns: [[1, 5, 5]],
		});
	});
});

describe("charts", () => {
	it("stacked edges are sums, the outermost first; a hole stays a hole", () => {
		expect(stack([[1, null], [2, 3], [4, 5]])).toEqual([[7, 8], [3, 3], [1, null]]);
	});

	it("a scale ends at a round number that is not below", () => {
		for (const n of [0.003, 1, 4.1, 9.9, 10, 11, 642, 99_999]) {
			expect(roundUp(n)).toBeGreaterThanOrEqual(n * 0.999);
			expect(roundUp(n)).toBeLessThanOrEqual(n * 1.6);
		}
		expect(roundUp(642)).toBe(800);
	});

	it("a sparkline lifts its pen over holes", () => {
		expect(sparkPath([0, 2, null, 2], 30, 10)).toBe("M0.0 10.0L10.0 0.0M30.0 0.0");
		expect(sparkPath([], 30, 10)).toBe("");
	});
});

describe("attention", () => {
	const minute = (change: Parameters<typeof sampleTick>[1] = {}) => {
		const history = new History();
		for (let t = 100; t < 160; t++) history.push(sampleTick(t, change));
		return history.window(60);
	};
	const https = { isPlainHttp: false };
	const ids = (...args: Parameters<typeof findAttention>) => findAttention(...args).map((one) => one.id);

	it("is silent when all is well", () => {
		expect(ids(sampleOverview(), minute(), https)).toEqual([]);
	});

	it("names every trouble once, the critical ones first", () => {
		const overview = sampleOverview({
			audit: { records: 1, lastSealAt: null, state: "broken" },
			sandbox: { layers: ["seccomp"], degraded: ["cgroup"], selfTest: { attempts: 55, refused: 54 } },
			plugins: [samplePlugin({ state: "backing_off" }), samplePlugin({ id: "x", state: "quarantined" })],
		});
		const window = minute({ requests: { s2xx: 90, s3xx: 0, s4xx: 0, s5xx: 1 }, denied: 1 });
		const found = findAttention(overview, window, { isPlainHttp: true });
		expect(found.map((one) => one.level).join(" ")).toBe("bad bad bad warn warn warn warn warn");
		expect(found.map((one) => one.id)).toEqual([
			"audit",
			"selfTest",
			"plugin shop/x",
			"degraded",
			"plugin shop/order-rules",
			"errors",
			"denied",
			"http",
		]);
	});

	it("a few errors among few requests are no trouble", () => {
		const quiet = new History();
		quiet.push(sampleTick(100, { requests: { s2xx: 1, s3xx: 0, s4xx: 0, s5xx: 2 } }));
		expect(ids(sampleOverview(), quiet.window(60), https)).toEqual([]);
	});

	it("plain http is fine on this machine and nowhere else", () => {
		const at = (protocol: string, hostname: string) => isPlainHttp({ protocol, hostname });
		expect(at("http:", "127.0.0.1")).toBe(false);
		expect(at("http:", "127.8.9.1")).toBe(false);
		expect(at("http:", "[::1]")).toBe(false);
		expect(at("http:", "console.localhost")).toBe(false);
		expect(at("https:", "tenon.example")).toBe(false);
		expect(at("http:", "127.0.0.1.example")).toBe(true);
		expect(at("http:", "localhost.example")).toBe(true);
		expect(at("http:", "10.0.0.7")).toBe(true);
	});
});

describe("checks", () => {
	it("reads the token of the setup link and of nothing else", () => {
		expect(readSetupToken("#setup=abc")).toBe("abc");
		expect(readSetupToken("#setup=")).toBeNull();
		expect(readSetupToken("#plugins")).toBeNull();
		expect(readSetupToken(`#setup=${"x".repeat(300)}`)).toBeNull();
	});

	it("counts the characters of a password as people do", () => {
		expect(missingCharacters("123456789")).toBe(1);
		expect(missingCharacters("1234567890")).toBe(0);
		expect(missingCharacters("密码密码密码密码密码")).toBe(0);
		expect(missingCharacters("🔑🔑🔑🔑🔑")).toBe(5);
	});

	it("finds slips in an email address", () => {
		expect(checkEmail("")).toBe("field.required");
		expect(checkEmail("mei")).toBe("field.email");
		expect(checkEmail("mei@example.org")).toBeUndefined();
	});

	it("reads dates of the server and waits of 429", () => {
		expect(parseMoment("2026-11-23 14:24:25.500Z")).toBe(1_795_443_865.5);
		expect(parseMoment("")).toBeNull();
		expect(parseMoment("soon")).toBeNull();
		expect(parseMoment(1_795_443_865)).toBe(1_795_443_865);
		expect(parseRetryAfter("20", 0)).toBe(20);
		expect(parseRetryAfter("Thu, 01 Jan 1970 00:00:30 GMT", 10_000)).toBe(20);
		expect(parseRetryAfter("-1", 0)).toBe(0);
		expect(parseRetryAfter("999999", 0)).toBe(3600);
		expect(parseRetryAfter(null, 0)).toBe(0);
	});
});
