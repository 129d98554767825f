/** One event of a text/event-stream. */
export interface StreamEvent {
	event: string;
	data: string;
	id: string;
}

/**
 * Cuts the text of an event stream into events, whatever pieces it arrives in. Lines end in LF, CR
 * or CRLF; an event that the stream's end cuts off is dropped, as the standard says.
 */
export class SseParser {
	/** The id of the last event that was complete, to be sent when connecting again. */
	lastId = "";

	#rest = "";
	#afterCr = false;
	#isFirst = true;
	#event = "";
	#data: string[] = [];
	#id = "";

	/** The end of a stream: what was not complete is forgotten, the last id stays. */
	reset(): void {
		this.#rest = "";
		this.#afterCr = false;
		this.#isFirst = true;
		this.#event = "";
		this.#data = [];
		this.#id = this.lastId;
	}

	push(text: string): StreamEvent[] {
		let chunk = text;
		if (this.#isFirst && chunk.length > 0) {
			this.#isFirst = false;
			if (chunk.startsWith("\uFEFF")) chunk = chunk.slice(1);
		}
		// A CR that ended the last piece has ended its line; the LF of a CRLF adds none.
		if (this.#afterCr && chunk.startsWith("\n")) chunk = chunk.slice(1);
		if (text.length > 0) this.#afterCr = text.endsWith("\r");

		const lines = (this.#rest + chunk).split(/\r\n|\n|\r/);
		this.#rest = lines.pop() ?? "";
		const events: StreamEvent[] = [];
		for (const line of lines) this.#line(line, events);
		return events;
	}

	#line(line: string, events: StreamEvent[]): void {
		if (line === "") {
			this.lastId = this.#id;
			if (this.#data.length > 0)
				events.push({
					event: this.#event || "message",
					data: this.#data.join("\n"),
					id: this.#id,
				});
			this.#event = "";
			this.#data = [];
			return;
		}
		const colon = line.indexOf(":");
		if (colon === 0) return;
		const field = colon < 0 ? line : line.slice(0, colon);
		const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
		if (field === "event") this.#event = value;
		else if (field === "data") this.#data.push(value);
		else if (field === "id" && !value.includes("\0")) this.#id = value;
	}
}
