import { Menu } from "@base-ui/react/menu";
import { Check, ChevronsUpDown, LogOut } from "lucide-react";
import type { ReactNode } from "react";
import type { Session } from "../api/schema";
import { LANGUAGES } from "../i18n/i18n";
import { createFormat } from "../lib/format";
import { type Theme, usePreferences } from "../lib/preferences";

function Choices<T extends string>({ label, value, onChange, options }: { label: string; value: T; onChange(value: T): void; options: readonly { value: T; label: ReactNode }[] }) {
	return (
		<Menu.Group>
			<Menu.GroupLabel className="menu-label">{label}</Menu.GroupLabel>
			<Menu.RadioGroup value={value} onValueChange={(next) => onChange(next as T)}>
				{options.map((option) => (
					<Menu.RadioItem className="menu-item" key={option.value} value={option.value} closeOnClick={false}>
						<span className="menu-check">
							<Menu.RadioItemIndicator>
								<Check size={14} aria-hidden />
							</Menu.RadioItemIndicator>
						</span>
						{option.label}
					</Menu.RadioItem>
				))}
			</Menu.RadioGroup>
		</Menu.Group>
	);
}

export function Account({ session, onSignOut }: { session: Session; onSignOut(): void }) {
	const { t, theme, setTheme, language, setLanguage, clock, setClock } = usePreferences();
	const { email } = session.operator;
	const themes: Theme[] = ["system", "light", "dark"];
	return (
		<Menu.Root modal={false}>
			<Menu.Trigger className="account-trigger" aria-label={`${t("account.label")}, ${email}`}>
				<span className="account-badge" aria-hidden>
					{email.slice(0, 1)}
				</span>
				<span className="account-text">
					<span>{email}</span>
					<span className="account-version">{`${t("app.name")} ${session.version}`}</span>
				</span>
				<ChevronsUpDown size={14} aria-hidden className="muted" />
			</Menu.Trigger>
			<Menu.Portal>
				<Menu.Positioner className="menu-positioner" side="top" align="start" sideOffset={6} collisionPadding={8}>
					<Menu.Popup className="menu">
						<p className="menu-who">
							<span className="muted">{t("account.signedInAs")}</span>
							<br />
							{email}
						</p>
						<div className="menu-separator" />
						<Choices
							label={t("pref.theme")}
							value={theme}
							onChange={setTheme}
							options={themes.map((value) => ({ value, label: t(`pref.theme.${value}`) }))}
						/>
						<Choices
							label={t("pref.language")}
							value={language}
							onChange={setLanguage}
							options={LANGUAGES.map(({ id, name }) => ({ value: id, label: <span lang={id}>{name}</span> }))}
						/>
						<Choices
							label={t("pref.time")}
							value={clock}
							onChange={setClock}
							options={[
								{ value: "local", label: t("pref.time.local", { zone: createFormat(language, "local").zone }) },
								{ value: "utc", label: t("pref.time.utc") },
							]}
						/>
						<div className="menu-separator" />
						<Menu.Item className="menu-item" onClick={onSignOut}>
							<span className="menu-check">
								<LogOut size={14} aria-hidden />
							</span>
							{t("account.signOut")}
						</Menu.Item>
					</Menu.Popup>
				</Menu.Positioner>
			</Menu.Portal>
		</Menu.Root>
	);
}
