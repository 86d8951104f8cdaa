mod lists;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;
use rollcall_protocol::{EntryId, Member, PresenceEvent, ServerFrame};
use tokio::time::{Duration, Instant};

use super::{Ask, Change, Roster, RosterLimits, Settled, changed};
use crate::presence::Snapshot;

const LIMITS: RosterLimits = RosterLimits { listed: 4, waiting: 3, early: 3 };

/// A line of JSON for each frame.
fn encode(frame: &ServerFrame) -> Bytes {
    let mut line = serde_json::to_vec(frame).expect("JSON");
    line.push(b'\n');
    line.into()
}

fn decode(frames: &Bytes) -> Vec<ServerFrame> {
    let text = std::str::from_utf8(frames).expect("JSON");
    text.lines().map(|line| serde_json::from_str(line).expect("a frame")).collect()
}

fn roster(limits: RosterLimits) -> Roster {
    Roster::new("hall", limits, encode)
}

fn at(number: u64) -> EntryId {
    EntryId::new(number, 0)
}

fn member(number: usize) -> Member {
    Member { member: format!("m{number:04}"), name: format!("N{number}") }
}

fn snapshot(number: u64, members: impl IntoIterator<Item = usize>) -> Snapshot {
    let members = members.into_iter().map(member).map(|of| (of.member, of.name)).collect();
    Snapshot { at: at(number), members, is_whole: true }
}

fn join(roster: &mut Roster, id: u64, number: usize) -> Option<Change> {
    roster.event(at(id), PresenceEvent::Join, member(number))
}

fn settle(roster: &mut Roster, snapshot: Snapshot) -> Settled {
    let ask = roster.ask();
    roster.settle(ask, snapshot)
}

fn names(roster: &Roster) -> Vec<String> {
    roster.members.keys().cloned().collect()
}

#[test]
fn a_snapshot_that_events_have_overtaken_is_brought_up_to_date() {
    let mut roster = roster(LIMITS);
    let ask = roster.ask();
    join(&mut roster, 5, 1);
    roster.event(at(6), PresenceEvent::Leave, member(2));
    let Settled::Changed(changes) = roster.settle(ask, snapshot(4, [2, 3])) else { panic!() };
    assert_eq!(changes, [changed(PresenceEvent::Join, "m0003", "N3")]);
    assert_eq!(names(&roster), ["m0001", "m0003"]);
    // What is part of a snapshot counts once.
    assert_eq!(
        settle(&mut roster, snapshot(9, [3])),
        Settled::Changed(vec![changed(PresenceEvent::Leave, "m0001", "N1")])
    );
    assert_eq!(join(&mut roster, 8, 1), None);
}

#[test]
fn with_more_early_events_than_are_kept_it_asks_again() {
    let mut roster = roster(LIMITS);
    for id in 11..=14 {
        join(&mut roster, id, id as usize);
    }
    assert_eq!(settle(&mut roster, snapshot(10, [])), Settled::AskAgain);
    assert!(matches!(settle(&mut roster, snapshot(11, [11])), Settled::Changed(_)));
    assert_eq!(roster.members.len(), 4);
    // One that was read before that is too old, too.
    assert_eq!(settle(&mut roster, snapshot(10, [])), Settled::AskAgain);
}

#[test]
fn a_snapshot_from_before_a_loss_counts_no_more() {
    let mut roster = roster(LIMITS);
    let ask = roster.ask();
    join(&mut roster, 20, 1);
    roster.forget_order();
    assert_eq!(roster.settle(ask, snapshot(20, [1])), Settled::AskAgain);
    // IDs begin anew.
    assert!(join(&mut roster, 3, 2).is_some());
    let ask = roster.ask();
    assert!(matches!(roster.settle(ask, snapshot(2, [])), Settled::Changed(_)));
    assert_eq!(names(&roster), ["m0002"]);
}

/// S4: what the store has lost is not gone.
#[test]
fn a_snapshot_that_is_not_whole_only_adds() {
    let mut roster = roster(LIMITS);
    join(&mut roster, 1, 1);
    let part = Snapshot { is_whole: false, ..snapshot(2, [2]) };
    assert!(roster.loses(&part));
    assert!(matches!(settle(&mut roster, part), Settled::Changed(_)));
    assert_eq!(names(&roster), ["m0001", "m0002"]);
}

#[test]
fn changes_are_told_one_by_one_and_typing_in_between() {
    let mut roster = roster(LIMITS);
    join(&mut roster, 1, 1);
    roster.typing("m0001".to_owned(), "N1".to_owned());
    roster.event(at(2), PresenceEvent::Leave, member(1));
    let signals = roster.take_signals(Instant::now(), 1);
    assert!(signals.has_presence && signals.again_at.is_none());
    let kinds = decode(&signals.frames).into_iter().map(|frame| match frame {
        ServerFrame::Presence { event: PresenceEvent::Join, .. } => "join",
        ServerFrame::Presence { event: PresenceEvent::Leave, .. } => "leave",
        ServerFrame::Typing { .. } => "typing",
        other => panic!("{other:?}"),
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["join", "typing", "leave"]);
    assert!(!roster.has_signals(Instant::now()));
}

/// More changes between two hand-overs than may wait: those dropped were never told to live listeners.
#[test]
fn s9_what_is_dropped_is_told_by_a_fresh_list() {
    let mut roster = roster(LIMITS);
    for id in 1..=4 {
        join(&mut roster, id, id as usize);
    }
    let signals = roster.take_signals(Instant::now(), 1);
    let [ServerFrame::Members { present: 4, members, .. }] = &decode(&signals.frames)[..] else {
        panic!("{signals:?}")
    };
    assert_eq!(members.len(), 4);
    assert!(signals.has_presence);
}

#[test]
fn typing_alone_never_makes_a_list() {
    let mut roster = roster(LIMITS);
    for _ in 0..10 {
        roster.typing("m0001".to_owned(), "N1".to_owned());
    }
    let signals = roster.take_signals(Instant::now(), 1);
    assert_eq!(decode(&signals.frames).len(), LIMITS.waiting);
    assert!(!signals.has_presence);
}

#[test]
fn i_am_always_listed_and_counted_once() {
    let mut roster = roster(LIMITS);
    assert!(matches!(settle(&mut roster, snapshot(1, 0..10)), Settled::Changed(_)));
    for (me, count) in [(9, 10), (0, 10), (10, 11)] {
        let (present, members) = roster.listed(Some(&member(me)));
        assert_eq!((present, members.len()), (count, LIMITS.listed), "{me}");
        let mine = members.iter().filter(|listed| **listed == member(me));
        assert_eq!(mine.count(), 1, "{me}");
    }
}

/// What may happen between a store, its feed, a roster and a listener.
#[derive(Debug, Clone, Copy)]
enum Step {
    Join(usize),
    Leave(usize),
    /// The feed brings its next event.
    Hear,
    /// The feed loses its next event, and knows it.
    Lose,
    /// The feed begins anew, with lower IDs.
    Flush,
    /// A snapshot is read; it arrives later.
    Read,
    /// The oldest snapshot under way arrives.
    Arrive,
    /// The listener is handed what there is, some ms later.
    HandOver(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..9_usize).prop_map(Step::Join),
        3 => (0..9_usize).prop_map(Step::Leave),
        8 => Just(Step::Hear),
        1 => Just(Step::Lose),
        1 => Just(Step::Flush),
        3 => Just(Step::Read),
        3 => Just(Step::Arrive),
        2 => (0..600_u64).prop_map(Step::HandOver),
    ];
    prop::collection::vec(step, 0..200)
}

struct World {
    members: BTreeMap<String, String>,
    /// The feed's last ID.
    last: u64,
    feed: VecDeque<(EntryId, Change)>,
    roster: Roster,
    under_way: VecDeque<(Ask, Snapshot)>,
    /// As the listener has it.
    seen: BTreeMap<String, String>,
    seen_count: usize,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self {
            members: BTreeMap::new(),
            last: 1000,
            feed: VecDeque::new(),
            roster: roster(LIMITS),
            under_way: VecDeque::new(),
            seen: BTreeMap::new(),
            seen_count: 0,
            now: Instant::now(),
        }
    }

    fn change(&mut self, event: PresenceEvent, number: usize) {
        let member = member(number);
        let is_change = match event {
            PresenceEvent::Join => {
                self.members.insert(member.member.clone(), member.name.clone()).is_none()
            }
            PresenceEvent::Leave => self.members.remove(&member.member).is_some(),
        };
        if is_change {
            self.last += 1;
            self.feed.push_back((at(self.last), Change { event, member }));
        }
    }

    fn hear(&mut self) {
        if let Some((at, Change { event, member })) = self.feed.pop_front() {
            self.roster.event(at, event, member);
        }
    }

    /// As its readers do: they go on from the feed's end, and have the rooms compared.
    fn lose(&mut self) {
        self.feed.clear();
        self.roster.forget_order();
        self.read();
    }

    fn read(&mut self) {
        let snapshot =
            Snapshot { at: at(self.last), members: self.members.clone(), is_whole: true };
        self.under_way.push_back((self.roster.ask(), snapshot));
    }

    fn arrive(&mut self) {
        let Some((ask, snapshot)) = self.under_way.pop_front() else { return };
        if self.roster.settle(ask, snapshot) == Settled::AskAgain {
            self.read();
        }
    }

    fn hand_over(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        for frame in decode(&self.roster.take_signals(self.now, 1).frames) {
            match frame {
                ServerFrame::Presence { event: PresenceEvent::Join, member, name, .. } => {
                    self.seen.insert(member, name);
                    self.seen_count = self.seen.len();
                }
                ServerFrame::Presence { member, .. } => {
                    self.seen.remove(&member);
                    self.seen_count = self.seen.len();
                }
                ServerFrame::Members { present, members, .. } => {
                    self.seen = members.into_iter().map(|of| (of.member, of.name)).collect();
                    self.seen_count = present;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Join(number) => self.change(PresenceEvent::Join, number),
            Step::Leave(number) => self.change(PresenceEvent::Leave, number),
            Step::Hear => self.hear(),
            Step::Lose if self.feed.is_empty() => {}
            Step::Lose => self.lose(),
            Step::Flush => {
                self.last /= 2;
                self.lose();
            }
            Step::Read => self.read(),
            Step::Arrive => self.arrive(),
            Step::HandOver(ms) => self.hand_over(ms),
        }
    }

    fn come_to_rest(&mut self) {
        while !self.feed.is_empty() {
            self.hear();
        }
        while !self.under_way.is_empty() {
            self.arrive();
        }
        self.hand_over(1000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Any interleaving of events, snapshots and losses ends with the right list, here and at a listener that is live
    /// all the time.
    #[test]
    fn every_way_ends_with_the_right_list(steps in steps()) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.step(step));
        world.come_to_rest();
        prop_assert_eq!(&world.roster.members, &world.members);
        prop_assert_eq!(world.seen_count, world.members.len());
        if world.members.len() <= LIMITS.listed {
            prop_assert_eq!(&world.seen, &world.members);
        } else {
            prop_assert!(world.seen.iter().all(|(member, _)| world.members.contains_key(member)));
        }
    }
}
