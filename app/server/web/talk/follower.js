// @ts-check
import { find } from "../element.js";

/** Closer to the end than this is at the end. */
const NEAR_PX = 64;
/** Closer than this to what is here, and more of the log is fetched before one gets there. */
const AHEAD_PX = 600;

/**
 * Keeps a scrolled element at its end for who is reading there, and leaves alone who is reading
 * further up; they get a word that there is something new.
 */
export class Follower {
  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} content
   * @param {{ older(): void, newer(): void, seen(): void }} on
   */
  constructor(scroller, content, on) {
    this.scroller = scroller;
    this.on = on;
    this.following = true;
    this.news = false;
    /** The end of what is here is not the end of the talk. */
    this.detached = false;
    /** Where we last put it. Talk goes on and the form grows between that and the event that tells of
     * it; only who has gone up from there has turned away. */
    this.top = 0;
    this.pill = find("news");
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // There may be too little here to scroll.
    scroller.addEventListener("wheel", ({ deltaY }) => deltaY < 0 && scroller.scrollTop === 0 && on.older(), { passive: true });
    // Once a frame at most, whatever arrives; and it covers the on-screen keyboard as well.
    const observer = new ResizeObserver(() => this.#settle());
    observer.observe(content);
    observer.observe(scroller);
  }

  /** Whether what is in sight is nearer to the end than to the beginning. */
  get isLow() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollTop > (scrollHeight - clientHeight) / 2;
  }

  /** @param {boolean} own what we say ourselves is worth going to */
  arrived(own) {
    if (own) this.following = true;
    if (!this.following) this.news = true;
    else this.on.seen();
    this.show();
  }

  /** To the end, by the person's wish. */
  jump() {
    this.following = true;
    this.news = false;
    this.#settle();
    this.on.seen();
    this.show();
  }

  /** To a place further up. */
  turnAway() {
    this.following = false;
    this.show();
  }

  /** Changes rows above or below what is in sight, which stays where it is. @param {() => void} run */
  keeping(run) {
    const { scroller } = this;
    const row = this.following ? null : this.#inSight();
    const before = row?.getBoundingClientRect().top ?? 0;
    run();
    if (row?.isConnected) scroller.scrollTop += row.getBoundingClientRect().top - before;
  }

  /** The pill is one for all rooms; it speaks for the one on the screen. */
  show() {
    if (this.scroller.hidden) return;
    this.pill.hidden = this.following;
    this.pill.classList.toggle("news", this.news);
    this.pill.textContent = this.news ? "New messages" : "To the newest";
  }

  /** The first row that is not above what is in sight. */
  #inSight() {
    const { top } = this.scroller.getBoundingClientRect();
    return Array.from(this.scroller.querySelectorAll("li")).find((row) => row.getBoundingClientRect().bottom > top);
  }

  #settle() {
    if (!this.following || this.scroller.hidden) return;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.top = this.scroller.scrollTop;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight, hidden } = this.scroller;
    if (hidden) return;
    const below = scrollHeight - scrollTop - clientHeight;
    const stayed = this.following && scrollTop >= this.top - 1;
    this.following = !this.detached && (below < NEAR_PX || stayed);
    if (this.following && this.news) this.news = false;
    if (this.following) this.on.seen();
    // Only for who goes there: nothing is put above the rows of somebody who follows.
    if (!this.following && scrollTop < AHEAD_PX) this.on.older();
    if (this.detached && below < AHEAD_PX) this.on.newer();
    this.show();
  }
}
