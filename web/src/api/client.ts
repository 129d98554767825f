import * as v from "valibot";
import { ErrorBody, Overview, Range, Session, Setup } from "./schema";

/** "network": no answer. "unexpected": an answer of another shape. "refused": the server's error body. */
export type ErrorKind = "network" | "unexpected" | "refused";

export class ApiError extends Error {
	constructor(
		readonly kind: ErrorKind,
		/** What the server says, empty unless it refused. */
		message: string,
		readonly status = 0,
		readonly code = "",
		readonly traceId = "",
		readonly fields: Readonly<Record<string, { code: string; message: string }>> = {},
		/** Seconds until it is worth trying again; 0 when the server named none. */
		readonly retryAfterS = 0,
	) {
		super(message);
		this.name = "ApiError";
	}
}

/** An answer that did not come in this time does not come: the longest is a password check. */
const TIMEOUT_MS = 15_000;

/** Seconds from a Retry-After header, which is a number or a date. */
export function parseRetryAfter(value: string | null, nowMs: number): number {
	if (!value) return 0;
	const isNumber = /^\d+$/.test(value.trim());
	if (!isNumber && !value.endsWith("GMT")) return 0;
	const seconds = isNumber ? Number(value) : (Date.parse(value) - nowMs) / 1000;
	return Number.isFinite(seconds) ? Math.min(3600, Math.max(0, Math.ceil(seconds))) : 0;
}

async function readError(response: Response): Promise<ApiError> {
	const retryAfterS = parseRetryAfter(response.headers.get("Retry-After"), Date.now());
	const parsed = v.safeParse(ErrorBody, await response.json().catch(() => null));
	if (!parsed.success)
		return new ApiError("unexpected", "", response.status, "", "", {}, retryAfterS);
	const { message, code, traceId, data } = parsed.output;
	return new ApiError("refused", message, response.status, code, traceId, data, retryAfterS);
}

interface Call {
	method?: "GET" | "POST";
	body?: unknown;
	/** Writes of a signed-in operator carry the session's token. */
	csrf?: string;
	signal?: AbortSignal | undefined;
}

async function send(path: string, { method = "GET", body, csrf, signal }: Call): Promise<Response> {
	const headers: Record<string, string> = { Accept: "application/json" };
	if (body !== undefined) headers["Content-Type"] = "application/json";
	if (csrf) headers["X-Tenon-CSRF"] = csrf;
	const timeout = AbortSignal.timeout(TIMEOUT_MS);
	let response: Response;
	try {
		response = await fetch(path, {
			method,
			headers,
			body: body === undefined ? null : JSON.stringify(body),
			credentials: "same-origin",
			cache: "no-store",
			redirect: "error",
			signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
		});
	} catch (error) {
		if (signal?.aborted) throw error;
		throw new ApiError("network", "");
	}
	if (!response.ok) throw await readError(response);
	return response;
}

async function call<S extends v.GenericSchema>(
	schema: S,
	path: string,
	options: Call = {},
): Promise<v.InferOutput<S>> {
	const response = await send(path, options);
	const parsed = v.safeParse(schema, await response.json().catch(() => null));
	if (!parsed.success) throw new ApiError("unexpected", "", response.status);
	return parsed.output;
}

type Reading = { signal?: AbortSignal };

export const api = {
	setup: ({ signal }: Reading = {}) => call(Setup, "/platform/setup", { signal }),
	claim: (token: string, email: string, password: string) =>
		call(Session, "/platform/setup", { method: "POST", body: { token, email, password } }),
	signIn: (email: string, password: string) =>
		call(Session, "/platform/signin", { method: "POST", body: { email, password } }),
	/** Null when nobody is signed in. */
	session: async ({ signal }: Reading = {}): Promise<Session | null> => {
		try {
			return await call(Session, "/platform/session", { signal });
		} catch (error) {
			if (error instanceof ApiError && error.status === 401) return null;
			throw error;
		}
	},
	signOut: async (csrf: string): Promise<void> => {
		await send("/platform/signout", { method: "POST", csrf });
	},
	overview: ({ signal }: Reading = {}) => call(Overview, "/platform/overview", { signal }),
	range: (seconds: number, { signal }: Reading = {}) =>
		call(Range, `/platform/metrics/range?seconds=${seconds}`, { signal }),
};
