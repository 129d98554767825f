import { pluginKey, type Range, type Tick } from "../api/schema";

/** A figure of one second; null where the server has none. */
export type Figure = number | null;

export const SERIES = ["s2xx", "s3xx", "s4xx", "s5xx", "p50", "p95", "p99", "denied"] as const;
export type Series = (typeof SERIES)[number];

/** As long as the longest range that a page shows. */
export const HISTORY_SECONDS = 900;

/** A cut of the history: all columns are as long as times, which has each second once. */
export interface Window {
	times: number[];
	series(name: Series): Figure[];
	calls(plugin: string): Figure[];
	errors(plugin: string): Figure[];
	/** Keys of the plugins that have a column. */
	plugins: string[];
}

/**
 * The last seconds of every live figure, outside React: ticks append, a reload replaces, and whoever
 * draws asks for a window. Seconds that never came are null, so a gap is seen as a gap.
 */
export class History {
	#times: number[] = [];
	#columns = new Map<string, Figure[]>();
	#plugins: string[] = [];
	#listeners = new Set<() => void>();
	#version = 0;

	subscribe = (listener: () => void): (() => void) => {
		this.#listeners.add(listener);
		return () => this.#listeners.delete(listener);
	};

	/** Changes with every change of the content. */
	version = (): number => this.#version;

	/** The newest second that is known, 0 when none is. */
	get end(): number {
		return this.#times.at(-1) ?? 0;
	}

	get isEmpty(): boolean {
		return this.#times.length === 0;
	}

	/** The newest second of the last few that has no figures at all, 0 when each has some. */
	lastHole(within: number): number {
		const column = this.#columns.get("s2xx") ?? [];
		for (let i = column.length - 1; i >= Math.max(0, column.length - within); i--)
			if (column[i] === null) return this.#times[i] ?? 0;
		return 0;
	}

	/** Takes what the server remembers. What arrived live and is newer, or unknown to it, is kept. */
	load(range: Range): void {
		const length = range.requests.s2xx.length;
		const newer = this.#rowsAfter(range.start + length - 1);
		const times = Array.from({ length }, (_, i) => range.start + i);
		const before = this.#columns;
		const offset = range.start - (this.#times[0] ?? range.start);
		const put = (name: string, column: Figure[]) =>
			this.#columns.set(
				name,
				times.map((_, i) => column[i] ?? before.get(name)?.[i + offset] ?? null),
			);

		this.#times = times;
		this.#columns = new Map();
		this.#plugins = [];
		for (const name of ["s2xx", "s3xx", "s4xx", "s5xx"] as const)
			put(name, range.requests[name]);
		for (const name of ["p50", "p95", "p99"] as const)
			put(name, range.latencyUs[name]);
		put("denied", range.denied);
		for (const plugin of range.plugins) {
			const key = pluginKey(plugin);
			this.#know(key);
			put(`calls ${key}`, plugin.calls);
			put(`errors ${key}`, plugin.errors);
		}
		for (const [t, row] of newer) this.#append(t, row);
		this.#trim();
		this.#changed();
	}

	/** The same content, which then stays as it is. */
	copy(): History {
		const copy = new History();
		copy.#times = [...this.#times];
		copy.#columns = new Map([...this.#columns].map(([name, column]) => [name, [...column]]));
		copy.#plugins = this.#plugins;
		return copy;
	}

	push(tick: Tick): void {
		const row = new Map<string, Figure>();
		for (const name of ["s2xx", "s3xx", "s4xx", "s5xx"] as const)
			row.set(name, tick.requests[name]);
		for (const name of ["p50", "p95", "p99"] as const) row.set(name, tick.latencyUs[name]);
		row.set("denied", tick.denied);
		for (const plugin of tick.plugins) {
			const key = pluginKey(plugin);
			this.#know(key);
			row.set(`calls ${key}`, plugin.callsDelta);
			row.set(`errors ${key}`, plugin.errorsDelta);
		}
		this.#append(tick.t, row);
		this.#trim();
		this.#changed();
	}

	/** The last seconds, up to and with the newest. */
	window(seconds: number): Window {
		const from = Math.max(0, this.#times.length - seconds);
		const times = this.#times.slice(from);
		const column = (name: string) =>
			this.#columns.get(name)?.slice(from) ?? times.map((): Figure => null);
		return {
			times,
			series: (name) => column(name),
			calls: (plugin) => column(`calls ${plugin}`),
			errors: (plugin) => column(`errors ${plugin}`),
			plugins: this.#plugins,
		};
	}

	#changed(): void {
		this.#version++;
		for (const listener of this.#listeners) listener();
	}

	#know(plugin: string): void {
		if (!this.#plugins.includes(plugin)) this.#plugins = [...this.#plugins, plugin];
	}

	#rowsAfter(t: number): [number, Map<string, Figure>][] {
		return this.#times.flatMap((time, i) => {
			if (time <= t) return [];
			const row = new Map<string, Figure>();
			for (const [name, column] of this.#columns) row.set(name, column[i] ?? null);
			return [[time, row] as [number, Map<string, Figure>]];
		});
	}

	/** Adds one second behind the newest, or replaces one that is there; older than all is dropped. */
	#append(t: number, row: Map<string, Figure>): void {
		if (!this.isEmpty && t - this.end > HISTORY_SECONDS) {
			this.#times = [];
			this.#columns.clear();
		}
		if (!this.isEmpty && t <= this.end) {
			const at = this.#times.length - 1 - (this.end - t);
			if (at < 0) return;
			for (const [name, value] of row) this.#column(name)[at] = value;
			return;
		}
		const next = this.isEmpty ? t : this.end + 1;
		for (let second = next; second <= t; second++) this.#times.push(second);
		for (const name of row.keys()) this.#column(name);
		for (const [name, column] of this.#columns) {
			while (column.length < this.#times.length) column.push(null);
			column[column.length - 1] = row.get(name) ?? null;
		}
	}

	#column(name: string): Figure[] {
		let column = this.#columns.get(name);
		if (!column) {
			column = this.#times.map(() => null);
			this.#columns.set(name, column);
		}
		return column;
	}

	#trim(): void {
		const extra = this.#times.length - HISTORY_SECONDS;
		if (extra <= 0) return;
		this.#times.splice(0, extra);
		for (const column of this.#columns.values()) column.splice(0, extra);
		for (const key of this.#plugins) {
			const calls = this.#columns.get(`calls ${key}`);
			if (calls?.some((n) => n !== null)) continue;
			// A plugin that is gone for the whole history has no column any more.
			this.#columns.delete(`calls ${key}`);
			this.#columns.delete(`errors ${key}`);
			this.#plugins = this.#plugins.filter((other) => other !== key);
		}
	}
}
