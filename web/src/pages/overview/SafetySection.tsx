import { CircleCheck, TriangleAlert } from "lucide-react";
import type { Overview } from "../../api/schema";
import type { Key } from "../../i18n/i18n";
import { usePreferences } from "../../lib/preferences";
import { parseMoment } from "../../lib/time";
import { useLive } from "../../live/LiveProvider";
import { Command, Pill, type Tone } from "../../ui/ui";

export function SafetySection({ overview }: { overview: Overview }) {
	const { t } = usePreferences();
	return (
		<section className="section" id="safety" aria-labelledby="safety-title">
			<h2 className="sr-only" id="safety-title">
				{t("nav.safety")}
			</h2>
			<div className="safety">
				<Sandbox sandbox={overview.sandbox} />
				<Audit audit={overview.audit} />
			</div>
		</section>
	);
}

/** Each layer's name as the kernel's manuals have it, and what it takes away from a worker. */
const LAYERS: Record<string, { name: string; text: Key }> = {
	seccomp: { name: "seccomp", text: "sandbox.seccomp" },
	landlock: { name: "Landlock", text: "sandbox.landlock" },
	namespaces: { name: "namespaces", text: "sandbox.namespaces" },
	cgroup: { name: "cgroup", text: "sandbox.cgroup" },
};

function Sandbox({ sandbox }: { sandbox: Overview["sandbox"] }) {
	const { t } = usePreferences();
	const { layers, degraded, selfTest } = sandbox;
	const hasFailed = selfTest !== null && selfTest.refused < selfTest.attempts;
	const tone: Tone = hasFailed ? "bad" : degraded.length > 0 ? "warn" : "good";
	const word = hasFailed ? "sandbox.failed" : degraded.length > 0 ? "sandbox.degraded" : "sandbox.holds";
	const all = [...layers, ...degraded.filter((layer) => !layers.includes(layer))];
	return (
		<section className="card safety-card" aria-labelledby="sandbox-title">
			<div className="safety-head">
				<h2 id="sandbox-title">{t("sandbox.title")}</h2>
				<Pill tone={tone}>{t(word)}</Pill>
			</div>
			<ul className="layers" aria-label={t("sandbox.layers")}>
				{all.map((layer) => {
					const isOn = !degraded.includes(layer);
					const Icon = isOn ? CircleCheck : TriangleAlert;
					return (
						<li key={layer}>
							<Icon className={isOn ? "layer-on" : "layer-off"} size={15} aria-hidden />
							<span className="layer-name">
								{LAYERS[layer]?.name ?? layer}
								<span className={isOn ? "sr-only" : "is-warn"}>
									{` ${t(isOn ? "sandbox.on" : "sandbox.off")}`}
								</span>
							</span>
							<span className="layer-text">{t(LAYERS[layer]?.text ?? "sandbox.other")}</span>
						</li>
					);
				})}
			</ul>
			<SelfTest selfTest={selfTest} />
		</section>
	);
}

/** More attempts than this are a number only. */
const ATTEMPT_MARKS = 120;

function SelfTest({ selfTest }: { selfTest: Overview["sandbox"]["selfTest"] }) {
	const { t } = usePreferences();
	const hasRun = selfTest !== null && selfTest.attempts > 0;
	return (
		<div className="selftest">
			<p className="selftest-line">
				<b>{t("sandbox.selfTest")}</b>
				<span>
					{hasRun
						? t("sandbox.refused", { refused: selfTest.refused, attempts: selfTest.attempts })
						: t("sandbox.notRun")}
				</span>
			</p>
			{hasRun && selfTest.attempts <= ATTEMPT_MARKS && (
				<div className="attempts" aria-hidden>
					{Array.from({ length: selfTest.attempts }, (_, i) => (
						<span className={i < selfTest.refused ? "attempt" : "attempt attempt-failed"} key={i} />
					))}
				</div>
			)}
			<p className="muted">{t("sandbox.selfTestText")}</p>
		</div>
	);
}

const AUDIT_TONES: Record<Overview["audit"]["state"], Tone> = { ok: "good", broken: "bad", full: "bad" };

function Audit({ audit }: { audit: Overview["audit"] }) {
	const { t, format } = usePreferences();
	const { history } = useLive();
	const sealedAt = parseMoment(audit.lastSealAt);
	// By the server's own clock, which each tick tells; the browser's may be another.
	const age = sealedAt === null ? 0 : Math.max(0, history.end - sealedAt);
	return (
		<section className="card safety-card" aria-labelledby="audit-title">
			<div className="safety-head">
				<h2 id="audit-title">{t("audit.title")}</h2>
				<Pill tone={AUDIT_TONES[audit.state]}>{t(`audit.${audit.state}`)}</Pill>
			</div>
			<p>{t(`audit.${audit.state}Text`)}</p>
			<dl className="audit-figures">
				<div>
					<dt>{t("audit.records")}</dt>
					<dd>{format.integer(audit.records)}</dd>
				</div>
				<div>
					<dt>{t("audit.lastSeal")}</dt>
					<dd>
						{sealedAt === null
							? t("audit.never")
							: age < 2
								? t("time.justNow")
								: t("time.ago", { duration: format.duration(age) })}
					</dd>
					{sealedAt !== null && <dd>{format.stamp(sealedAt)}</dd>}
				</div>
			</dl>
			<div className="audit-proof">
				<p className="muted">{t("audit.verify")}</p>
				<Command text="tenon audit verify" />
			</div>
		</section>
	);
}
