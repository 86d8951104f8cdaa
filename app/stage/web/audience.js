// @ts-check

const number = new Intl.NumberFormat("en");

/** A full bar is a vote of everybody who has voted. */
const FULL = 100;

/** The votes for one replica, as a bar beside its name. @param {HTMLElement} it @param {string} replica @param {Record<string, number>} votes */
export function showVotes(it, replica, votes) {
  const all = Object.values(votes).reduce((sum, count) => sum + count, 0);
  const count = votes[replica] ?? 0;
  it.hidden = all === 0;
  it.style.setProperty("--part", `${all ? Math.round((FULL * count) / all) : 0}%`);
  const words = `${number.format(count)} ${count === 1 ? "vote" : "votes"}`;
  if (it.textContent !== words) it.textContent = words;
  it.classList.toggle("most", count > 0 && count === Math.max(...Object.values(votes)));
}

/** What phones noticed: where it takes two lines, each part is in one. @param {HTMLElement} it @param {Parameters<typeof audienceLine>[0]} audience */
export function showAudience(it, audience) {
  const words = audienceLine(audience);
  if (it.textContent === words) return;
  it.replaceChildren();
  for (const part of words.split(/(?<= · )/u)) it.append(Object.assign(document.createElement("span"), { textContent: part }));
}

/** What phones noticed, in a line; empty: they said nothing. @param {{ noticed: number, false_alarms: number, answered: number }} audience */
export function audienceLine({ noticed, false_alarms: wrong, answered }) {
  const taps = noticed + wrong ? [`${number.format(noticed)} noticed`, `${number.format(wrong)} false ${wrong === 1 ? "alarm" : "alarms"}`] : [];
  return [...taps, ...(answered ? [`${number.format(answered)} answered`] : [])].join(" · ");
}
