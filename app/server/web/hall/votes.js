// @ts-check
import { make } from "../element.js";

/** Which replica is to die next. */
export class Votes {
  /** @param {import("./tally.js").Tally} tally @param {(replica: string) => void} vote */
  constructor(tally, vote) {
    this.tally = tally;
    this.vote = vote;
    this.element = make("main", "hall-vote");
    this.element.hidden = true;
    this.element.append(make("h1", "", "Which replica is to die next?"));
    this.said = make("p", "soft");
    this.said.setAttribute("role", "status");
    this.list = make("div", "ballot");
    this.element.append(this.list, this.said);
    /** @type {Map<string, HTMLButtonElement>} */
    this.buttons = new Map();
    this.#show();
  }

  /** Something else is asked than before. */
  asked() {
    this.#show();
  }

  /** @param {string} replica */
  voted(replica) {
    this.tally.vote = replica;
    this.#show();
    this.said.textContent = "Sending…";
  }

  /** @param {number} round @param {string} replica */
  taken(round, replica) {
    if (round === this.tally.round && replica === this.tally.vote) this.said.textContent = `Your vote for ${replica} is in the log. The last one counts.`;
  }

  #show() {
    const { ballot, vote } = this.tally;
    if (ballot.join() !== [...this.buttons.keys()].join()) this.#build(ballot);
    for (const [replica, button] of this.buttons) button.setAttribute("aria-pressed", String(replica === vote));
    if (ballot.length === 0) this.said.textContent = "Nobody has asked yet. When the stage does, you choose here.";
    else if (!vote) this.said.textContent = "One vote each. You may change it: the last one counts.";
    else this.said.textContent = `You voted for ${vote}. You may change it: the last one counts.`;
  }

  /** @param {string[]} ballot */
  #build(ballot) {
    this.buttons = new Map(ballot.map((replica) => {
      const button = make("button", "", replica);
      button.type = "button";
      button.addEventListener("click", () => this.vote(replica));
      return [replica, button];
    }));
    this.list.replaceChildren(...this.buttons.values());
  }
}
