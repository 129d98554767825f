import { describe, expect, it } from "vitest";
import { SseParser } from "./sse";

const STREAM =
	'\uFEFFevent: hello\ndata: {"buildId":"a"}\n\n: heartbeat\n\nid: 7\nevent: tick\ndata: one\ndata:two\n\ndata: lost';

describe("SseParser", () => {
	it("gives the same events however the text is cut", () => {
		const whole = new SseParser().push(STREAM);
		expect(whole).toEqual([
			{ event: "hello", data: '{"buildId":"a"}', id: "" },
			{ event: "tick", data: "one\ntwo", id: "7" },
		]);
		for (const ending of ["\n", "\r", "\r\n"]) {
			const text = STREAM.replaceAll("\n", ending);
			for (let size = 1; size < 9; size++) {
				const parser = new SseParser();
				const events = [];
				for (let i = 0; i < text.length; i += size)
					events.push(...parser.push(text.slice(i, i + size)));
				expect(events, `${JSON.stringify(ending)} cut by ${size}`).toEqual(whole);
			}
		}
	});

	it("keeps the last id of a complete event over a reset, and drops the rest", () => {
		const parser = new SseParser();
		parser.push("id: 1\ndata: x\n\nid: 2\ndata: half");
		parser.reset();
		expect(parser.lastId).toBe("1");
		expect(parser.push("\ndata: y\n\n")).toEqual([{ event: "message", data: "y", id: "1" }]);
	});

	it("takes an event without data for none, and an id with NUL for none", () => {
		const parser = new SseParser();
		expect(parser.push("event: tick\nid: a\0b\n\n")).toEqual([]);
		expect(parser.lastId).toBe("");
	});
});
