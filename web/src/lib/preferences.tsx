import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import { en } from "../i18n/en";
import { chooseLanguage, createTranslator, cut, type Key, type Language, type Messages, type Params, pick, type Translator } from "../i18n/i18n";
import { type Clock, createFormat, type Format } from "./format";
import { recall, remember } from "./storage";

export type Theme = "system" | "light" | "dark";

interface Preferences {
	theme: Theme;
	/** What the theme comes to now. */
	isDark: boolean;
	language: Language;
	clock: Clock;
	setTheme(theme: Theme): void;
	setLanguage(language: Language): void;
	setClock(clock: Clock): void;
	t: Translator;
	/** Like t, for texts with elements in place of names. */
	rich(key: Key, nodes: Readonly<Record<string, ReactNode>>, params?: Params): ReactNode;
	format: Format;
}

const Context = createContext<Preferences | null>(null);

function chooseOf<T extends string>(allowed: readonly T[], stored: string | null, otherwise: T): T {
	return allowed.find((one) => one === stored) ?? otherwise;
}

function useSystemDark(): boolean {
	const [isDark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
	useEffect(() => {
		const query = matchMedia("(prefers-color-scheme: dark)");
		const follow = () => setDark(query.matches);
		query.addEventListener("change", follow);
		return () => query.removeEventListener("change", follow);
	}, []);
	return isDark;
}

/** English is part of the first load; any other language comes when it is chosen. */
async function loadMessages(language: Language): Promise<Messages> {
	return language === "zh-CN" ? (await import("../i18n/zh-CN")).zhCN : en;
}

export function PreferencesProvider({ children }: { children: ReactNode }) {
	const [theme, setTheme] = useState<Theme>(() => chooseOf(["system", "light", "dark"], recall("theme"), "system"));
	const [clock, setClock] = useState<Clock>(() => chooseOf(["local", "utc"], recall("clock"), "local"));
	const [wanted, setWanted] = useState(() => chooseLanguage(recall("language"), navigator.languages));
	const [loaded, setLoaded] = useState<{ language: Language; messages: Messages } | null>(
		wanted === "en" ? { language: "en", messages: en } : null,
	);
	const systemDark = useSystemDark();
	const isDark = theme === "system" ? systemDark : theme === "dark";

	useEffect(() => {
		document.documentElement.dataset["theme"] = isDark ? "dark" : "light";
	}, [isDark]);

	useEffect(() => {
		let isCurrent = true;
		loadMessages(wanted).then(
			(messages) => isCurrent && setLoaded({ language: wanted, messages }),
			// A language that cannot be fetched is no reason to show nothing.
			() => isCurrent && setLoaded((before) => before ?? { language: "en", messages: en }),
		);
		return () => {
			isCurrent = false;
		};
	}, [wanted]);

	useEffect(() => {
		if (loaded) document.documentElement.lang = loaded.language;
	}, [loaded]);

	const value = useMemo<Preferences | null>(() => {
		if (!loaded) return null;
		const { language, messages } = loaded;
		const plurals = new Intl.PluralRules(language);
		const t = createTranslator(messages, language);
		const numbers = new Intl.NumberFormat(language);
		return {
			theme,
			isDark,
			language: wanted,
			clock,
			setTheme: (next) => {
				remember("theme", next);
				setTheme(next);
			},
			setLanguage: (next) => {
				remember("language", next);
				setWanted(next);
			},
			setClock: (next) => {
				remember("clock", next);
				setClock(next);
			},
			t,
			rich: (key, nodes, params = {}) =>
				cut(pick(messages, plurals, key, params)).map((part, i) => {
					if (i % 2 === 0) return part;
					const given = params[part];
					const node =
						nodes[part] ?? (typeof given === "number" ? numbers.format(given) : given);
					return <span key={part}>{node}</span>;
				}),
			format: createFormat(language, clock),
		};
	}, [loaded, wanted, theme, isDark, clock]);

	return value && <Context value={value}>{children}</Context>;
}

export function usePreferences(): Preferences {
	const value = useContext(Context);
	if (!value) throw new Error("no PreferencesProvider above");
	return value;
}
