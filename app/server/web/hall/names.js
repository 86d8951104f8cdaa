// @ts-check

const LIKE = ["Amber", "Brave", "Calm", "Clever", "Cosmic", "Curious", "Daring", "Eager", "Gentle", "Golden", "Happy", "Jolly",
  "Lucky", "Mellow", "Merry", "Nimble", "Quick", "Quiet", "Rapid", "Silver", "Sunny", "Swift", "Witty", "Zesty"];
const WHO = ["Badger", "Beaver", "Bison", "Crane", "Falcon", "Ferret", "Finch", "Fox", "Gecko", "Heron", "Ibex", "Koala", "Lemur",
  "Lynx", "Marmot", "Mole", "Newt", "Otter", "Panda", "Puffin", "Raven", "Seal", "Stork", "Wombat"];

/**
 * A name for somebody who would rather tap than type.
 *
 * @param {() => number} random from 0 to below 1
 */
export function proposed(random) {
  const one = (/** @type {string[]} */ of) => of[Math.floor(random() * of.length)];
  return `${one(LIKE)} ${one(WHO)}`;
}
