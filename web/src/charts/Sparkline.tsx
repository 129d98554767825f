import type { Figure } from "../live/history";

/** A path over the figures; a null lifts the pen. */
export function sparkPath(column: readonly Figure[], width: number, height: number): string {
	const top = Math.max(1, ...column.map((n) => n ?? 0));
	const step = column.length > 1 ? width / (column.length - 1) : 0;
	let isDown = false;
	let path = "";
	column.forEach((n, i) => {
		if (n === null) {
			isDown = false;
			return;
		}
		path += `${isDown ? "L" : "M"}${(i * step).toFixed(1)} ${(height - (n / top) * height).toFixed(1)}`;
		isDown = true;
	});
	return path;
}

export function Sparkline({ column, label, width = 80, height = 20 }: { column: readonly Figure[]; label: string; width?: number; height?: number }) {
	return (
		<svg className="sparkline" role="img" aria-label={label} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
			<path d={sparkPath(column, width, height)} />
		</svg>
	);
}
