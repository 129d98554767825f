import type { Figure } from "../live/history";

export function sum(column: readonly Figure[]): number {
	return column.reduce<number>((total, n) => total + (n ?? 0), 0);
}

/** The largest figure and where it stands, null when there is none. */
export function peak(column: readonly Figure[]): { value: number; index: number } | null {
	let best: { value: number; index: number } | null = null;
	column.forEach((value, index) => {
		if (value !== null && (best === null || value > best.value)) best = { value, index };
	});
	return best;
}

/** Second by second; null only where all are. */
export function add(columns: readonly (readonly Figure[])[]): Figure[] {
	const length = columns[0]?.length ?? 0;
	return Array.from({ length }, (_, i) =>
		columns.reduce<Figure>((total, column) => {
			const n = column[i] ?? null;
			return n === null ? total : (total ?? 0) + n;
		}, null),
	);
}

/** The mean of the last figures, of those that are there; null when none is. */
export function recentMean(column: readonly Figure[], seconds: number): Figure {
	const recent = column.slice(-seconds).filter((n) => n !== null);
	return recent.length > 0 ? sum(recent) / recent.length : null;
}

/** The last figure that is there among the last few, null when none is. */
export function latest(column: readonly Figure[], within: number): Figure {
	for (let i = column.length - 1; i >= Math.max(0, column.length - within); i--) {
		const n = column[i];
		if (n !== null && n !== undefined) return n;
	}
	return null;
}

export interface Bucket {
	/** The first second. */
	time: number;
	values: Figure[];
}

/** The same columns with one figure for each few seconds, oldest first: what a chart has room for. */
export function condense(
	times: readonly number[],
	columns: readonly (readonly Figure[])[],
	stepS: number,
	combine: (values: number[]) => number,
): { times: number[]; columns: Figure[][] } {
	const buckets = bucket(times, columns, stepS, combine).reverse();
	return {
		times: buckets.map((one) => one.time),
		columns: columns.map((_, c) => buckets.map((one) => one.values[c] ?? null)),
	};
}

/** Cuts columns into steps of so many seconds, aligned to the clock, newest first, for a table. */
export function bucket(
	times: readonly number[],
	columns: readonly (readonly Figure[])[],
	stepS: number,
	combine: (values: number[]) => number,
): Bucket[] {
	const buckets = new Map<number, number[][]>();
	times.forEach((time, i) => {
		const start = time - (time % stepS);
		let cells = buckets.get(start);
		if (!cells) {
			cells = columns.map(() => []);
			buckets.set(start, cells);
		}
		columns.forEach((column, c) => {
			const value = column[i];
			if (value !== null && value !== undefined) cells[c]?.push(value);
		});
	});
	return [...buckets]
		.map(([time, cells]) => ({
			time,
			values: cells.map((values) => (values.length > 0 ? combine(values) : null)),
		}))
		.sort((a, b) => b.time - a.time);
}
