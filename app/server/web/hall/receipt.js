// @ts-check
import { make } from "../element.js";
import { count, times } from "./tally.js";

/** What became of this phone, and its answer when the roll is called. */
export class Receipt {
  /** @param {import("./tally.js").Tally} tally @param {() => void} answer */
  constructor(tally, answer) {
    this.tally = tally;
    this.element = make("main", "hall-receipt");
    this.element.hidden = true;
    this.verdict = make("p", "verdict");
    this.away = make("p", "soft", "connecting…");
    this.away.hidden = true;
    this.list = make("dl");
    this.button = make("button", "primary", "Answer: here!");
    this.button.type = "button";
    this.button.addEventListener("click", answer);
    this.button.hidden = true;
    this.said = make("p", "soft");
    this.said.setAttribute("role", "status");
    const card = make("div", "card");
    card.append(make("h1", "", "Your receipt"), this.verdict, this.list, this.button, this.said, this.away);
    this.element.append(card);
  }

  /** @param {boolean} isWaiting nobody serves us */
  show(isWaiting) {
    const { tally } = this;
    this.away.hidden = !isWaiting;
    this.verdict.textContent = tally.isWhole ? "Nothing was lost." : "Something is missing.";
    this.verdict.classList.toggle("bad", !tally.isWhole);
    this.list.replaceChildren(...lines(tally).flatMap(([words, value]) => [make("dt", "", words), make("dd", "", value)]));
  }

  /** What one has answered was to another question. @param {boolean} isCall */
  asked(isCall) {
    this.button.hidden = !isCall;
    this.said.textContent = "";
  }

  /** @param {"sending" | "sent"} state */
  answered(state) {
    this.said.textContent = state === "sent" ? "Your answer is in the log." : "Sending…";
  }
}

/** @param {import("./tally.js").Tally} tally @returns {[string, string][]} */
function lines(tally) {
  const { got, missing, own, taken, right, wrong, cuts, gaps, doubled, asked } = tally;
  /** @type {[string, string][]} */
  const always = [
    ["moved", times(tally.moves)],
    ["messages", `${count(got)} of ${count(got + missing)}`],
    ["longest silence", `${count(tally.silence)} ms`],
    ["yours, in the log", `${count(Math.min(own.length, taken))} of ${count(taken)}`],
  ];
  /** @type {[string, string, number][]} */
  const perhaps = [
    ["you noticed", `${count(right)} of ${count(right + wrong)}`, right + wrong],
    ["connection lost", times(cuts), cuts],
    ["came twice", count(doubled), doubled],
    ["gaps in the log", count(gaps), gaps],
    ["asked again for one", times(asked), asked],
  ];
  return [...always, ...perhaps.filter(([, , is]) => is > 0).map(([words, value]) => /** @type {[string, string]} */ ([words, value]))];
}
