// @ts-check

/**
 * The browser's storage, or none: where site data is blocked, each access throws. Then one can
 * talk all the same; only a reload makes another person.
 */
class Store {
  /** @param {() => Storage} open */
  constructor(open) {
    this.open = open;
  }

  /** @param {string} key @returns {string | null} */
  get(key) {
    try {
      return this.open().getItem(key);
    } catch {
      return null;
    }
  }

  /** @param {string} key @param {string | null} value null: away with it @returns {boolean} whether it is kept */
  set(key, value) {
    try {
      if (value === null) this.open().removeItem(key);
      else this.open().setItem(key, value);
      return true;
    } catch {
      return false;
    }
  }
}

/** What belongs to this tab, also after a reload. */
export const tab = new Store(() => sessionStorage);

/** What belongs to this browser. */
export const browser = new Store(() => localStorage);
