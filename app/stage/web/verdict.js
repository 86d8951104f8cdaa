// @ts-check

/** What a hall makes of the promises that a report names. */
const PROMISES = new Map(Object.entries({
  failed_sends: "messages were refused", failed_requests: "requests failed", late: "messages were late", gaps: "there are holes in the log",
  phantoms: "there are messages that nobody sent", wrong_names: "names were wrong", leave_join_flaps: "people seemed to go who were here",
  moves_per_client: "somebody moved too often", wrong_release: "the wrong release serves", unproven: "not everything can be proven",
}));
/** Those that have a figure or a sentence of their own. */
const TOLD = new Set(["lost", "duplicated", "reordered", "absent"]);

/** Letters of a figure that is written large. */
const FITS = 3;

const number = new Intl.NumberFormat("en");

/** @typedef {{ ok: boolean, clients: number, absent: number, messages: number, deliveries: number, lost: number, doubled: number,
 *   reordered: number, skipped?: Record<string, number>, broken?: string[] }} Verdict */

/** The roll call, over everything that it is about. @param {HTMLElement} place @param {(Verdict & { at: number }) | null} verdict */
export function showVerdict(place, verdict) {
  const told = verdict ? String(verdict.at) : "";
  if (place.dataset.at === told || (place.hidden && !verdict)) return;
  place.dataset.at = told;
  place.hidden = !verdict;
  document.body.classList.toggle("judged", verdict !== null);
  if (!verdict) return;
  place.classList.toggle("bad", !verdict.ok);
  const figures = [["lost", verdict.lost], ["twice", verdict.doubled], ["out of order", verdict.reordered]];
  place.replaceChildren(
    made("h2", "The roll call"),
    made("h3", headline(verdict)),
    made("p", crowd(verdict)),
    made("dl", ...figures.map(([words, value]) => figure(String(words), Number(value)))),
    ...reasons(verdict).map((words) => made("p", words)),
  );
}

/** @param {Verdict} verdict */
export function headline({ ok, absent, lost, doubled, reordered }) {
  if (absent) return `${number.format(absent)} did not answer.`;
  if (lost) return "Not all arrived.";
  if (doubled) return "Some came twice.";
  if (reordered) return "Not all came in order.";
  return ok ? "Everyone is here." : "Everyone is here, but not all was well.";
}

/** @param {Verdict} verdict */
export function crowd({ clients, absent, messages, deliveries }) {
  const here = `${number.format(clients - Math.min(clients, absent))} of ${number.format(clients)} answered`;
  return `${here}: ${number.format(messages)} messages, heard ${number.format(deliveries)} times`;
}

/** What there is to say of what is wrong. @param {Verdict} verdict @returns {string[]} */
export function reasons({ lost, skipped = {}, broken = [] }) {
  const passed = Object.entries(skipped).map(([release, times]) => `${release} passed over a message ${number.format(times)} times. Each client saw the hole in the chain, and asked again.`);
  const never = lost - Object.values(skipped).reduce((a, b) => a + b, 0);
  if (never > 0) passed.push(`${number.format(never)} never arrived at all.`);
  const others = broken.filter((name) => !TOLD.has(name)).map((name) => PROMISES.get(name) ?? name.replace(/_/gu, " "));
  return others.length ? [...passed, `Besides, ${others.join("; ")}.`] : passed;
}

/** @param {string} words @param {number} value */
function figure(words, value) {
  const told = number.format(value);
  const box = made("div", made("dt", words), made("dd", told));
  box.classList.toggle("long", told.length > FITS);
  box.classList.toggle("bad", value > 0);
  return box;
}

/** @param {string} tag @param {...(string | Node)} inside */
function made(tag, ...inside) {
  const element = document.createElement(tag);
  element.append(...inside);
  return element;
}
