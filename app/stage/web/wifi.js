// @ts-check

/** The Wi-Fi's own picture beside that of the address, if the speaker has named one. @param {HTMLElement} join */
export function showWifi(join) {
  const name = document.querySelector("meta[name=wifi]")?.getAttribute("content");
  if (!name) return;
  join.classList.add("wifi");
  for (const it of join.querySelectorAll("[hidden]")) it.removeAttribute("hidden");
  const figure = /** @type {HTMLElement} */ (join.querySelector("#wifi"));
  figure.querySelector("img")?.setAttribute("src", "/stage/wifi.svg");
  const words = figure.querySelector("figcaption");
  if (words) words.textContent = `1. Wi-Fi ${name}`;
}
