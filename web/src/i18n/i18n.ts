import type { en } from "./en";

export type Key = keyof typeof en;
/** What a translation has to hold: for each key a text, or plural forms where English has them. */
export type Messages = {
	[K in Key]: (typeof en)[K] extends string ? string : { one: string; other: string };
};
export type Language = "en" | "zh-CN";
export type Params = Readonly<Record<string, string | number>>;

export const LANGUAGES: readonly { id: Language; name: string }[] = [
	{ id: "en", name: "English" },
	{ id: "zh-CN", name: "简体中文" },
];

/** The language to start with: what was chosen before, else the first one that the browser asks for. */
export function chooseLanguage(stored: string | null, wanted: readonly string[]): Language {
	for (const tag of stored ? [stored, ...wanted] : wanted) {
		const main = tag.toLowerCase().split("-")[0];
		if (main === "zh") return "zh-CN";
		if (main === "en") return "en";
	}
	return "en";
}

/** Cuts a text at its {names}: the odd elements are names. */
export function cut(text: string): string[] {
	return text.split(/\{(\w+)\}/);
}

/** The text of a key, before its names are filled in: `count` chooses the plural form. */
export function pick(messages: Messages, plurals: Intl.PluralRules, key: Key, params: Params): string {
	const message = messages[key];
	if (typeof message === "string") return message;
	return plurals.select(Number(params["count"] ?? 0)) === "one" ? message.one : message.other;
}

export interface Translator {
	(key: Key, params?: Params): string;
}

export function createTranslator(messages: Messages, language: Language): Translator {
	const plurals = new Intl.PluralRules(language);
	const numbers = new Intl.NumberFormat(language);
	return (key, params = {}) =>
		cut(pick(messages, plurals, key, params))
			.map((part, i) => {
				if (i % 2 === 0) return part;
				const value = params[part];
				return typeof value === "number" ? numbers.format(value) : (value ?? `{${part}}`);
			})
			.join("");
}
