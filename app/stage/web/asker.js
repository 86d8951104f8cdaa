// @ts-check

/** Whoever presses a key knows by then whether it was heard. What was not heard by then is not done later. */
const ANSWER_MS = 3_000;

/** @typedef {{ name: string, key: string }} Act */

/** What asks the stage's process to do what is on a key. It acts, and tells what happens as it tells everything. */
export class Asker {
  #headers = { "x-stage-token": document.querySelector("meta[name=token]")?.getAttribute("content") ?? "" };
  /** @type {Promise<Act[] | null>} null: it does not say */
  #known = Promise.resolve(null);
  #say;

  /** @param {(words: string) => void} say why it does not act */
  constructor(say) {
    this.#say = say;
  }

  /** The stage answers: which acts has it? One that was started anew has another token, and perhaps another page. */
  meet() {
    this.#known = fetch("/stage/acts", { headers: this.#headers, signal: AbortSignal.timeout(ANSWER_MS) }).then((answer) => {
      if (answer.status === 403) location.reload();
      return answer.ok ? answer.json() : null;
    }).catch(() => null);
  }

  /** @param {string} key */
  async press(key) {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const known = await this.#known;
    const act = known?.find((it) => it.key === key);
    if (act) await this.#ask(act.name, signal);
    else if (known?.length && key.length === 1) this.#say(`No act is on ${key}: ${known.map((it) => it.key).join(" ")}`);
    if (known || key.length > 1) return;
    this.#say(`${key}: the stage has not told which acts it has; press it again`);
    this.meet();
  }

  /** @param {string} name @param {AbortSignal} signal */
  async #ask(name, signal) {
    try {
      const answer = await fetch(`/stage/acts/${encodeURIComponent(name)}`, { method: "POST", headers: this.#headers, signal });
      if (!answer.ok) this.#say(`${name}: ${(await answer.text()).trim()}`);
    } catch {
      this.#say(`${name}: the stage does not answer, and does not do it`);
    }
  }
}
