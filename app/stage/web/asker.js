// @ts-check

/** @typedef {{ name: string, key: string }} Act */

/**
 * Asks the stage's process to do what is on a key. It acts, and tells what happens as it tells everything; `say` tells why it
 * does not.
 *
 * @param {(words: string) => void} say
 * @returns {(key: string) => void}
 */
export function asker(say) {
  const token = document.querySelector("meta[name=token]")?.getAttribute("content") ?? "";
  const headers = { "x-stage-token": token };
  /** @type {Promise<Act[]>} */
  const known = fetch("/stage/acts", { headers }).then((answer) => (answer.ok ? answer.json() : []), () => []);
  return async (key) => {
    const act = (await known).find((it) => it.key === key);
    if (!act) return;
    try {
      const answer = await fetch(`/stage/acts/${encodeURIComponent(act.name)}`, { method: "POST", headers });
      // A stage that was started anew has another token.
      if (answer.status === 403) say("Load this page anew: the stage was started again");
      else if (!answer.ok) say(`${act.name}: ${(await answer.text()).trim()}`);
    } catch {
      say(`${act.name}: the stage does not answer`);
    }
  };
}
