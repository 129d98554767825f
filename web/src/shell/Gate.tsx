import type { ReactNode } from "react";
import { LANGUAGES } from "../i18n/i18n";
import { isPlainHttp } from "../lib/attention";
import { usePreferences } from "../lib/preferences";
import { Banner, Segmented } from "../ui/ui";
import { Brand } from "./brand";
import "./shell.css";

/** The frame of what is seen before signing in. */
export function Gate({ title, lead, children }: { title: string; lead: ReactNode; children: ReactNode }) {
	const { t, language, setLanguage } = usePreferences();
	return (
		<div className="gate">
			<main className="gate-main">
				<Brand />
				<div className="card gate-card">
					<div className="gate-head">
						<h1>{title}</h1>
						<p>{lead}</p>
					</div>
					{isPlainHttp(location) && (
						<Banner tone="warn" role="note">
							{t("banner.plainHttp")}
						</Banner>
					)}
					{children}
				</div>
			</main>
			<footer className="gate-foot">
				<Segmented
					label={t("pref.language")}
					value={language}
					onChange={setLanguage}
					options={LANGUAGES.map(({ id, name }) => ({ value: id, label: name }))}
				/>
				<span className="muted">{`${t("app.name")} ${__VERSION__}`}</span>
			</footer>
		</div>
	);
}
