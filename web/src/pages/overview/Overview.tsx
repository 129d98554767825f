import { Pause, Play } from "lucide-react";
import { useSearchParams } from "wouter";
import { useIsLate, useTitle } from "../../lib/hooks";
import { usePreferences } from "../../lib/preferences";
import { parseMoment } from "../../lib/time";
import { useLive } from "../../live/LiveProvider";
import { LiveStatus } from "../../shell/LiveStatus";
import { Button, Failure, Segmented, Skeleton } from "../../ui/ui";
import { AttentionSection } from "./AttentionSection";
import { PluginSection } from "./PluginSection";
import { SafetySection } from "./SafetySection";
import { TrafficSection } from "./TrafficSection";
import "./overview.css";

const RANGES = ["60", "300", "900"] as const;
type RangeName = (typeof RANGES)[number];

/** The time range stands in the address, so that a link shows what its sender saw. */
function useRange(): [RangeName, (range: RangeName) => void] {
	const [search, setSearch] = useSearchParams();
	const range = RANGES.find((one) => one === search.get("range")) ?? "300";
	const setRange = (next: RangeName) =>
		setSearch(
			(before) => {
				const after = new URLSearchParams(before);
				if (next === "300") after.delete("range");
				else after.set("range", next);
				return after;
			},
			{ replace: true },
		);
	return [range, setRange];
}

export default function Overview() {
	const { t } = usePreferences();
	const { overview, pausedAt, setPaused } = useLive();
	const [range, setRange] = useRange();
	useTitle(t("overview.title"));
	const isPaused = pausedAt !== null;

	return (
		<>
			<div className="page-head">
				<h1>{t("overview.title")}</h1>
				<div className="page-tools">
					<LiveStatus />
					<Button size="small" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
						{isPaused ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
						{isPaused ? t("live.resume") : t("live.pause")}
					</Button>
					<Segmented
						label={t("overview.range")}
						value={range}
						onChange={setRange}
						options={RANGES.map((value) => ({ value, label: t(`range.${value}`) }))}
					/>
				</div>
			</div>
			{overview.data ? (
				<>
					<Facts />
					<AttentionSection overview={overview.data} />
					<TrafficSection seconds={Number(range)} rangeName={t(`range.${range}`)} />
					<PluginSection plugins={overview.data.plugins} rangeName={t("range.60")} />
					<SafetySection overview={overview.data} />
				</>
			) : overview.error ? (
				<div className="card">
					<Failure error={overview.error} onRetry={overview.retry} />
				</div>
			) : (
				<LoadingShape />
			)}
		</>
	);
}

function Facts() {
	const { t, format } = usePreferences();
	const { data } = useLive().overview;
	if (!data) return null;
	const startedAt = parseMoment(data.startedAt);
	return (
		<dl className="card facts">
			<div>
				<dt>{t("overview.uptime")}</dt>
				<dd>
					{format.duration(data.uptimeS)}
					{startedAt !== null && (
						<span className="sr-only">{t("overview.since", { time: format.stamp(startedAt) })}</span>
					)}
				</dd>
			</div>
			<div>
				<dt>{t("overview.version")}</dt>
				<dd>{data.version}</dd>
			</div>
			<div>
				<dt>{t("overview.tenants")}</dt>
				<dd>{format.integer(data.tenants)}</dd>
			</div>
			<div>
				<dt>{t("overview.memory")}</dt>
				<dd>{format.bytes(data.process.rssBytes)}</dd>
			</div>
			<div>
				<dt>{t("overview.files")}</dt>
				<dd>{format.integer(data.process.openFiles)}</dd>
			</div>
		</dl>
	);
}

/** The shape of what is to come. Nothing at all for the first moment: most loads are over by then. */
function LoadingShape() {
	const isLate = useIsLate();
	if (!isLate) return null;
	return (
		<div className="loading-shape" aria-busy>
			<div className="card facts">
				{["a", "b", "c", "d", "e"].map((key) => (
					<div key={key}>
						<Skeleton width={64} height={14} />
						<Skeleton width={96} height={18} />
					</div>
				))}
			</div>
			<div className="charts">
				{["a", "b", "c", "d"].map((key) => (
					<div className="card skeleton-card" key={key}>
						<Skeleton width={110} height={16} />
						<Skeleton width={150} height={26} />
						<Skeleton width="100%" height={176} />
					</div>
				))}
			</div>
			<div className="card skeleton-card">
				<Skeleton width="100%" height={40} />
				<Skeleton width="100%" height={40} />
			</div>
		</div>
	);
}
