// @ts-check
/**
 * Starts the page, with patience: in a roll the modules of one page can come from two releases,
 * and those need not fit together. A little later they do.
 */

const TRIES = "rollcall.tries";
const MOST = 6;
const PAUSE_MS = 700;

/** @param {unknown} error */
function again(error) {
  console.warn(error);
  const tries = Number(sessionStorage.getItem(TRIES)) + 1;
  sessionStorage.setItem(TRIES, String(tries % MOST));
  if (tries < MOST) setTimeout(() => location.reload(), tries * PAUSE_MS);
  else document.body.textContent = "This page did not load completely. Please reload it.";
}

import("./main.js").then(() => sessionStorage.removeItem(TRIES), again);
