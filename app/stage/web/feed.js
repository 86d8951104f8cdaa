// @ts-check

/** The page is so far behind what it is told: what comes in batches is then seen as it happened. */
const BEHIND_MS = 250;
/** A stage is alive if it has told something within so long: it does each second. */
const SILENT_MS = 2_500;

/** What the page is told, and what time it is on the stage. */
export class Feed {
  /** @type {any[]} */
  #waiting = [];
  /** What the page's clock shows at the stage's beginning. */
  #began = 0;
  #now = 0;
  #source;
  /** Only this moment is shown. */
  frozen = false;
  /** It is a recording. */
  replay = false;
  #isConnected = false;
  /** When it was told something last, and whether too many pages are told already. */
  #toldAt = 0;
  #isFull = false;
  /** The stage does not want it: it does not come again. */
  #isRefused = false;
  /** Nothing more is to come. */
  isOver = false;
  /** Until it is told what is true now, everything is taken at once. */
  #isTold = false;
  #restart;

  /** @param {() => void} restart what was told before is told anew */
  constructor(restart) {
    this.#restart = restart;
    const asked = new URLSearchParams(location.search);
    const place = ["at", "from"].filter((name) => asked.has(name)).map((name) => `${name}=${encodeURIComponent(asked.get(name) ?? "")}`);
    this.#source = new EventSource(`/stage/events?${place.join("&")}`);
    this.#source.onopen = () => {
      this.#waiting = [];
      this.#isTold = false;
      this.#isConnected = true;
      this.#restart();
    };
    this.#source.onmessage = ({ data }) => {
      this.#toldAt = performance.now();
      this.#waiting.push(JSON.parse(data));
    };
    this.#source.onerror = () => {
      this.#isConnected = false;
      this.#isRefused = this.#source.readyState === EventSource.CLOSED;
    };
    this.#source.addEventListener("beat", () => { this.#toldAt = performance.now(); });
    this.#source.addEventListener("full", () => { this.#isFull = true; });
    this.#source.addEventListener("now", ({ data }) => this.#told(JSON.parse(data)));
    // Left open, it would begin anew.
    this.#source.addEventListener("end", () => this.#end());
  }

  #end() {
    this.#source.close();
    this.isOver = true;
  }

  /** @param {{ at: number, frozen: boolean, replay: boolean }} now */
  #told({ at, frozen, replay }) {
    this.frozen = frozen;
    this.replay = replay;
    this.#now = at;
    this.#began = performance.now() - at + (frozen || replay ? 0 : BEHIND_MS);
    this.#isTold = true;
    this.#isFull = false;
    this.#toldAt = performance.now();
    if (frozen) this.#end();
  }

  /** Why it is told nothing, if it is not. */
  get trouble() {
    if (this.isOver) return "";
    if (this.#isRefused) return "The stage does not tell this page anything: open the address that it printed";
    if (this.#isFull) return "Too many pages show this stage: close another one, and this one goes on";
    // A stage that hangs keeps its connections. A recording has its silences.
    const isSilent = this.#isTold && !this.replay && performance.now() - this.#toldAt > SILENT_MS;
    return this.#isConnected && !isSilent ? "" : "The stage is not told anything just now: it connects again";
  }

  /**
   * What has happened by now, and when that is.
   *
   * @returns {{ events: any[], at: number }}
   */
  take() {
    if (!this.#isTold) return { events: [], at: 0 };
    this.#now = this.frozen ? this.#now : Math.max(0, performance.now() - this.#began);
    const later = this.#waiting.findIndex(({ at }) => at > this.#now);
    const events = this.#waiting.splice(0, later < 0 ? this.#waiting.length : later);
    return { events, at: this.#now };
  }
}
