// @ts-check
// A service worker: the page opens without a network, too. It asks the network first, always, so
// that nobody is given an old page who could have the new one.

const CACHE = "rollcall";
const SHELL = ["/", "/web/icon.svg", "/web/clock-worker.js"];
/** Who waits longer than this would rather have what is here. */
const PATIENCE_MS = 4_000;

const worker = /** @type {any} */ (globalThis);

worker.addEventListener("install", (/** @type {any} */ event) => {
  worker.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL)));
});

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  const { origin, pathname } = new URL(event.request.url);
  const isOurs = origin === location.origin && SHELL.includes(pathname) && event.request.method === "GET";
  if (isOurs) event.respondWith(answer(pathname));
});

/** @param {string} pathname */
async function answer(pathname) {
  // On a full disk there may be no cache, or nothing more goes into it.
  const cache = await caches.open(CACHE).catch(() => null);
  const kept = await cache?.match(pathname);
  try {
    const signal = kept ? AbortSignal.timeout(PATIENCE_MS) : undefined;
    const fresh = await fetch(pathname, { signal, credentials: "same-origin" });
    if (fresh.ok) await cache?.put(pathname, fresh.clone()).catch(console.warn);
    return fresh.status >= 500 && kept ? kept : fresh;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}
