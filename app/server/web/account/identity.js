// @ts-check

/**
 * @typedef {{ name: string, token: string | null }} Signed `token` is null where the browser has a
 *   cookie that no script can read, which is better
 * @typedef {{ get(key: string): string | null, set(key: string, value: string | null): boolean }} Store
 * @typedef {import("../api.js").Answer} Answer
 */

const ACCOUNT = "rollcall.account";

/** Whom this browser is signed in as; all of its tabs are. */
export class Identity {
  /** @param {Store} store */
  constructor(store) {
    this.store = store;
  }

  /** @returns {Signed | null} */
  get signed() {
    try {
      const { name, token } = JSON.parse(this.store.get(ACCOUNT) ?? "null");
      return typeof name === "string" ? { name, token: typeof token === "string" ? token : null } : null;
    } catch {
      return null;
    }
  }

  get token() {
    return this.signed?.token ?? null;
  }

  forget() {
    this.store.set(ACCOUNT, null);
  }

  /**
   * @param {import("../api.js").Api} api
   * @param {string} name
   * @param {string} password
   * @param {boolean} isNew whether the account is to be made first
   * @returns {Promise<Answer>}
   */
  async signIn(api, name, password, isNew) {
    if (isNew) {
      const made = await api.call("POST", "accounts", { name, password }, { signed: false });
      if (!made.ok) return made;
    }
    const answer = await api.call("POST", "sessions", { name, password }, { signed: false });
    const { token, account } = answer.data ?? {};
    if (!answer.ok || typeof token !== "string") return answer;
    // Where the cookie serves, no script needs to know the token, and none could give it away.
    const byCookie = await api.call("GET", "sessions/current", undefined, { signed: false });
    const kept = { name: String(account?.name ?? name), token: byCookie.ok ? null : token };
    this.store.set(ACCOUNT, JSON.stringify(kept));
    return answer;
  }

  /** @param {import("../api.js").Api} api @param {boolean} everywhere @returns {Promise<Answer>} */
  async signOut(api, everywhere) {
    const answer = await api.call("DELETE", everywhere ? "sessions" : "sessions/current");
    // A session that is over already is what was wanted.
    const isOver = answer.ok || answer.status === 401;
    if (isOver || !everywhere) this.forget();
    return isOver ? { ...answer, ok: true } : answer;
  }
}

/** Which field an error is about. @param {Answer} answer @returns {"name" | "password" | "form"} */
export function fieldOf({ code, detail, status }) {
  const about = `${code} ${detail}`.toLowerCase();
  if (/password/u.test(about) || (status === 401 && /credential|sign/u.test(code))) return "password";
  return /name|taken|account/u.test(code) ? "name" : "form";
}
