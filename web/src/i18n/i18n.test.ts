import { describe, expect, it } from "vitest";
import { en } from "./en";
import { chooseLanguage, createTranslator, cut, type Key, type Messages } from "./i18n";
import { zhCN } from "./zh-CN";

const names = (text: string) => cut(text).filter((_, i) => i % 2 === 1).toSorted();
const forms = (message: Messages[Key]) => (typeof message === "string" ? [message] : [message.one, message.other]);

describe("translations", () => {
	it("have the same keys in the same order", () => {
		expect(Object.keys(zhCN)).toEqual(Object.keys(en));
	});

	it("fill in the same names, and say something", () => {
		for (const key of Object.keys(en) as Key[]) {
			const wanted = names(forms(en[key]).at(-1) ?? "");
			for (const text of [...forms(en[key]), ...forms(zhCN[key])]) {
				expect(names(text), key).toEqual(wanted);
				expect(text.trim(), key).not.toBe("");
			}
		}
	});

	it("choose plural forms, write numbers as the language does, and leave no name open unseen", () => {
		const t = createTranslator(en, "en");
		expect(t("signin.wait", { count: 1 })).toContain("in 1 second.");
		expect(t("signin.wait", { count: 2 })).toContain("in 2 seconds.");
		expect(t("sandbox.refused", { refused: 1055, attempts: 1055 })).toBe("1,055 of 1,055 escape attempts refused");
		expect(t("error.code", {})).toBe("Code {code}");
	});

	it("follow what was chosen, then what the browser asks for, then English", () => {
		expect(chooseLanguage(null, ["zh-TW", "en"])).toBe("zh-CN");
		expect(chooseLanguage("en", ["zh-CN"])).toBe("en");
		expect(chooseLanguage(null, ["fr", "de"])).toBe("en");
		expect(chooseLanguage("fr", ["zh"])).toBe("zh-CN");
	});
});
