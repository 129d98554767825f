import { ChartLine, Table2 } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useId, useRef, useState } from "react";
import type { Figure } from "../live/history";
import { usePreferences } from "../lib/preferences";
import { bucket, condense, latest } from "../lib/stats";
import { Button } from "../ui/ui";
import { Plot, type PlotHandle, type PlotSeries } from "./Plot";
import "./charts.css";

interface Props {
	title: string;
	headline: ReactNode;
	note: ReactNode;
	/** One sentence that says what the picture shows. */
	summary: string;
	/** Said in the middle of the chart when there is nothing to draw. */
	empty: string | null;
	times: number[];
	columns: Figure[][];
	series: PlotSeries[];
	isStacked?: boolean;
	seconds: number;
	minTop: number;
	formatValue(value: number): string;
	formatAxis?(value: number): string;
	/** Makes one figure of the seconds of a table row. */
	combine(values: number[]): number;
	/** Makes one figure of the few seconds that share a point of a long range. */
	condense(values: number[]): number;
}

/** A chart of this width shows no more points than this apart from each other. */
const CHART_POINTS = 300;
/** The table has at most this many rows. */
const TABLE_ROWS = 15;

export function ChartCard(props: Props) {
	const { title, headline, note, summary, empty, series, formatValue, seconds } = props;
	const { t, format } = usePreferences();
	const id = useId();
	const [isTable, setTable] = useState(false);
	const [index, setIndex] = useState<number | null>(null);
	const [spoken, setSpoken] = useState("");
	const handle = useRef<PlotHandle>(null);
	const { times, columns } =
		seconds > CHART_POINTS
			? condense(props.times, props.columns, Math.ceil(seconds / CHART_POINTS), props.condense)
			: props;

	const at = index !== null && index < times.length ? index : null;
	const figure = (column: Figure[]) => (at === null ? latest(column, 3) : (column[at] ?? null));
	const show = (n: Figure) => (n === null ? "–" : formatValue(n));

	const onKeyDown = (event: KeyboardEvent) => {
		const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
		if (by === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
		event.preventDefault();
		handle.current?.step(by);
		setSpoken("now");
	};
	const atTime = at === null ? undefined : times[at];

	return (
		<section className="card chart-card" aria-labelledby={id}>
			<div className="chart-head">
				<h3 id={id}>{title}</h3>
				{atTime !== undefined && <span className="chart-time">{format.time(atTime)}</span>}
				<Button
					look="quiet"
					size="icon"
					aria-label={`${title}: ${isTable ? t("chart.asChart") : t("chart.asTable")}`}
					onClick={() => setTable(!isTable)}
				>
					{isTable ? <ChartLine size={15} aria-hidden /> : <Table2 size={15} aria-hidden />}
				</Button>
			</div>
			<p className="chart-headline">
				<span className="chart-value">{headline}</span>
				<span className="chart-note">{note}</span>
			</p>
			<div className="chart-body">
				{isTable ? (
					<FigureTable {...props} />
				) : (
					<>
						{/* A chart is a picture with a keyboard: arrow keys read it second by second. */}
						{/* oxlint-disable jsx-a11y/no-noninteractive-tabindex, jsx-a11y/no-noninteractive-element-interactions */}
						<div
							className="chart-plot"
							role="group"
							aria-roledescription={t("chart.kind")}
							aria-label={`${title}. ${empty ?? summary}`}
							aria-describedby={`${id}-keys`}
							tabIndex={0}
							onKeyDown={onKeyDown}
							onBlur={() => {
								setSpoken("");
								handle.current?.leave();
							}}
						>
							<Plot
								times={times}
								columns={columns}
								series={series}
								isStacked={props.isStacked ?? false}
								seconds={seconds}
								minTop={props.minTop}
								formatAxis={props.formatAxis ?? formatValue}
								onCursor={setIndex}
								handle={handle}
							/>
						</div>
						{/* oxlint-enable */}
						<p className="sr-only" id={`${id}-keys`}>
							{t("chart.keys")}
						</p>
						{empty && <p className="chart-empty">{empty}</p>}
					</>
				)}
			</div>
			<ul className="chart-legend">
				{series.map((one, i) => (
					<li key={one.key}>
						<Swatch series={one} />
						<span className="chart-legend-name">{one.label}</span>
						<b>{show(figure(columns[i] ?? []))}</b>
					</li>
				))}
			</ul>
			<p className="sr-only" aria-live="polite">
				{spoken && atTime !== undefined
					? `${format.time(atTime)}: ${series.map((one, i) => `${one.label} ${show(figure(columns[i] ?? []))}`).join(", ")}`
					: ""}
			</p>
		</section>
	);
}

/** The same figures as numbers: the newest first, a row for each few seconds. */
function FigureTable({ title, times, columns, series, seconds, combine, formatValue }: Props) {
	const { t, format } = usePreferences();
	const step = Math.max(1, Math.ceil(seconds / TABLE_ROWS / 5) * 5);
	const rows = bucket(times, columns, step, combine).slice(0, TABLE_ROWS + 1);
	return (
		// A region that scrolls has to be reachable by keyboard.
		// oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
		<div className="chart-table" tabIndex={0} role="region" aria-label={t("chart.table", { title })}>
			<table>
				<thead>
					<tr>
						<th scope="col">{t("chart.time")}</th>
						{series.map((one) => (
							<th scope="col" key={one.key}>
								{one.label}
							</th>
						))}
					</tr>
				</thead>
				<tbody>
					{rows.map((row) => (
						<tr key={row.time}>
							<th scope="row">{format.time(row.time)}</th>
							{row.values.map((value, i) => (
								<td key={series[i]?.key ?? i}>{value === null ? "–" : formatValue(value)}</td>
							))}
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

/** A short piece of the line itself, dashes and all. */
function Swatch({ series }: { series: PlotSeries }) {
	return (
		<svg width="16" height="10" aria-hidden>
			{series.fill && <rect width="16" height="10" rx="2" style={{ fill: `var(--${series.fill})` }} />}
			<line
				x1="0"
				x2="16"
				y1={series.fill ? 1 : 5}
				y2={series.fill ? 1 : 5}
				strokeWidth="2"
				strokeDasharray={series.dash?.map((n) => n * 0.8).join(" ")}
				style={{ stroke: `var(--${series.color})` }}
			/>
		</svg>
	);
}
