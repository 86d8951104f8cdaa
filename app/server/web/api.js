// @ts-check

/**
 * @typedef {{ ok: boolean, status: number, data: any, code: string, detail: string,
 *   retryMs: number | null }} Answer `status` 0: nobody answered
 */

/** Longer than the server waits for Redis, and than anybody looks at a dialog that does nothing. */
const PATIENCE_MS = 15_000;

/** Requests to the server, as whoever is signed in. They never throw: what went wrong is an answer. */
export class Api {
  /** @param {() => string | null} token @param {string} [key] a guest's, who may read private rooms by it */
  constructor(token, key) {
    this.token = token;
    this.key = key;
  }

  /** Who asks. @returns {Record<string, string>} headers */
  get who() {
    const token = this.token();
    if (token !== null) return { authorization: `Bearer ${token}` };
    return this.key ? { "x-client-key": this.key } : {};
  }

  /**
   * @param {string} method
   * @param {string} path below `/api/v1/`
   * @param {unknown} [body]
   * @param {{ signal?: AbortSignal, signed?: boolean }} [how] `signed`: with our token, if we have one
   * @returns {Promise<Answer>}
   */
  async call(method, path, body, { signal = AbortSignal.timeout(PATIENCE_MS), signed = true } = {}) {
    /** @type {Record<string, string>} */
    const headers = { accept: "application/json", ...(signed ? this.who : {}) };
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      const sent = { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) };
      return await answerOf(await fetch(`/api/v1/${path}`, sent));
    } catch (error) {
      console.warn(`${method} ${path}:`, error);
      return failed(0, "unreachable", "There is no connection now. Nothing was changed.", null);
    }
  }
}

/** @param {string} room @param {string} [rest] */
export function roomPath(room, rest = "") {
  return `rooms/${encodeURIComponent(room)}${rest}`;
}

/** @param {Response} response @returns {Promise<Answer>} */
async function answerOf(response) {
  const { status, headers } = response;
  const json = await response.json().catch(() => null);
  if (response.ok) return { ok: true, status, data: json?.data ?? json, code: "", detail: "", retryMs: null };
  // A release before answers with the frame itself.
  const { code = "", detail = "" } = json?.error ?? json ?? {};
  const seconds = Number(headers?.get("retry-after") ?? NaN);
  const retryMs = json?.retry_ms ?? json?.error?.retry_ms ?? (Number.isFinite(seconds) ? seconds * 1000 : null);
  return { ...failed(status, String(code), String(detail) || meaning(status), retryMs), data: json };
}

/** @param {number} status @param {string} code @param {string} detail @param {number | null} retryMs */
function failed(status, code, detail, retryMs) {
  return { ok: false, status, data: null, code, detail, retryMs };
}

/** @param {number} status */
function meaning(status) {
  if (status === 404 || status === 405) return "This server cannot do that yet. Try again in a minute.";
  if (status === 429) return "That was too often. Try again in a moment.";
  if (status >= 500) return "No server could take this now. Try again in a moment.";
  return `The server refused this (${status}).`;
}
