// @ts-check
import { find } from "./element.js";

/** Closer to the end than this is at the end. */
const NEAR_PX = 64;

/**
 * Keeps a scrolled element at its end for who is reading there, and leaves alone who is reading
 * further up; they get a word that there is something new.
 */
export class Follower {
  /** @param {HTMLElement} scroller @param {HTMLElement} content */
  constructor(scroller, content) {
    this.scroller = scroller;
    this.following = true;
    this.news = false;
    /** Where the end was when we last went there. Talk can go on between that and the event that
     * tells of it, and who was at the end then has not turned away from it. */
    this.end = 0;
    this.pill = find("news");
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Once a frame at most, whatever arrives; and it covers the on-screen keyboard as well.
    const observer = new ResizeObserver(() => this.#settle());
    observer.observe(content);
    observer.observe(scroller);
  }

  /** @param {boolean} own what we say ourselves is worth going to */
  arrived(own) {
    if (own) this.following = true;
    if (!this.following) this.news = true;
    this.show();
  }

  /** To the end, by the person's wish. */
  jump() {
    this.following = true;
    this.news = false;
    this.#settle();
    this.show();
  }

  /** The pill is one for all rooms; it speaks for the one on the screen. */
  show() {
    if (!this.scroller.hidden) this.pill.hidden = !this.news;
  }

  #settle() {
    if (this.following) this.scroller.scrollTop = this.end = this.scroller.scrollHeight;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight, hidden } = this.scroller;
    if (hidden) return;
    const end = this.following ? Math.min(this.end, scrollHeight) : scrollHeight;
    const following = end - scrollTop - clientHeight < NEAR_PX;
    // What came while one was turning away has not been seen either.
    if (following) this.news = false;
    else if (this.following) this.news = scrollHeight > this.end;
    this.following = following;
    this.scroller.classList.toggle("reading", !following);
    this.show();
  }
}
