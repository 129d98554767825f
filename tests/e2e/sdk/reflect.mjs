/**
 * reflect.mjs - every public method of every service of the SDK, found by looking at its objects; and a watch that
 * notes which of them were called and came to their end.
 *
 * What TypeScript calls private or protected is plain in JavaScript: the SDK's own declarations say which these are.
 */
import { readFileSync } from "node:fs";

function hidden(declarations) {
	const names = new Set();
	for (const [, name] of declarations.matchAll(/^\s*(?:private|protected)\s+(?:readonly\s+)?(\w+)/gm)) names.add(name);
	return names;
}

/** The prototypes of an object, up to but without Object's. */
function* prototypes(object) {
	for (let at = Object.getPrototypeOf(object); at && at !== Object.prototype; at = Object.getPrototypeOf(at)) yield at;
}

/** services: { name: object }. Returns the names "service.method", sorted. */
export function publicMethods(services, declarationsFile) {
	const isHidden = hidden(readFileSync(declarationsFile, "utf8"));
	const found = new Set();
	for (const [service, object] of Object.entries(services))
		for (const prototype of prototypes(object))
			for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
				if (name !== "constructor" && typeof property.value === "function" && !isHidden.has(name)) found.add(`${service}.${name}`);
	return [...found].sort();
}

/** Wraps the methods of a service so that `done` gets the name of each that returned or resolved. */
export function watch(service, object, done) {
	for (const prototype of prototypes(object))
		for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
			if (name === "constructor" || typeof property.value !== "function" || Object.hasOwn(object, name)) continue;
			object[name] = function (...args) {
				const result = property.value.apply(this, args);
				if (typeof result?.then === "function") {
					result.then(
						() => done.add(`${service}.${name}`),
						() => {},
					);
				} else {
					done.add(`${service}.${name}`);
				}
				return result;
			};
		}
	return object;
}
