import { useEffect, useLayoutEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Figure } from "../live/history";
import { usePreferences } from "../lib/preferences";

/** One line or area. Colours are names of custom properties, so that a theme changes them all. */
export interface PlotSeries {
	key: string;
	label: string;
	color: string;
	/** Fills down to zero. */
	fill?: string;
	/** Lengths of dashes and gaps: lines are told apart without their colour too. */
	dash?: number[];
	width?: number;
}

export interface PlotHandle {
	/** Moves the crosshair by so many seconds from where it is, or from the end. */
	step(by: number): void;
	leave(): void;
}

interface Props {
	times: number[];
	columns: Figure[][];
	series: PlotSeries[];
	/** Areas are drawn on top of each other: each shows its own figure, the outline their sum. */
	isStacked?: boolean;
	seconds: number;
	/** The scale never gets narrower than this, so that small noise looks small. */
	minTop: number;
	formatAxis(value: number): string;
	onCursor(index: number | null): void;
	handle: React.RefObject<PlotHandle | null>;
}

const SYNC = uPlot.sync("overview");

/** Each area's upper edge, the widest first, so that each next one covers its part of the last. */
export function stack(columns: readonly (readonly Figure[])[]): Figure[][] {
	const edges: Figure[][] = [];
	let below: readonly Figure[] | null = null;
	for (const column of columns) {
		const edge: Figure[] = column.map((n, i) => (n === null ? null : n + (below?.[i] ?? 0)));
		edges.unshift(edge);
		below = edge;
	}
	return edges;
}

/** A round number at or above: a small one times a power of ten. */
export function roundUp(n: number): number {
	const power = 10 ** Math.floor(Math.log10(n));
	const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((factor) => factor * power >= n * 0.9999) ?? 10;
	return step * power;
}

function readColor(name: string): string {
	return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

export function Plot(props: Props) {
	const { series, isStacked = false, handle } = props;
	const { isDark, format } = usePreferences();
	const host = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot>(null);
	const latest = useRef(props);
	useLayoutEffect(() => {
		latest.current = props;
	});

	const signature = series.map((one) => `${one.key} ${one.label} ${one.color}`).join("|");

	useEffect(() => {
		const element = host.current;
		if (!element) return;
		const font = `11.5px ${getComputedStyle(element).fontFamily}`;
		const axis: uPlot.Axis = {
			stroke: readColor("chart-axis"),
			font,
			grid: { stroke: readColor("chart-grid"), width: 1 },
			ticks: { show: false },
		};
		const drawn = isStacked ? [...series].reverse() : series;
		const options: uPlot.Options = {
			width: Math.max(40, element.clientWidth),
			height: Math.max(40, element.clientHeight),
			padding: [8, 18, 0, 0],
			legend: { show: false },
			cursor: {
				y: false,
				drag: { x: false, y: false, setScale: false },
				sync: { key: SYNC.key, scales: ["x", null] },
				points: { size: 6, width: 2 },
			},
			scales: {
				x: {
					time: true,
					range: (_u, _min, max) => [max - latest.current.seconds + 1, max],
				},
				y: {
					range: (_u, _min, max) => [0, roundUp(Math.max(max ?? 0, latest.current.minTop) * 1.04)],
				},
			},
			axes: [
				{
					...axis,
					space: 64,
					incrs: [5, 10, 15, 30, 60, 120, 180, 300, 600],
					size: 26,
					gap: 7,
					grid: { show: false },
					values: (_u, splits) => splits.map((t) => (t % 60 === 0 ? format.minute(t) : format.time(t))),
				},
				{
					...axis,
					space: 38,
					gap: 6,
					size: (_u, values) => Math.max(44, 12 + 7 * Math.max(0, ...(values ?? []).map((s) => s.length))),
					values: (_u, splits) => splits.map((n) => latest.current.formatAxis(n)),
				},
			],
			series: [
				{},
				...drawn.map(
					(one): uPlot.Series => ({
						label: one.label,
						stroke: readColor(one.color),
						width: one.width ?? 1.25,
						...(one.fill ? { fill: readColor(one.fill) } : {}),
						...(one.dash ? { dash: one.dash } : {}),
						points: { show: false },
						spanGaps: false,
					}),
				),
			],
			hooks: {
				setCursor: [
					(u) => {
						const index = u.cursor.idx;
						const isInside = (u.cursor.left ?? -1) >= 0 && typeof index === "number";
						latest.current.onCursor(isInside ? index : null);
					},
				],
			},
		};
		const u = new uPlot(options, toData(latest.current), element);
		plot.current = u;
		// The third argument, which the types leave out, moves the crosshair of the other charts too.
		const moveCursor = u.setCursor as (at: { left: number; top: number }, fire: boolean, share: boolean) => void;
		handle.current = {
			step: (by) => {
				const { times } = latest.current;
				const from = (u.cursor.left ?? -1) >= 0 ? (u.cursor.idx ?? times.length) : times.length;
				const index = Math.min(times.length - 1, Math.max(0, from + by));
				const time = times[index];
				if (time !== undefined) moveCursor({ left: u.valToPos(time, "x"), top: 10 }, true, true);
			},
			leave: () => moveCursor({ left: -10, top: -10 }, true, true),
		};
		const observer = new ResizeObserver(() => {
			const { clientWidth: width, clientHeight: height } = element;
			if (width > 0 && height > 0) u.setSize({ width, height });
		});
		observer.observe(element);
		return () => {
			observer.disconnect();
			u.destroy();
			plot.current = null;
			handle.current = null;
		};
		// The signature stands for the series, which are new objects on each render.
		// oxlint-disable-next-line react-hooks/exhaustive-deps
	}, [signature, isStacked, isDark, format, handle]);

	useEffect(() => {
		plot.current?.setData(toData(props));
	});

	return <div className="chart-plot" ref={host} />;
}

function toData({ times, columns, isStacked }: Props): uPlot.AlignedData {
	return [times, ...(isStacked ? stack(columns) : columns)];
}
