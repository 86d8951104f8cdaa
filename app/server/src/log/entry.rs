//! Entries of room logs and feeds, as Redis gives them.

use redis::streams::StreamId;
use rollcall_protocol::{EntryId, Extra, Message, PresenceEvent};
use serde::de::{
    DeserializeOwned, IntoDeserializer,
    value::{Error, StringDeserializer},
};

use super::model::{Control, FeedEvent};

/// The message in an entry of a room log; none if this release cannot read it.
pub(super) fn read_entry(room: &str, entry: &StreamId) -> Option<Message> {
    let id = entry.id.parse().ok()?;
    read_message(room.to_owned(), id, entry)
}

/// What an entry of a feed tells; none if it is of a kind that this release does not know.
pub(super) fn read_event(entry: &StreamId) -> Option<FeedEvent> {
    let room = field(entry, "room")?;
    match field(entry, "kind")?.as_str() {
        "message" => {
            let id = field(entry, "id").and_then(|id| id.parse().ok());
            let message = id.and_then(|id| read_message(room.clone(), id, entry));
            Some(message.map_or(FeedEvent::Unread { room }, FeedEvent::Message))
        }
        "control" => Some(FeedEvent::Control(Control {
            room,
            what: field(entry, "what")?,
            member: field(entry, "member")?,
            detail: field(entry, "detail")?,
        })),
        "typing" => {
            let (member, name) = (field(entry, "member")?, field(entry, "name")?);
            Some(FeedEvent::Typing { room, member, name })
        }
        "presence" => {
            let event = match field(entry, "event")?.as_str() {
                "join" => PresenceEvent::Join,
                _ => PresenceEvent::Leave,
            };
            let (member, name) = (field(entry, "member")?, field(entry, "name")?);
            Some(FeedEvent::Presence { at: entry.id.parse().ok()?, room, event, member, name })
        }
        _ => None,
    }
}

fn read_message(room: String, id: EntryId, entry: &StreamId) -> Option<Message> {
    Some(Message {
        room,
        id,
        prev: field(entry, "prev")?.parse().ok()?,
        member: field(entry, "member")?,
        name: field(entry, "name")?,
        n: field(entry, "n")?.parse().ok()?,
        text: field(entry, "text")?,
        at: id.ms,
        extra: Extra {
            sender: field(entry, "sender"),
            kind: word(entry, "what"),
            of: word(entry, "of"),
            mark: word(entry, "mark"),
            edited: word(entry, "edited"),
            removed: field(entry, "removed").is_some(),
        },
    })
}

/// A field as the wire has it, too; none if it is not there, or cannot be read.
fn word<T: DeserializeOwned>(entry: &StreamId, name: &str) -> Option<T> {
    let word: StringDeserializer<Error> = field(entry, name)?.into_deserializer();
    T::deserialize(word).ok()
}

fn field(entry: &StreamId, name: &str) -> Option<String> {
    entry.get(name)
}
