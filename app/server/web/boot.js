// @ts-check
/**
 * Starts the page, with patience: in a roll the modules of one page can come from two releases,
 * and those need not fit together. A little later they do.
 */

const TRIES = "rollcall.tries";
const MOST = 6;
const PAUSE_MS = 700;

/** How often it was tried; without storage nobody can count, and one try has to do.
 * @param {number} more @returns {number} */
function count(more) {
  try {
    const tries = more && Number(sessionStorage.getItem(TRIES)) + more;
    sessionStorage.setItem(TRIES, String(tries % MOST));
    return tries;
  } catch {
    return more * MOST;
  }
}

/** @param {unknown} error */
function again(error) {
  console.warn(error);
  const tries = count(1);
  if (tries < MOST) setTimeout(() => location.reload(), tries * PAUSE_MS);
  else document.body.textContent = "This page did not load completely. Please reload it.";
}

import("./main.js").then(() => void count(0), again);
