// @ts-check
// For a page of the release before, which came from a replica that is not rolled yet and asks this
// one for its modules: they are all in the page now. The next load brings it.
const TRIES = "rollcall.tries";
const tries = Number(sessionStorage.getItem(TRIES) ?? 0) + 1;
sessionStorage.setItem(TRIES, String(tries % 6));
if (tries < 6) setTimeout(() => location.reload(), tries * 500);
else document.body.textContent = "This page did not load completely. Please reload it.";
