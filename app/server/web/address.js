// @ts-check
import { isId } from "./id.js";
import { roomOf } from "./words.js";

/**
 * What stands behind the `#` of the page's address: `room`, `room/ID` for one message, or
 * `room?invite=TOKEN` for who is let into a private room. The room is escaped, so `/` and `?` part.
 *
 * @param {string} hash
 * @returns {{ room: string, id: string | null, invite: string | null }}
 */
export function parse(hash) {
  const [, place = "", query = ""] = /^#?([^?]*)\??(.*)$/su.exec(hash) ?? [];
  const [room, id] = place.split("/");
  return { room: roomOf(`#${room}`), id: isId(id) ? id : null, invite: new URLSearchParams(query).get("invite") };
}

/** @param {string} room @param {string | null} [id] */
export function hashOf(room, id = null) {
  return `#${encodeURIComponent(room)}${id === null ? "" : `/${id}`}`;
}

/** @param {string} room @param {string} invite */
export function invitationOf(room, invite) {
  return `${hashOf(room)}?invite=${encodeURIComponent(invite)}`;
}
