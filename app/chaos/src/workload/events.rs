//! What the client library told, as it stands in a history.

use rollcall_client::{Event, Final};
use rollcall_protocol::{EntryId, JoinStatus, Member, PresenceEvent, Why};

use super::hash;
use crate::history::{Entered, Id, What};

pub fn id(id: EntryId) -> Id {
    // Both are `ms-seq` in text, so this cannot fail; the histories' type knows no other way in.
    id.to_string().parse().unwrap_or_default()
}

pub fn entry_id(id: Id) -> Option<EntryId> {
    id.to_string().parse().ok()
}

/// What a history says of an event; none for what it leaves out, or what the participant itself
/// has to say.
pub fn what(client: &str, event: &Event) -> Option<What> {
    let client = client.to_owned();
    Some(match event {
        Event::Connected { member, replica, release, why } => What::Connected {
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
            cursor: id(*cursor),
            present: names(members),
        },
        Event::Live { room } => What::Live { client, room: room.clone() },
        Event::Message { message, .. } => What::Message {
            client,
            room: message.room.clone(),
            id: id(message.id),
            prev: id(message.prev),
            member: message.member.clone(),
            n: message.n,
            hash: hash(&message.text),
        },
        Event::Gap { room, after, resumes_at, reason } => What::Gap {
            client,
            room: room.clone(),
            after: id(*after),
            resumes_at: id(*resumes_at),
            reason: reason.as_str().to_owned(),
        },
        Event::Broken { room, id: it, expected, got } => What::Broken {
            client,
            room: room.clone(),
            id: id(*it),
            expected: id(*expected),
            got: id(*got),
        },
        Event::Repeated { room, id: it, after } => {
            What::Repeated { client, room: room.clone(), id: id(*it), after: id(*after) }
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

/// Whether a client ended because the service turned it away.
pub fn was_expelled(ended: &Result<(), Final>) -> bool {
    ended.is_err()
}
