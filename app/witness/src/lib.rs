//! Writes into a history what the client library tells, and what somebody at the page sees. It judges nothing.

mod browser;
mod document;
pub mod page;

use rollcall_checker::history::{EDITED, Entered, Recorder, UNSAID, What};
use rollcall_client::Event;
use rollcall_protocol::{EntryId, JoinStatus, Kind, Member, Message, PresenceEvent, Why};
use sha2::{Digest, Sha256};

/// What a text is known by in a history: 64 bits of its SHA-256, in hex.
#[must_use]
pub fn hash(text: &str) -> String {
    hex(text)
}

/// What an entry of a room log is known by in a history. A removal has no text, and so is known by what it removes; what has no
/// text of its own any more is [`UNSAID`]. (To a release before them, edits and removals are messages like any other.)
#[must_use]
pub fn hash_of(message: &Message) -> String {
    let Message { text, extra, .. } = message;
    match (extra.kind, extra.of) {
        _ if extra.removed => UNSAID.to_owned(),
        (Some(Kind::Notice), _) => UNSAID.to_owned(),
        (Some(Kind::Remove), Some(of)) => hash_of_removal(of),
        _ if text.is_empty() => UNSAID.to_owned(),
        _ if extra.edited.is_some() => format!("{EDITED}{}", hash(text)),
        _ => hash(text),
    }
}

/// The same of a removal that is to be sent.
#[must_use]
pub fn hash_of_removal(of: EntryId) -> String {
    hash(&format!("removal of {of}"))
}

/// The same of an entry as a room log keeps it: its text, and its fields `what` and `of`.
#[must_use]
pub fn hash_of_stored(text: &str, what: Option<&str>, of: Option<&str>) -> String {
    match (what, of.and_then(|of| of.parse().ok())) {
        (Some("notice"), _) => UNSAID.to_owned(),
        (Some("remove"), Some(of)) => hash_of_removal(of),
        _ => hash(text),
    }
}

/// The public ID of the client that has this key: the first 16 hex digits of its SHA-256.
#[must_use]
pub fn member_of(key: &str) -> String {
    hex(key)
}

fn hex(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let digits = digest.iter().take(8).flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

/// Writes down an event, and the names that it tells. What a participant itself has to say, as that an operation was
/// acknowledged, it leaves out.
pub fn record(recorder: &Recorder, client: &str, event: &Event) {
    for (member, name) in names_in(event) {
        recorder.named(client, member, name);
    }
    let Some(what) = what(client, event) else { return };
    match event {
        Event::Message { received, .. } => recorder.record_at(*received, what),
        _ => recorder.record(what),
    }
}

fn names_in(event: &Event) -> Vec<(&str, &str)> {
    match event {
        Event::Message { message, .. } => vec![(&message.member, &message.name)],
        Event::Presence { member, name, .. } => vec![(member, name)],
        Event::Joined { members, .. } | Event::Members { members, .. } => {
            members.iter().map(|it| (it.member.as_str(), it.name.as_str())).collect()
        }
        _ => Vec::new(),
    }
}

/// What a history says of an event; none for what it leaves out.
#[must_use]
pub fn what(client: &str, event: &Event) -> Option<What> {
    let client = client.to_owned();
    Some(match event {
        Event::Connected { member, replica, release, why, .. } => What::Connected {
            client,
            member: member.clone(),
            replica: replica.clone(),
            release: release.clone(),
            why: why_name(*why).to_owned(),
        },
        Event::Joined { room, cursor, status, members, .. } => What::Joined {
            client,
            room: room.clone(),
            how: match status {
                JoinStatus::Fresh => Entered::Fresh,
                JoinStatus::Resumed => Entered::Resumed,
                JoinStatus::Gap => Entered::Gap,
            },
            cursor: (*cursor).into(),
            present: names(members),
        },
        Event::Live { room } => What::Live { client, room: room.clone() },
        Event::Message { message, .. } => What::Message {
            client,
            room: message.room.clone(),
            id: message.id.into(),
            prev: message.prev.into(),
            member: message.member.clone(),
            n: message.n,
            hash: hash_of(message),
        },
        Event::Gap { .. } | Event::Broken { .. } | Event::Repeated { .. } => {
            return wrong(client, event);
        }
        Event::Presence { room, event, member, .. } => What::Presence {
            client,
            room: room.clone(),
            member: member.clone(),
            here: *event == PresenceEvent::Join,
        },
        Event::Members { room, members, .. } => {
            What::Members { client, room: room.clone(), present: names(members) }
        }
        Event::Disconnected { replica, loss, abrupt } => {
            What::Lost { client, replica: replica.clone(), how: loss.to_string(), abrupt: *abrupt }
        }
        Event::Silence { lasted } => {
            What::Silence { client, ms: u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX) }
        }
        _ => return None,
    })
}

/// The same of what should not be.
fn wrong(client: String, event: &Event) -> Option<What> {
    Some(match event {
        Event::Gap { room, after, resumes_at, reason } => What::Gap {
            client,
            room: room.clone(),
            after: (*after).into(),
            resumes_at: (*resumes_at).into(),
            reason: reason.as_str().to_owned(),
        },
        Event::Broken { room, id: it, expected, got } => What::Broken {
            client,
            room: room.clone(),
            id: (*it).into(),
            expected: (*expected).into(),
            got: (*got).into(),
        },
        Event::Repeated { room, id: it, after } => {
            What::Repeated { client, room: room.clone(), id: (*it).into(), after: (*after).into() }
        }
        _ => return None,
    })
}

fn names(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.member.clone()).collect()
}

fn why_name(why: Why) -> &'static str {
    match why {
        Why::Fresh => "fresh",
        Why::Resume => "resume",
        Why::Move => "move",
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Instant};

    use rollcall_checker::history::{Id, read};
    use rollcall_protocol::{EntryId, Extra};

    use super::*;

    #[test]
    fn a_message_is_written_with_its_time_of_receipt_and_each_name_once() {
        let file = std::env::temp_dir().join(format!("witness-{}.jsonl", std::process::id()));
        let recorder = Recorder::create(Path::new(&file)).expect("a file");
        let received = Instant::now();
        let message = |ms| Event::Message {
            message: Message {
                room: "den".to_owned(),
                id: EntryId::new(ms, 0),
                prev: EntryId::new(ms - 1, 0),
                member: "m1".to_owned(),
                name: "Ann".to_owned(),
                n: ms,
                text: "hello".to_owned(),
                at: ms,
                extra: Extra::default(),
            },
            received,
        };
        [1, 2].iter().for_each(|ms| record(&recorder, "bob", &message(*ms)));
        recorder.flush().expect("written");
        let records = read(&file).expect("a history");
        std::fs::remove_file(file).expect("removed");
        let [named, first, second] = &records[..] else { panic!("{records:?}") };
        assert!(matches!(&named.what, What::Named { name, .. } if name == "Ann"), "{named:?}");
        assert_eq!(first.at, second.at, "both were read at once, whenever they were written");
        let hash = hash("hello");
        assert!(matches!(&second.what, What::Message { id, hash: it, .. }
            if *id == Id { ms: 2, seq: 0 } && *it == hash));
        assert_eq!(hash, "2cf24dba5fb0a30e", "the first 64 bits of the SHA-256");
    }
}
