//! What the figures come to, and what a page is told that opens late.

use super::*;
use crate::event::{Act, Drain, Slot, State, VERSION, Verdict};

fn step(is: Is, replica: &str, number: u64) -> Step {
    let (slot, member, name) = ("blue".to_owned(), String::new(), String::new());
    Step { is, replica: replica.to_owned(), slot, number, member, name, in_ms: None, ago_ms: 0 }
}

fn opened(replica: &str, number: u64, member: &str) -> Step {
    Step {
        member: member.to_owned(),
        name: member.to_uppercase(),
        ..step(Is::Opened, replica, number)
    }
}

fn goaway(replica: &str, number: u64, in_ms: u64) -> Step {
    Step { in_ms: Some(in_ms), ..step(Is::Goaway, replica, number) }
}

fn replica(name: &str, release: &str, state: State) -> Replica {
    let slot = Slot { slot: "blue".to_owned(), release: Some(release.to_owned()), state };
    Replica { name: name.to_owned(), slots: vec![slot] }
}

fn phase(phase: &str, replica: &str, is: End) -> What {
    let (phase, replica) = (phase.to_owned(), replica.to_owned());
    let (seconds, outcome, words, what) = Default::default();
    What::Phase(Phase { replica, phase, is, seconds, moved: 0, forced: 0, outcome, words, what })
}

/// A picture that is told what happens.
struct Tale(Picture);

impl Tale {
    /// Two replicas; teal is on r1.
    fn begin() -> Self {
        let mut tale = Self(Picture::default());
        let stage = Stage { v: VERSION, room: "lobby".to_owned(), join: None };
        tale.tell(0, What::Stage(stage));
        let replicas = vec![replica("r1", "1.0.0", State::Up), replica("r2", "1.1.0", State::Up)];
        tale.tell(0, What::Replicas { replicas });
        tale.steps(100, vec![opened("r1", 1, "teal"), step(Is::Live, "r1", 1)]);
        tale
    }

    fn tell(&mut self, at: u64, what: What) {
        self.0.apply(&Event { at, what });
    }

    fn steps(&mut self, at: u64, list: Vec<Step>) {
        self.tell(at, What::Connections { list });
    }

    fn message(&mut self, at: u64, witness: usize, id: &str, prev: &str) {
        let said = |it: &str| it.to_owned();
        let message = Message {
            room: said("lobby"),
            id: said(id),
            prev: said(prev),
            member: said("teal"),
            witness,
            took_ms: Some(at % 100),
            ..Message::default()
        };
        self.tell(at, What::Message(message));
    }

    /// Moved, cut and the longest silence.
    fn moves(&mut self, at: u64) -> (u64, u64, u64) {
        let Figures { moved, cut, silence_ms, .. } = self.0.figures(at);
        (moved, cut, silence_ms)
    }
}

#[test]
fn a_move_is_counted_once_and_is_no_silence() {
    let mut tale = Tale::begin();
    tale.steps(1_000, vec![goaway("r1", 1, 500)]);
    tale.steps(1_500, vec![opened("r2", 7, "teal"), step(Is::Live, "r2", 7)]);
    assert_eq!(tale.moves(1_500), (0, 0, 0));
    tale.steps(1_600, vec![step(Is::Closed, "r1", 1)]);
    assert_eq!(tale.moves(60_000), (1, 0, 0));
    assert_eq!(tale.0.figures(60_000).here, 1);
}

#[test]
fn a_drain_counts_those_who_were_told_to_go_and_those_of_them_who_went() {
    let mut tale = Tale::begin();
    let drain = |tale: &mut Tale, at| tale.0.figures(at).drains.get("r1").copied();
    for (number, member) in [(2, "amber"), (3, "plum"), (4, "moss")] {
        tale.steps(200, vec![opened("r1", number, member), step(Is::Live, "r1", number)]);
    }
    tale.steps(1_000, (1..=4).map(|number| goaway("r1", number, 500)).collect());
    // One that is told again, since another drain found it here, is not two.
    tale.steps(1_100, vec![goaway("r1", 1, 400)]);
    tale.steps(1_500, vec![opened("r2", 7, "teal"), step(Is::Live, "r2", 7)]);
    assert_eq!(drain(&mut tale, 1_500), Some(Drain { told: 4, moved: 0 }));
    tale.steps(1_600, vec![step(Is::Closed, "r1", 1), step(Is::Closed, "r1", 2)]);
    tale.steps(1_700, vec![opened("r2", 8, "amber"), step(Is::Live, "r2", 8)]);
    tale.steps(3_000, vec![step(Is::Forced, "r1", 3), step(Is::Closed, "r1", 3)]);
    tale.steps(3_100, vec![opened("r2", 9, "plum"), step(Is::Live, "r2", 9)]);
    tale.steps(3_200, vec![step(Is::Lost, "r1", 4)]);
    assert_eq!(drain(&mut tale, 4_000), Some(Drain { told: 4, moved: 2 }), "two had to be cut");
    tale.tell(5_000, phase("start", "r1", End::Begin));
    assert_eq!(drain(&mut tale, 5_000), None, "another turn");
}

#[test]
fn witnesses_are_no_people_however_often_they_come_anew() {
    let mut tale = Tale::begin();
    for number in 0..20 {
        let member = format!("w{number}");
        tale.tell(1_000 + number, What::Witness { member: member.clone() });
        tale.steps(1_000 + number, vec![opened("r2", 10 + number, &member)]);
        assert_eq!(tale.0.figures(2_000).here, 1, "Teal");
        tale.steps(1_000 + number, vec![step(Is::Closed, "r2", 10 + number)]);
    }
}

/// The two replicas tell in two streams: which of them is heard first says nothing.
#[test]
fn a_move_whose_ends_are_told_the_wrong_way_round_is_the_same() {
    let mut tale = Tale::begin();
    tale.steps(1_000, vec![goaway("r1", 1, 500)]);
    tale.steps(1_600, vec![Step { ago_ms: 40, ..step(Is::Closed, "r1", 1) }]);
    let live = Step { ago_ms: 45, ..step(Is::Live, "r2", 7) };
    tale.steps(1_610, vec![Step { ago_ms: 60, ..opened("r2", 7, "teal") }, live]);
    assert_eq!(tale.moves(60_000), (1, 0, 0));
}

#[test]
fn somebody_whose_replica_is_killed_is_silent_until_they_are_live_elsewhere() {
    let mut tale = Tale::begin();
    tale.steps(1_000, vec![step(Is::Lost, "r1", 1)]);
    assert_eq!(tale.moves(1_400), (0, 1, 0), "who does not come back has left");
    tale.steps(1_800, vec![opened("r2", 7, "teal")]);
    tale.steps(1_850, vec![step(Is::Live, "r2", 7)]);
    assert_eq!(tale.moves(60_000), (0, 1, 850));
}

#[test]
fn a_connection_that_a_drain_ends_by_force_is_cut_once() {
    let mut tale = Tale::begin();
    tale.steps(1_000, vec![goaway("r1", 1, 0)]);
    tale.steps(3_000, vec![step(Is::Forced, "r1", 1), step(Is::Closed, "r1", 1)]);
    tale.steps(3_300, vec![opened("r2", 7, "teal"), step(Is::Live, "r2", 7)]);
    assert_eq!(tale.moves(60_000), (0, 1, 300));
}

#[test]
fn whoever_leaves_or_never_comes_back_is_no_silence() {
    let mut tale = Tale::begin();
    tale.steps(1_000, vec![step(Is::Closed, "r1", 1)]);
    tale.steps(9_000, vec![opened("r2", 7, "teal"), step(Is::Live, "r2", 7)]);
    assert_eq!(tale.moves(9_000), (0, 0, 0), "they left by themselves, and came again");
    tale.steps(10_000, vec![step(Is::Lost, "r2", 7)]);
    assert_eq!(tale.moves(40_000), (0, 1, 0), "given up");
}

#[test]
fn whoever_goes_before_their_moment_is_away_of_their_own_will() {
    let mut tale = Tale::begin();
    tale.steps(1_000, vec![goaway("r1", 1, 5_000)]);
    tale.steps(1_200, vec![step(Is::Closed, "r1", 1)]);
    tale.steps(25_000, vec![opened("r2", 7, "teal"), step(Is::Live, "r2", 7)]);
    assert_eq!(tale.moves(26_000), (1, 0, 0));
    tale.steps(30_000, vec![goaway("r2", 7, 1_000)]);
    tale.steps(31_000, vec![step(Is::Closed, "r2", 7)]);
    tale.steps(33_000, vec![opened("r1", 8, "teal"), step(Is::Live, "r1", 8)]);
    assert_eq!(tale.moves(34_000), (2, 0, 2_000), "at their moment they are");
}

#[test]
fn a_message_that_does_not_follow_is_lost_and_one_that_comes_again_doubled() {
    let mut tale = Tale::begin();
    for witness in [0, 1] {
        tale.message(1_005, witness, "1-1", "0-9");
        tale.message(1_010, witness, "2-1", "1-1");
    }
    let Figures { messages, lost, doubled, p99_ms, .. } = tale.0.figures(1_100);
    assert_eq!((messages, lost, doubled, p99_ms), (2, 0, 0, Some(10)));
    tale.message(1_020, 0, "2-1", "1-1");
    tale.message(1_030, 1, "4-1", "3-1");
    let Figures { messages, lost, doubled, .. } = tale.0.figures(1_100);
    assert_eq!((messages, lost, doubled), (3, 1, 1));
    assert_eq!(tale.0.figures(90_000).p99_ms, None, "none lately");
}

#[test]
fn a_message_that_a_witness_refuses_is_one_before_it_that_is_lost() {
    let mut tale = Tale::begin();
    tale.message(1_005, 0, "1-1", "0-9");
    let (room, id, prev) = ("lobby".to_owned(), "3-1".to_owned(), "2-1".to_owned());
    let refused = Message { room, id, prev, broken: true, ..Message::default() };
    tale.tell(1_010, What::Message(refused));
    // It asks again, and is given both.
    tale.message(1_020, 0, "2-1", "1-1");
    tale.message(1_020, 0, "3-1", "2-1");
    let Figures { messages, lost, doubled, .. } = tale.0.figures(1_100);
    assert_eq!((messages, lost, doubled), (3, 1, 0));
}

#[test]
fn a_verdict_is_told_to_whoever_comes_late_until_another_act_begins() {
    let mut tale = Tale::begin();
    let act = |is| What::Act(Act { act: "roll-call".to_owned(), is, words: String::new() });
    let verdicts = |tale: &mut Tale| {
        let told = tale.0.retell(9_000);
        told.iter().filter(|event| matches!(event.what, What::Verdict(_))).count()
    };
    tale.tell(1_000, act(End::Begin));
    tale.tell(2_000, What::Verdict(Verdict::default()));
    tale.tell(2_100, act(End::End));
    assert_eq!(verdicts(&mut tale), 1);
    tale.tell(3_000, act(End::Begin));
    assert_eq!(verdicts(&mut tale), 0);
}

#[test]
fn the_release_that_took_a_message_is_that_of_the_connection_that_was_live_last() {
    let mut tale = Tale::begin();
    assert_eq!(tale.0.release_of("teal").as_deref(), Some("1.0.0"));
    tale.steps(1_500, vec![opened("r2", 7, "teal")]);
    assert_eq!(tale.0.release_of("teal").as_deref(), Some("1.0.0"), "not live yet");
    tale.steps(1_600, vec![step(Is::Live, "r2", 7)]);
    assert_eq!(tale.0.release_of("teal").as_deref(), Some("1.1.0"));
    assert_eq!(tale.0.release_of("nobody"), None);
}

#[test]
fn a_picture_that_is_told_again_is_the_same_picture() {
    let mut tale = Tale::begin();
    tale.steps(1_000, vec![goaway("r1", 1, 5_000), opened("r2", 1, "plum")]);
    tale.message(1_200, 0, "1-1", "0-9");
    tale.tell(900, phase("deploy", "", End::Begin));
    tale.tell(1_300, phase("drain", "r1", End::Begin));
    let told = tale.0.retell(2_000);
    assert!(told.is_sorted_by_key(|event| event.at), "in the order of time");
    let mut again = Tale(Picture::default());
    told.iter().for_each(|event| again.0.apply(event));
    let counts = |told: &[Event]| -> Vec<String> {
        let is_counted = |event: &&Event| !matches!(event.what, What::Figures(_));
        told.iter().filter(is_counted).map(|it| format!("{it:?}")).collect()
    };
    assert_eq!(counts(&again.0.retell(2_000)), counts(&told));
    again.steps(6_000, vec![opened("r2", 7, "teal"), step(Is::Live, "r2", 7)]);
    again.steps(6_000, vec![step(Is::Closed, "r1", 1)]);
    assert_eq!(again.moves(6_000), (1, 0, 0));
}

#[test]
fn a_tap_is_held_against_the_move_of_who_taps() {
    let mut tale = Tale::begin();
    tale.steps(900, vec![opened("r2", 3, "amber"), step(Is::Live, "r2", 3)]);
    tale.steps(1_000, vec![goaway("r1", 1, 500)]);
    tale.steps(1_500, vec![opened("r2", 7, "teal"), step(Is::Live, "r2", 7)]);
    tale.steps(1_600, vec![step(Is::Closed, "r1", 1)]);
    tale.tell(1_700, What::Asked { topic: "ask 1 r1 r2".to_owned() });
    let mut say = |at: u64, id: &str, member: &str, text: &str| {
        let told = |it: &str| it.to_owned();
        let (room, id, member, text) = (told(hall::ROOM), told(id), told(member), told(text));
        let message = Message { room, id, member, text, ..Message::default() };
        tale.tell(at, What::Message(message));
    };
    say(2_000, "1-0", "teal", "noticed");
    say(2_000, "2-0", "amber", "noticed");
    say(2_100, "3-0", "amber", "vote 1 r2");
    say(2_100, "4-0", "teal", "vote 1 r7");
    for number in 10..20 {
        say(2_200, &format!("{number}-0"), &format!("nobody {number}"), "vote 1 r3");
    }
    // Somebody who comes back has something to say at once, and that they are here is told a little later.
    say(2_300, "30-0", "plum", "vote 1 r2");
    tale.steps(2_400, vec![opened("r2", 8, "plum")]);
    let audience = tale.0.figures(9_000).audience;
    assert_eq!((audience.noticed, audience.false_alarms), (1, 1));
    assert_eq!((audience.voted(), audience.votes["r2"]), (Some("r2"), 2));
    let retold = tale.0.retell(9_000);
    assert!(!retold.iter().any(|event| matches!(event.what, What::Message(_))), "it is no talk");
}
