// @ts-check
/**
 * What a client tells whoever looks on. There is nothing but the type here.
 *
 * @typedef {import("./frame.js").Message} Message
 * @typedef {import("./frame.js").Welcome} Welcome
 * @typedef {import("./outbox.js").Item} Item
 * @typedef {import("./people/roster.js").Roster} Roster
 * @typedef {{
 *   message(message: Message): void,
 *   gap(gap: import("./frame.js").Gap): void,
 *   acked(room: string, item: Item): void,
 *   refused(room: string, item: Item, detail: string): void,
 *   held(reject: import("./frame.js").Reject): void,
 *   unknown(room: string, item: Item): void,
 *   shut(room: string, detail: string): void,
 *   people(room: string, roster: Roster): void,
 *   state(state: import("./frame.js").State): void,
 *   read(room: string, id: string): void,
 *   entered(room: string): void,
 *   signedOut(detail: string, wasSigned: boolean): void,
 *   typing(frame: { room: string, member: string, name: string }): void,
 *   serving(welcome: Welcome): void,
 *   interrupted(): void,
 *   waiting(retryAt: number | null): void,
 *   log(away: boolean): void,
 *   ended(code: number, detail: string): void,
 *   broken(message: Message, cursor: string): void,
 *   changed(): void,
 * }} Listener `held`: not taken for now, and sent again; `unknown`: it is in the log or not, and will
 *   not be sent again; `shut`: a room that we are not in any more, or cannot enter; `entered`: we are
 *   in it, and know our place; `read`: another device of ours has; `signedOut`: the token is void, and
 *   we come as a guest; `serving`: live in every room, on this replica; `interrupted`: not any more,
 *   and then `waiting`: until the next try, by `clock`, or for one that is under way; `log`: whether
 *   the replica has lost the log; `changed`: the participant is to be saved before anything leaves
 *   this machine
 */

export {};
