//! When the whole list is told, and how often.

use std::cell::Cell;

use super::{
    super::{LIST_AT_LEAST_EVERY, LIST_BYTES_PER_SECOND, LIST_EVERY},
    *,
};

/// 3,000 clients did not get in: the lists that told of each were more than they could read.
#[test]
fn lists_that_are_more_than_many_listeners_can_read_are_told_less_often() {
    let mut roster = roster(LIMITS);
    assert!(matches!(settle(&mut roster, snapshot(1, 0..10)), Settled::Changed(_)));
    let began = Instant::now();
    let bytes = roster.list().len();
    let mut paused = |listeners: usize| {
        roster.list_due = None;
        roster.tell_list_anew();
        roster.take_signals(began, listeners);
        roster.tell_list_anew();
        let again = roster.take_signals(began, listeners).again_at.expect("a moment for the next");
        again - began
    };
    assert_eq!(paused(1), LIST_EVERY);
    let three_seconds = paused(3 * LIST_BYTES_PER_SECOND / bytes);
    assert!(three_seconds.abs_diff(3 * LIST_EVERY) < Duration::from_millis(5), "{three_seconds:?}");
    assert_eq!(paused(usize::MAX / 2 / bytes), LIST_AT_LEAST_EVERY, "and no more seldom than that");
}

#[test]
fn a_large_room_tells_a_list_at_most_once_a_second() {
    let mut roster = roster(LIMITS);
    assert!(matches!(settle(&mut roster, snapshot(1, 0..10)), Settled::Changed(_)));
    let began = Instant::now();
    let first = roster.take_signals(began, 1);
    let [ServerFrame::Members { present: 10, members, .. }] = &decode(&first.frames)[..] else {
        panic!("{first:?}")
    };
    assert_eq!(members.len(), LIMITS.listed);
    join(&mut roster, 2, 11);
    let soon = roster.take_signals(began + Duration::from_millis(10), 1);
    assert!(soon.frames.is_empty() && !roster.has_signals(began));
    assert_eq!(soon.again_at, Some(began + LIST_EVERY));
    let later = roster.take_signals(began + LIST_EVERY, 1);
    assert!(matches!(decode(&later.frames)[..], [ServerFrame::Members { present: 11, .. }]));
    assert_eq!(roster.take_signals(began + LIST_EVERY, 1).again_at, None);
}

#[test]
fn a_room_that_is_large_no_more_tells_everybody() {
    let mut roster = roster(LIMITS);
    assert!(matches!(settle(&mut roster, snapshot(1, 0..5)), Settled::Changed(_)));
    let began = Instant::now();
    roster.take_signals(began, 1);
    roster.event(at(2), PresenceEvent::Leave, member(0));
    let signals = roster.take_signals(began + LIST_EVERY, 1);
    let [ServerFrame::Members { present: 4, members, .. }] = &decode(&signals.frames)[..] else {
        panic!("{signals:?}")
    };
    assert_eq!(members.len(), 4);
}

thread_local! {
    static LISTS_ENCODED: Cell<usize> = const { Cell::new(0) };
}

fn encode_and_count(frame: &ServerFrame) -> Bytes {
    if matches!(frame, ServerFrame::Members { .. }) {
        LISTS_ENCODED.set(LISTS_ENCODED.get() + 1);
    }
    encode(frame)
}

#[test]
fn the_list_is_encoded_once_for_each_version() {
    let mut roster = Roster::new("hall", LIMITS, encode_and_count);
    for version in 1..=3 {
        join(&mut roster, version, version as usize);
        let lists: Vec<_> = (0..100).map(|_| roster.list()).collect();
        assert_eq!(LISTS_ENCODED.get() as u64, version, "once for a hundred listeners");
        let [ServerFrame::Members { present, .. }] = &decode(&lists[99])[..] else { panic!() };
        assert_eq!(*present as u64, version);
    }
    assert_eq!(join(&mut roster, 4, 1), None, "she is here");
    roster.list();
    assert_eq!(LISTS_ENCODED.get(), 3, "nothing has changed");
}
