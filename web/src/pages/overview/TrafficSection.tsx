import { ChartCard } from "../../charts/ChartCard";
import type { PlotSeries } from "../../charts/Plot";
import type { Figure, Series, Window } from "../../live/history";
import { useLive, useWindow } from "../../live/LiveProvider";
import { usePreferences } from "../../lib/preferences";
import { add, latest, peak, recentMean, sum } from "../../lib/stats";
import { Failure, Skeleton } from "../../ui/ui";

interface Props {
	seconds: number;
	rangeName: string;
}

type Parts = Props & { window: Window };

const mean = (values: number[]) => sum(values) / values.length;
const max = (values: number[]) => Math.max(...values);
const total = (values: number[]) => sum(values);

/** Seconds that a "now" averages over: one alone jumps about, ten lag behind. */
const NOW_S = 3;

export function TrafficSection({ seconds, rangeName }: Props) {
	const { t } = usePreferences();
	const { history, range } = useLive();
	const window = useWindow(seconds);
	return (
		<section className="section" id="traffic" aria-labelledby="traffic-title">
			<h2 className="sr-only" id="traffic-title">
				{t("nav.traffic")}
			</h2>
			{history.isEmpty && range.error ? (
				<div className="card">
					<Failure error={range.error} onRetry={range.retry} />
				</div>
			) : (
				<div className="charts">
					{history.isEmpty && range.isPending ? (
						["a", "b", "c", "d"].map((key) => (
							<div className="card skeleton-card" key={key}>
								<Skeleton width={110} height={16} />
								<Skeleton width={150} height={26} />
								<Skeleton width="100%" height={176} />
							</div>
						))
					) : (
						<>
							<Requests seconds={seconds} rangeName={rangeName} window={window} />
							<Latency seconds={seconds} rangeName={rangeName} window={window} />
							<Errors seconds={seconds} rangeName={rangeName} window={window} />
							<PluginCalls seconds={seconds} rangeName={rangeName} window={window} />
						</>
					)}
				</div>
			)}
		</section>
	);
}

const CLASSES: Series[] = ["s2xx", "s3xx", "s4xx", "s5xx"];

function Requests({ seconds, window }: Parts) {
	const { t, format } = usePreferences();
	const columns = CLASSES.map((name) => window.series(name));
	const all = add(columns);
	const top = peak(all);
	const now = recentMean(all, NOW_S);
	const time = top ? format.time(window.times[top.index] ?? 0) : "";
	const isEmpty = sum(all) === 0;
	return (
		<ChartCard
			title={t("chart.requests")}
			headline={now === null ? "–" : format.rate(now)}
			note={top && !isEmpty ? t("chart.peak", { value: format.rate(top.value), time }) : null}
			summary={t("chart.summary.requests", {
				now: format.rate(now ?? 0),
				peak: format.rate(top?.value ?? 0),
				time,
			})}
			empty={isEmpty ? t("chart.noData") : null}
			times={window.times}
			columns={columns}
			series={CLASSES.map((name) => ({
				key: name,
				label: t(`series.${name as "s2xx"}`),
				color: name,
				fill: `${name}-fill`,
				width: 1,
			}))}
			isStacked
			seconds={seconds}
			minTop={4}
			formatValue={format.compact}
			combine={mean}
			condense={mean}
		/>
	);
}

const PERCENTILES: Series[] = ["p50", "p95", "p99"];
const DASHES: Record<string, number[]> = { p95: [7, 3], p99: [2, 3] };

function Latency({ seconds, window }: Parts) {
	const { t, format } = usePreferences();
	const columns = PERCENTILES.map((name) => window.series(name));
	const [, p95 = [], p99 = []] = columns;
	const now = latest(p95, 5);
	const top = peak(p99);
	const show = (n: Figure) => (n === null ? "–" : format.latency(n));
	return (
		<ChartCard
			title={t("chart.latency")}
			headline={show(now)}
			note={
				<>
					{t("chart.p95")}
					{top &&
						` · ${t("series.p99")} ${t("chart.peak", { value: show(top.value), time: format.time(window.times[top.index] ?? 0) })}`}
				</>
			}
			summary={t("chart.summary.latency", { p95: show(now), p99: show(latest(p99, 5)) })}
			empty={top ? null : t("chart.noData")}
			times={window.times}
			columns={columns}
			series={PERCENTILES.map((name) => {
				const dash = DASHES[name];
				return { key: name, label: t(`series.${name as "p50"}`), color: name, ...(dash ? { dash } : {}) };
			})}
			seconds={seconds}
			minTop={500}
			formatValue={format.latency}
			formatAxis={format.latencyAxis}
			combine={max}
			condense={max}
		/>
	);
}

function Errors({ seconds, rangeName, window }: Parts) {
	const { t, format } = usePreferences();
	const columns = [window.series("s5xx"), window.series("denied")];
	const [errors, denied] = columns.map(sum) as [number, number];
	const isEmpty = errors + denied === 0;
	return (
		<ChartCard
			title={t("chart.errors")}
			headline={format.compact(errors + denied)}
			note={t("chart.inRange", { range: rangeName })}
			summary={t("chart.summary.errors", { errors, denied, range: rangeName })}
			empty={isEmpty ? t("chart.noErrors") : null}
			times={window.times}
			columns={columns}
			series={[
				{ key: "errors", label: t("series.errors"), color: "s5xx", width: 2 },
				{ key: "denied", label: t("series.denied"), color: "denied", dash: [5, 3], width: 2 },
			]}
			seconds={seconds}
			minTop={4}
			formatValue={format.compact}
			combine={total}
			condense={max}
		/>
	);
}

/** More lines than this cannot be told apart; the others are one line. */
const PLUGIN_LINES = 5;
const PLUGIN_DASHES = [undefined, [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2]];

function PluginCalls({ seconds, rangeName, window }: Parts) {
	const { t, format } = usePreferences();
	const all = window.plugins
		.map((key) => ({ key, column: window.calls(key), calls: sum(window.calls(key)) }))
		.sort((a, b) => b.calls - a.calls || (a.key < b.key ? -1 : 1));
	const keepAll = all.length <= PLUGIN_LINES + 1;
	// The colour goes with the name and not with the rank, which changes by the second.
	const named = (keepAll ? all : all.slice(0, PLUGIN_LINES)).sort((a, b) => (a.key < b.key ? -1 : 1));
	const rest = keepAll ? [] : all.slice(PLUGIN_LINES);

	const columns = named.map((one) => one.column);
	const series = named.map((one, i): PlotSeries => {
		const dash = PLUGIN_DASHES[i];
		return { key: one.key, label: one.key, color: `plugin-${i + 1}`, ...(dash ? { dash } : {}) };
	});
	if (rest.length > 0) {
		columns.push(add(rest.map((one) => one.column)));
		series.push({ key: "rest", label: t("series.rest", { count: rest.length }), color: "plugin-rest" });
	}
	const calls = sum(all.map((one) => one.calls));
	const now = recentMean(add(all.map((one) => one.column)), NOW_S);
	const most = all.find((one) => one.calls > 0);
	return (
		<ChartCard
			title={t("chart.plugins")}
			headline={format.rate(now ?? 0)}
			note={`${format.compact(calls)} ${t("chart.inRange", { range: rangeName })}`}
			summary={t("chart.summary.plugins", { calls, range: rangeName, plugin: most?.key ?? "–" })}
			empty={most ? null : t("chart.noPluginData")}
			times={window.times}
			columns={columns}
			series={series}
			seconds={seconds}
			minTop={4}
			formatValue={format.compact}
			combine={mean}
			condense={mean}
		/>
	);
}
