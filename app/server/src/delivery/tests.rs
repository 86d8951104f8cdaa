mod beside;

use std::sync::{Arc, Barrier};

use rollcall_protocol::{EntryId, Extra, Member, Message, PresenceEvent};
use tokio::sync::Notify;

use super::{
    Listener, PageRead, Start, Visit, Visitor,
    place::{Effect, Heard, Next, Place},
};
use crate::{
    budget::Budget,
    log::Page,
    presence::Snapshot,
    room::{RingLimits, Room, RoomLimits},
};

const LIMITS: RoomLimits = RoomLimits {
    ring: RingLimits { frames: 4, bytes: 64 * 1024 },
    batch_bytes: 32 * 1024,
    signals: 3,
    early: 8,
    listed: 200,
};
const ROUNDS: u64 = 2_000;
const COMING: u64 = 8;

fn member(number: u64) -> Member {
    Member { member: format!("member-{number}"), name: "Ada".to_owned() }
}

/// Several members come, on other replicas, and all that listen by then are told.
fn come(room: &Room<Listener>) {
    for number in 1..=COMING {
        room.presence(EntryId::new(number, 0), PresenceEvent::Join, member(number));
        while let Some((batch, listeners)) = room.take_batch() {
            listeners.iter().for_each(|listener| listener.hear(&batch));
        }
    }
}

fn room() -> Room<Listener> {
    let room = Room::new("hall".to_owned(), LIMITS, &Budget::new(usize::MAX));
    let nobody = Snapshot { at: EntryId::ZERO, members: [].into(), is_whole: true };
    assert!(room.settle(room.ask(), nobody));
    room
}

fn listener(cursor: EntryId) -> Arc<Listener> {
    Arc::new(Listener::new(cursor, Arc::new(Notify::new())))
}

/// Anomaly `presence`: a member that came between the list in `joined` and the listener's first frame was
/// in neither, until it left again.
#[test]
fn presence_of_a_member_that_comes_while_another_enters() {
    for round in 0..ROUNDS {
        let room = room();
        room.attach(0, listener(EntryId::ZERO), None);
        let entering = listener(EntryId::ZERO);
        let start = Barrier::new(2);
        let listed = std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                come(&room);
            });
            start.wait();
            room.attach(1, entering.clone(), None).0
        });
        let told_later = entering.place().has_to_tell();
        let all = usize::try_from(COMING).expect("a few");
        assert!(listed == all || told_later, "round {round}: {listed} of {all}, and no more");
    }
}

fn at(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

fn message(prev: u64, id: u64) -> Message {
    let (room, member, name, text) = Default::default();
    Message {
        room,
        id: at(id),
        prev: at(prev),
        member,
        name,
        n: 1,
        text,
        at: id,
        extra: Extra::default(),
    }
}

/// What a place does until it wants nothing more: the IDs it writes, what it tells, the page it wants.
fn go_on(place: &mut Place, room: &Room<Listener>) -> (Vec<u64>, Vec<&'static str>, Option<u64>) {
    let (mut written, mut told) = (Vec::new(), Vec::new());
    loop {
        match place.next(|cursor| room.view(cursor, 1)) {
            Next::Do(Effect::Frames(frames)) => {
                written.extend(frames.iter().map(|frame| frame.id.ms))
            }
            Next::Do(Effect::Gap { .. }) => told.push("gap"),
            Next::Do(Effect::Live(_)) => told.push("live"),
            Next::Do(Effect::Members) => told.push("members"),
            Next::Do(Effect::State) => told.push("state"),
            Next::Read(cursor) => return (written, told, Some(cursor.ms)),
            Next::Nothing => return (written, told, None),
        }
    }
}

/// Somebody who was banned while they read a long past slowly was told what was said after that, for as long as they liked.
#[test]
fn a_listener_who_is_behind_is_told_the_state_before_anything_more() {
    let room = room();
    room.fill(vec![message(5, 6), message(6, 7)], at(7));
    let mut place = Place::new(at(5));
    place.missed_state();
    assert_eq!(go_on(&mut place, &room), (vec![6, 7], vec!["state", "live"], None));
    let mut place = Place::new(at(5));
    place.missed_state();
    assert!(matches!(place.next(|_| panic!("nothing is handed out")), Next::Do(Effect::State)));
    let mut place = Place::new(at(3));
    assert_eq!(go_on(&mut place, &room).2, Some(3), "it reads");
    place.missed_state();
    let page = Page { entries: vec![message(3, 4), message(4, 5)], last: at(7), unread: None };
    place.page(&PageRead::new(at(3), 0, page), || true, |effect| panic!("{effect:?}"));
    assert_eq!(go_on(&mut place, &room), (vec![], vec!["state"], Some(3)), "it reads anew");
}

#[test]
fn a_listener_goes_from_behind_over_reading_to_live() {
    let room = room();
    room.fill(vec![message(5, 6), message(6, 7)], at(7));
    let mut place = Place::new(at(3));
    assert_eq!(go_on(&mut place, &room), (vec![], vec![], Some(3)), "the ring does not reach");
    assert_eq!(go_on(&mut place, &room), (vec![], vec![], None), "one page at a time");
    let page = Page { entries: vec![message(3, 4), message(4, 5)], last: at(7), unread: None };
    let mut written = Vec::new();
    let out = |effect| match effect {
        Effect::Frames(frames) => written.extend(frames.iter().map(|frame| frame.id.ms)),
        other => panic!("{other:?}"),
    };
    place.page(&PageRead::new(at(3), 0, page), || true, out);
    assert_eq!(written, [4, 5]);
    assert_eq!(go_on(&mut place, &room), (vec![6, 7], vec!["live"], None));
    room.push(message(7, 8));
}

#[test]
fn what_does_not_fit_of_a_page_is_asked_for_again() {
    let room = room();
    let mut place = Place::new(at(1));
    assert_eq!(go_on(&mut place, &room).2, Some(1));
    let entries = vec![message(1, 2), message(2, 3), message(3, 4)];
    let mut space = 2_usize;
    let mut written = 0;
    let has_room = || {
        let has_room = space > 0;
        space = space.saturating_sub(1);
        has_room
    };
    place.page(
        &PageRead::new(at(1), 0, Page { entries, last: at(4), unread: None }),
        has_room,
        |_| written += 1,
    );
    assert_eq!((written, place.cursor()), (2, at(3)));
    assert_eq!(
        go_on(&mut place, &room).2,
        Some(3),
        "its end was not reached, so it proves nothing"
    );
}

#[test]
fn a_rewind_sends_every_listener_back_to_the_log() {
    let room = room();
    let live = listener(EntryId::ZERO);
    room.fill(vec![message(0, 1)], at(1));
    assert_eq!(go_on(&mut live.place(), &room).1, ["live"]);
    room.attach(1, live.clone(), None);
    room.rewind(EntryId::ZERO);
    let (batch, listeners) = room.take_batch().expect("a hand-over without frames");
    assert!(batch.frames.is_empty());
    listeners.iter().for_each(|listener| listener.hear(&batch));
    assert!(!live.place().is_live());
    assert_eq!(go_on(&mut live.place(), &room).2, Some(1));
}

/// Anomaly `unseen`: a page that was asked for before a room compared itself with its log was handed over after that, and
/// what came between was in neither page nor ring.
#[test]
fn a_page_from_before_a_rewind_does_not_prove_where_the_log_ends() {
    let room = room();
    let mut place = Place::new(at(1));
    assert_eq!(go_on(&mut place, &room).2, Some(1));
    let before = PageRead::new(
        at(1),
        room.stand().epoch,
        Page { entries: vec![], last: at(1), unread: None },
    );
    room.rewind(at(1));
    place.page(&before, || true, |_| {});
    assert_eq!(go_on(&mut place, &room).2, Some(1));
    let now = PageRead::new(
        at(1),
        room.stand().epoch,
        Page { entries: vec![], last: at(1), unread: None },
    );
    place.page(&now, || true, |_| {});
    assert_eq!(go_on(&mut place, &room).1, ["live"]);
}

/// Fault S12: after a real loss every listener of a room rewound it.
#[test]
fn s12_a_loss_rewinds_a_room_once() {
    let room = room();
    room.fill(vec![message(7, 8), message(8, 9)], at(9));
    let stand = room.stand();
    room.compare(stand, at(3), Some(at(9)));
    room.compare(stand, at(3), Some(at(8)));
    assert_eq!(room.stand().epoch, stand.epoch + 1);
    room.push(message(3, 10));
    room.compare(room.stand(), at(10), Some(at(9)));
    assert_eq!(
        room.stand().epoch,
        stand.epoch + 1,
        "what is in the ring now is of the log's own history"
    );
}

/// Fault S9: of more presence frames than may wait, live listeners never got those that were dropped.
#[test]
fn s9_listeners_get_the_whole_list_where_presence_was_dropped() {
    let room = room();
    let live = listener(EntryId::ZERO);
    live.place().page(
        &PageRead::new(
            EntryId::ZERO,
            0,
            Page { entries: vec![], last: EntryId::ZERO, unread: None },
        ),
        || true,
        |_| {},
    );
    room.attach(0, live.clone(), None);
    for number in 1..=4 {
        room.presence(at(number), PresenceEvent::Join, member(number));
    }
    let (batch, _) = room.take_batch().expect("a hand-over");
    let signals = String::from_utf8_lossy(&batch.signals);
    assert!(signals.contains("\"members\"") && batch.has_presence, "{signals}");
}

/// Rosters are encoded once for all, also for listeners that need the list anew since they could not take a change of it.
#[test]
fn listeners_that_missed_presence_are_told_the_same_bytes() {
    let room = Arc::new(room());
    room.fill(vec![message(0, 1)], at(1));
    let visit = |connection| {
        // A way out that takes nothing.
        let sink = Arc::new(Notify::new());
        let nobody = Visitor::default();
        let begun = Visit::begin(room.clone(), Start::Resumed(at(1)), connection, nobody, sink);
        begun.expect("a room that is open to all").0
    };
    let visits: Vec<_> = (0..50).map(visit).collect();
    let told = |visit: &Visit| {
        let mut told = Vec::new();
        visit.advance(
            || true,
            |effect| match effect {
                Effect::Live(_) => {}
                Effect::Members => told.push(visit.members()),
                other => panic!("{other:?}"),
            },
        );
        told
    };
    assert!(visits.iter().all(|visit| told(visit).is_empty()), "they are live");
    come(&room);
    let lists: Vec<_> = visits.iter().map(told).collect();
    assert_eq!(lists[0].len(), 1, "a list for all that came");
    // All are alive: what is at one place is the same bytes.
    let first = lists[0][0].as_ptr();
    assert!(lists.iter().flatten().all(|list| list.as_ptr() == first), "encoded more than once");
    assert_eq!(lists.iter().flatten().count(), 50);
}

#[test]
fn a_listener_that_went_live_in_the_middle_of_a_batch_hears_the_rest() {
    let room = room();
    room.attach(0, listener(EntryId::ZERO), None);
    room.push(message(0, 1));
    room.push(message(1, 2));
    let mut place = Place::new(at(1));
    room.push(message(2, 3));
    let (batch, _) = room.take_batch().expect("three messages");
    assert!(matches!(place.hear(&batch), Heard::Nothing), "it is not live");
    assert_eq!(go_on(&mut place, &room), (vec![2, 3], vec!["live"], None));
    assert!(matches!(place.hear(&batch), Heard::Nothing), "it has all of it");
    room.push(message(3, 4));
    let (next, _) = room.take_batch().expect("a message");
    assert!(matches!(place.hear(&next), Heard::All));
}
