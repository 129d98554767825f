import { CircleDot, CirclePause, LoaderCircle, TriangleAlert } from "lucide-react";
import { useLive } from "../live/LiveProvider";
import { usePreferences } from "../lib/preferences";

/** Whether the figures move: a shape, a word and a colour. */
export function LiveStatus() {
	const { status, pausedAt } = useLive();
	const { t, format } = usePreferences();

	let kind: string = status.kind;
	let icon = <LoaderCircle size={15} aria-hidden />;
	let text = t("live.connecting");
	if (pausedAt !== null) {
		kind = "paused";
		icon = <CirclePause size={15} aria-hidden />;
		text = t("live.paused", { time: format.time(pausedAt) });
	} else if (status.kind === "live") {
		icon = <CircleDot className="live-dot" size={15} aria-hidden />;
		text = t("live.live");
	} else if (status.kind === "reconnecting") {
		text = t("live.reconnecting");
	} else if (status.kind === "stale" && status.lastAtMs > 0) {
		icon = <TriangleAlert size={15} aria-hidden />;
		text = t("live.stale", { time: format.time(status.lastAtMs / 1000) });
	}
	return (
		<span className="live-status" data-kind={kind}>
			{icon}
			{text}
		</span>
	);
}
