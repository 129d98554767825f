import { ArrowDown, ArrowUp, Puzzle, Search } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { useSearchParams } from "wouter";
import type { Plugin } from "../../api/schema";
import { Sparkline } from "../../charts/Sparkline";
import { useMediaQuery } from "../../lib/hooks";
import { needsAttention } from "../../lib/attention";
import { usePreferences } from "../../lib/preferences";
import { peak, recentMean } from "../../lib/stats";
import type { Window } from "../../live/history";
import { useWindow } from "../../live/LiveProvider";
import { arrange, PLUGIN_COLUMNS, type PluginColumn, type PluginRow, type PluginView, toRows } from "../../live/overview";
import { Button, Command, StatePill } from "../../ui/ui";

interface Props {
	plugins: Plugin[];
	/** The name of the minute that the trends cover. */
	rangeName: string;
}

/** How the list is cut and ordered stands in the address. What the address does not know is dropped. */
function useView(): [PluginView, (change: Partial<PluginView>) => void] {
	const [search, setSearch] = useSearchParams();
	const sort = PLUGIN_COLUMNS.find((one) => one === search.get("sort")) ?? "plugin";
	const view: PluginView = {
		text: search.get("q") ?? "",
		attentionOnly: search.get("show") === "attention",
		sort,
		isDescending: search.get("order") === "desc",
	};
	const change = (part: Partial<PluginView>) => {
		const next = { ...view, ...part };
		setSearch(
			(before) => {
				const after = new URLSearchParams(before);
				const put = (name: string, value: string) =>
					value ? after.set(name, value) : after.delete(name);
				put("q", next.text);
				put("show", next.attentionOnly ? "attention" : "");
				put("sort", next.sort === "plugin" ? "" : next.sort);
				put("order", next.isDescending ? "desc" : "");
				return after;
			},
			{ replace: true },
		);
	};
	return [view, change];
}

export function PluginSection({ plugins, rangeName }: Props) {
	const { t } = usePreferences();
	const minute = useWindow(60);
	const [view, setView] = useView();
	const isNarrow = useMediaQuery("(max-width: 1240px)");
	const rows = useMemo(
		() => arrange(toRows(plugins, (key) => recentMean(minute.calls(key), 5) ?? 0), view, needsAttention),
		[plugins, minute, view],
	);
	const list = { rows, minute, rangeName, view, setView };

	return (
		<section className="section" id="plugins" aria-labelledby="plugins-title">
			<div className="section-head">
				<h2 id="plugins-title">{t("plugins.title")}</h2>
				{plugins.length > 0 && (
					<>
						<span className="section-count">{t("plugins.count", { count: plugins.length })}</span>
						<div className="plugin-tools">
							<div className="search">
								<Search size={15} aria-hidden />
								<input
									type="search"
									aria-label={t("plugins.filter")}
									placeholder={t("plugins.filter")}
									value={view.text}
									onChange={(event) => setView({ text: event.target.value })}
								/>
							</div>
							<label className="toggle">
								<input
									type="checkbox"
									checked={view.attentionOnly}
									onChange={(event) => setView({ attentionOnly: event.target.checked })}
								/>
								{t("plugins.attentionOnly")}
							</label>
						</div>
					</>
				)}
			</div>
			<div className="card">
				{plugins.length === 0 ? (
					<div className="empty">
						<Puzzle size={26} strokeWidth={1.5} aria-hidden />
						<h3>{t("plugins.empty")}</h3>
						<p>{t("plugins.emptyText")}</p>
						<p>{t("plugins.emptyAction")}</p>
						<Command text="tenon plugin deploy FILE --tenant T --wait" />
					</div>
				) : rows.length === 0 ? (
					<div className="empty" role="status">
						<p>{t("plugins.noMatch")}</p>
						<Button size="small" onClick={() => setView({ text: "", attentionOnly: false })}>
							{t("plugins.clear")}
						</Button>
					</div>
				) : isNarrow ? (
					<Cards {...list} />
				) : (
					<div className="plugin-scroll">
						<Table {...list} />
					</div>
				)}
			</div>
		</section>
	);
}

interface ListProps {
	rows: PluginRow[];
	minute: Window;
	rangeName: string;
	view: PluginView;
	setView(change: Partial<PluginView>): void;
}

/** A count that is good news at zero. */
function Count({ n, tone }: { n: number; tone: "bad" | "warn" }) {
	const { format } = usePreferences();
	return <span className={n > 0 ? `is-${tone}` : "is-zero"}>{format.integer(n)}</span>;
}

const LABELS = {
	plugin: "plugins.plugin",
	state: "plugins.state",
	rate: "plugins.rate",
	calls: "plugins.calls",
	errors: "plugins.errors",
	p95: "plugins.p95",
	memory: "plugins.memory",
	crashes: "plugins.crashes",
	denials: "plugins.denials",
} as const satisfies Record<PluginColumn, string>;

function useCells(minute: Window, rangeName: string, isLong: boolean): (row: PluginRow) => Record<PluginColumn, ReactNode> {
	const { t, format } = usePreferences();
	return ({ key, plugin, rate }) => {
		const calls = minute.calls(key);
		const top = peak(calls);
		return {
			plugin: <Name plugin={plugin} isLong={isLong} />,
			state: <StatePill state={plugin.state} />,
			rate: (
				<span className="rate">
					<Sparkline
						column={calls}
						label={t("plugins.trend", { range: rangeName, peak: format.compact(top?.value ?? 0) })}
					/>
					<span className="rate-figure">{format.rate(rate)}</span>
				</span>
			),
			calls: format.integer(plugin.calls),
			errors: <Count n={plugin.errors} tone="warn" />,
			p95: plugin.p95Us === null ? "–" : format.latency(plugin.p95Us),
			memory: plugin.rssBytes === null ? "–" : format.bytes(plugin.rssBytes),
			crashes: <Count n={plugin.crashes} tone="bad" />,
			denials: <Count n={plugin.denials} tone="warn" />,
		};
	};
}

function Name({ plugin, isLong }: { plugin: Plugin; isLong: boolean }) {
	const { t } = usePreferences();
	const hash = plugin.sha256.slice(0, 8);
	return (
		<>
			<span className="plugin-name">
				{plugin.id}
				<span className="muted">{plugin.tenant}</span>
			</span>
			<span className="plugin-sub">
				<span className="num">{plugin.version}</span>
				<span className="mono" aria-label={t("plugins.hash", { hash })} role="img">
					{hash}
				</span>
				<span>{t("plugins.instances", { count: plugin.instances })}</span>
				{isLong && (
					<span>{t(plugin.concurrency === "serial" ? "plugins.serial" : "plugins.cooperative")}</span>
				)}
			</span>
		</>
	);
}

function Table({ rows, minute, rangeName, view, setView }: ListProps) {
	const { t } = usePreferences();
	const cells = useCells(minute, rangeName, false);
	const Arrow = view.isDescending ? ArrowDown : ArrowUp;
	const sortBy = (column: PluginColumn) =>
		setView(
			// Names are read from A, figures from the largest.
			view.sort === column
				? { isDescending: !view.isDescending }
				: { sort: column, isDescending: column !== "plugin" && column !== "state" },
		);
	return (
		<table className="plugin-table">
			<caption className="sr-only">{t("plugins.table")}</caption>
			<thead>
				<tr>
					{PLUGIN_COLUMNS.map((column) => (
						<th
							key={column}
							scope="col"
							{...(view.sort === column
								? { "aria-sort": view.isDescending ? "descending" : "ascending" }
								: {})}
						>
							<button type="button" className="sort" onClick={() => sortBy(column)}>
								<span>{t(LABELS[column])}</span>
								<Arrow size={12} aria-hidden />
							</button>
						</th>
					))}
				</tr>
			</thead>
			<tbody>
				{rows.map((row) => {
					const cell = cells(row);
					return (
						<tr key={row.key}>
							{PLUGIN_COLUMNS.map((column) =>
								column === "plugin" ? (
									<th scope="row" key={column}>
										{cell[column]}
									</th>
								) : (
									<td key={column}>{cell[column]}</td>
								),
							)}
						</tr>
					);
				})}
			</tbody>
		</table>
	);
}

/** The same rows where a table has no room. */
function Cards({ rows, minute, rangeName }: ListProps) {
	const { t } = usePreferences();
	const cells = useCells(minute, rangeName, true);
	const figures = PLUGIN_COLUMNS.filter((column) => !["plugin", "state", "rate"].includes(column));
	return (
		<ul className="plugin-cards" aria-label={t("plugins.table")}>
			{rows.map((row) => {
				const cell = cells(row);
				return (
					<li key={row.key}>
						<div className="plugin-card-head">
							<div>{cell.plugin}</div>
							{cell.state}
						</div>
						{cell.rate}
						<dl className="plugin-card-figures">
							{figures.map((column) => (
								<div key={column}>
									<dt>{t(LABELS[column])}</dt>
									<dd>{cell[column]}</dd>
								</div>
							))}
						</dl>
					</li>
				);
			})}
		</ul>
	);
}
