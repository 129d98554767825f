import { CircleCheck } from "lucide-react";
import { useMemo } from "react";
import type { Overview } from "../../api/schema";
import { type Attention, findAttention, isPlainHttp } from "../../lib/attention";
import { usePreferences } from "../../lib/preferences";
import { useWindow } from "../../live/LiveProvider";
import { Pill } from "../../ui/ui";

export function AttentionSection({ overview }: { overview: Overview }) {
	const { t } = usePreferences();
	const minute = useWindow(60);
	const items = useMemo(
		() => findAttention(overview, minute, { isPlainHttp: isPlainHttp(location) }),
		[overview, minute],
	);
	return (
		<section className="section" id="attention" aria-labelledby="attention-title">
			<h2 id="attention-title" className={items.length === 0 ? "sr-only" : undefined}>
				{t("attention.title")}
			</h2>
			{items.length === 0 ? (
				<p className="card attention-none">
					<CircleCheck size={17} aria-hidden />
					{t("attention.none")}
				</p>
			) : (
				<ul className="card attention-list">
					{items.map((item) => (
						<li key={item.id}>
							<Pill tone={item.level}>{t(`attention.level.${item.level}`)}</Pill>
							<Sentence item={item} />
						</li>
					))}
				</ul>
			)}
		</section>
	);
}

function Sentence({ item }: { item: Attention }) {
	const { rich, format } = usePreferences();
	const nodes = {
		...(item.command ? { command: <code>{item.command}</code> } : {}),
		...(item.share !== undefined ? { share: <b>{format.percent(item.share)}</b> } : {}),
		...(item.params["plugin"] ? { plugin: <b>{item.params["plugin"]}</b> } : {}),
	};
	return <p>{rich(item.message, nodes, item.params)}</p>;
}
