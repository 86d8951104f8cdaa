// @ts-check
/** @typedef {import("../frame.js").Member} Member */

/**
 * The people in a room, as one connection tells it. The server names at most 200 people, so the count
 * can be higher than the number of names.
 */
export class Roster {
  /** @param {{ present: number, members: Member[] }} told */
  constructor({ present, members }) {
    this.present = present;
    /** @type {Map<string, string>} member → name */
    this.names = new Map(members.map(({ member, name }) => [member, name]));
  }

  /** @param {{ event: string, member: string, name: string }} presence */
  apply({ event, member, name }) {
    if (event === "join") {
      if (!this.names.has(member)) this.present += 1;
      this.names.set(member, name);
    } else if (event === "leave") {
      this.names.delete(member);
      this.present = Math.max(this.present - 1, this.names.size);
    }
  }
}
