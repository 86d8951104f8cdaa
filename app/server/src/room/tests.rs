use std::{collections::BTreeMap, sync::Arc};

use rollcall_protocol::{EntryId, Member, PresenceEvent, ServerFrame};

use super::{Room, RoomLimits, ring::RingLimits};
use crate::{budget::Budget, presence::Snapshot, wire};

const LIMITS: RoomLimits = RoomLimits {
    ring: RingLimits { frames: 8, bytes: 4096 },
    batch_bytes: 4096,
    signals: 16,
    early: 16,
    listed: 8,
};

type Named = Room<&'static str>;

fn member(name: &str) -> Member {
    Member { member: name.to_owned(), name: name.to_owned() }
}

/// The room as a replica opens it: with a snapshot of who is there, and nobody who listens.
fn room(members: &[&str]) -> Named {
    let room = Room::new("hall".to_owned(), LIMITS, &Budget::new(usize::MAX));
    let members: BTreeMap<_, _> =
        members.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    assert!(room.settle(room.ask(), Snapshot { at: EntryId::new(1, 0), members, is_whole: true }));
    room
}

fn comes(room: &Named, at: u64, name: &str) {
    room.presence(EntryId::new(at, 0), PresenceEvent::Join, member(name));
}

/// Lets somebody listen; returns who is said to be there.
fn listens(room: &Named, connection: u64, name: &'static str) -> Vec<String> {
    let (_, members) = room.attach(connection, Arc::new(name), None);
    members.into_iter().map(|member| member.member).collect()
}

/// Each listener, and those of whom it is told that they come.
fn told(room: &Named) -> BTreeMap<&'static str, String> {
    let mut told: BTreeMap<&'static str, String> = BTreeMap::new();
    while let Some((batch, listeners)) = room.take_batch() {
        for listener in listeners {
            let told = told.entry(*listener).or_default();
            for name in ["ann", "bob", "cat", "dan"] {
                let (room, event) = ("hall".to_owned(), PresenceEvent::Join);
                let Member { member, name } = member(name);
                let frame = wire::text_frame(&ServerFrame::Presence {
                    room,
                    event,
                    member,
                    name: name.clone(),
                });
                if batch.signals.windows(frame.len()).any(|bytes| bytes == frame) {
                    told.push_str(&name);
                }
            }
        }
    }
    told
}

/// Chaos seed 163: the first who came to a room that a replica had just opened was told that everybody on its list came.
#[test]
fn nobody_on_a_listeners_list_is_told_to_it_as_coming() {
    let room = room(&["ann", "bob"]);
    assert_eq!(listens(&room, 1, "first"), ["ann", "bob"]);
    assert_eq!(told(&room).remove("first").unwrap_or_default(), "");
    comes(&room, 2, "cat");
    assert_eq!(listens(&room, 2, "second"), ["ann", "bob", "cat"]);
    comes(&room, 3, "dan");
    let told_now = told(&room);
    assert_eq!(told_now["first"], "catdan", "it was there before");
    assert_eq!(told_now["second"], "dan", "and what came after its list");
}

#[test]
fn a_listener_that_has_come_is_told_like_all_others() {
    let room = room(&["ann"]);
    listens(&room, 1, "first");
    told(&room);
    comes(&room, 2, "bob");
    listens(&room, 2, "second");
    told(&room);
    comes(&room, 3, "cat");
    let (batch, listeners) = room.take_batch().expect("a hand-over");
    assert!(batch.has_presence && listeners.len() == 2, "{listeners:?}");
    assert!(room.take_batch().is_none(), "nothing is owed");
}
