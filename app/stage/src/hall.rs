//! What the audience says by its phones, in a room of its own: votes, taps of who thinks that a deploy has hit them, and
//! answers to the roll call. They are ordinary messages, and the page says them for who taps: `app/server/web/hall/said.js`.
//! What they are asked is the room's topic, which only moderators set.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    str::FromStr,
};

use rollcall_protocol::EntryId;

use crate::event::{Audience, Message};

/// Where they say it.
pub const ROOM: &str = "hall";
/// So near to their own move a tap is right. Before it, too: the next connection is opened before the last one closes.
const NEAR_MS: u64 = 1_000;
/// A tap is no false alarm before: a move is told a little later than it happens. All taps until then are one.
const JUDGED_MS: u64 = 2_000;

/// That somebody has come, or what was asked, may be told so much later than what they say: another replica serves them.
const TOLD_LATER_MS: u64 = 1_000;

/// What somebody says there, and to which question.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Noticed,
    Vote(u32, &'a str),
    Here(u32),
}

/// The questions of one kind, and what people say to the last of them.
#[derive(Debug, Default)]
struct Poll {
    round: Option<u32>,
    /// Nothing was asked since.
    is_open: bool,
    /// One of each, the last.
    said: HashMap<String, String>,
    /// To a question that was not told yet: when, and its number.
    early: HashMap<String, (u64, u32, String)>,
}

impl Poll {
    fn asked(&mut self, at: u64, round: u32) {
        (self.round, self.is_open) = (Some(round), true);
        let is_to_it = |heard: u64, to: u32| to == round && heard + TOLD_LATER_MS >= at;
        let early = std::mem::take(&mut self.early).into_iter();
        let to_it = early.filter(|(_, (heard, to, _))| is_to_it(*heard, *to));
        self.said = to_it.map(|(member, (.., words))| (member, words)).collect();
    }

    fn said(&mut self, at: u64, member: &str, round: u32, words: &str) {
        let (member, words) = (member.to_owned(), words.to_owned());
        if self.round != Some(round) {
            self.early.insert(member, (at, round, words));
        } else if self.is_open {
            self.said.insert(member, words);
        }
    }
}

/// When somebody was moved last.
#[derive(Debug)]
struct Moved {
    at: u64,
    /// They have tapped for it. Whoever taps ten times has noticed one move.
    is_noticed: bool,
}

/// The audience. It knows no clock.
#[derive(Debug, Default)]
pub struct Hall {
    /// What was asked last, and its number.
    asked: Option<(Question, u32)>,
    /// The newest entry of each: each of the witnesses tells of it.
    heard: HashMap<String, EntryId>,
    votes: Poll,
    answers: Poll,
    moved: HashMap<String, Moved>,
    /// Taps that are not judged yet: when each tapped first, and last.
    taps: HashMap<String, (u64, u64)>,
    /// What was said a moment ago by those who are not here, as far as was told.
    early: VecDeque<(u64, Message)>,
    noticed: u64,
    false_alarms: u64,
}

impl Hall {
    /// A witness got a message.
    pub fn heard(&mut self, at: u64, message: &Message) {
        let Message { room, id, member, text, kind, took_ms, .. } = message;
        let (ROOM, None, Ok(id)) = (&**room, kind, EntryId::from_str(id)) else { return };
        let last = self.heard.entry(member.clone()).or_default();
        if id <= *last {
            return;
        }
        *last = id;
        match read(text) {
            Some(Said::Noticed) => self.tapped(at.saturating_sub(took_ms.unwrap_or(0)), member),
            Some(Said::Vote(round, replica)) => self.votes.said(at, member, round, replica),
            Some(Said::Here(round)) => self.answers.said(at, member, round, ""),
            None => {}
        }
    }

    /// A witness got a message of somebody who is not here. A phone that is served again says what it had to at once.
    pub fn heard_early(&mut self, at: u64, message: &Message) {
        if message.room != ROOM {
            return;
        }
        while self.early.front().is_some_and(|(heard, _)| heard + TOLD_LATER_MS < at) {
            self.early.pop_front();
        }
        self.early.push_back((at, message.clone()));
    }

    /// Somebody is here now.
    pub fn came(&mut self, at: u64, member: &str) {
        let is_theirs = |(_, it): &(u64, Message)| it.member == member;
        let (theirs, others): (Vec<_>, _) =
            std::mem::take(&mut self.early).into_iter().partition(is_theirs);
        self.early = others.into();
        for (heard, message) in theirs.iter().filter(|it| it.0 + TOLD_LATER_MS >= at) {
            self.heard(*heard, message);
        }
    }

    /// A witness was told the topic. Another number is another question, also a lower one.
    pub fn asked(&mut self, at: u64, topic: &str) {
        let Some((is, round)) = question(topic) else { return };
        if self.asked.is_some_and(|(_, last)| last == round) {
            return;
        }
        self.asked = Some((is, round));
        let (asked, other) = match is {
            Question::Vote => (&mut self.votes, &mut self.answers),
            Question::RollCall => (&mut self.answers, &mut self.votes),
        };
        asked.asked(at, round);
        // What is said to that from now on was said by a phone that nobody served until now.
        other.is_open = false;
    }

    /// Somebody was moved.
    pub fn moved(&mut self, at: u64, member: &str) {
        let is_noticed =
            self.taps.get(member).is_some_and(|(_, last)| last.abs_diff(at) <= NEAR_MS);
        if is_noticed {
            self.taps.remove(member);
            self.noticed += 1;
        }
        self.moved.insert(member.to_owned(), Moved { at, is_noticed });
    }

    fn tapped(&mut self, at: u64, member: &str) {
        match self.moved.get_mut(member) {
            Some(moved) if moved.at.abs_diff(at) <= NEAR_MS => {
                self.noticed += u64::from(!moved.is_noticed);
                moved.is_noticed = true;
            }
            _ => {
                self.taps.entry(member.to_owned()).or_insert((at, at)).1 = at;
            }
        }
    }

    /// What it comes to, where these replicas can be voted for.
    pub fn count<'a>(&mut self, at: u64, replicas: impl Iterator<Item = &'a str>) -> Audience {
        let waiting = self.taps.len();
        self.taps.retain(|_, (first, _)| *first + JUDGED_MS >= at);
        self.false_alarms += (waiting - self.taps.len()) as u64;
        let mut votes: BTreeMap<String, u64> = replicas.map(|name| (name.to_owned(), 0)).collect();
        for replica in self.votes.said.values() {
            if let Some(count) = votes.get_mut(replica) {
                *count += 1;
            }
        }
        votes.retain(|_, count| *count > 0);
        let (noticed, false_alarms) = (self.noticed, self.false_alarms);
        Audience { votes, noticed, false_alarms, answered: self.answers.said.len() as u64 }
    }
}

fn read(text: &str) -> Option<Said<'_>> {
    match text.split_once(' ') {
        None if text == "noticed" => Some(Said::Noticed),
        Some(("vote", rest)) => {
            let (round, replica) = rest.split_once(' ')?;
            Some(Said::Vote(round.parse().ok()?, replica))
        }
        Some(("here", rest)) => Some(Said::Here(rest.split(' ').next()?.parse().ok()?)),
        _ => None,
    }
}

/// What a hall can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// `ask ROUND NAME…`: which of these is to die next?
    Vote,
    /// `roll call ROUND`
    RollCall,
}

/// What the topic asks, and its number: the same again has another one.
fn question(topic: &str) -> Option<(Question, u32)> {
    let (is, rest) = match topic.strip_prefix("ask ") {
        Some(rest) => (Question::Vote, rest),
        None => (Question::RollCall, topic.strip_prefix("roll call ")?),
    };
    Some((is, rest.split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hall that is told what its people say; every message comes from both witnesses.
    #[derive(Default)]
    struct Tale(Hall, u64);

    impl Tale {
        fn say(&mut self, at: u64, member: &str, text: &str) {
            self.1 += 1;
            let message = Message {
                room: ROOM.to_owned(),
                id: format!("{}-0", self.1),
                member: member.to_owned(),
                text: text.to_owned(),
                ..Message::default()
            };
            for witness in [0, 1] {
                self.0.heard(at, &Message { witness, ..message.clone() });
            }
        }

        fn count(&mut self, at: u64) -> (u64, u64, Vec<(String, u64)>, u64) {
            let told = self.0.count(at, ["r1", "r2", "r3"].into_iter());
            (told.noticed, told.false_alarms, told.votes.into_iter().collect(), told.answered)
        }
    }

    #[test]
    fn a_tap_is_right_within_a_second_of_ones_own_move_and_else_a_false_alarm() {
        let mut tale = Tale::default();
        tale.0.moved(10_000, "teal");
        tale.0.moved(10_000, "amber");
        tale.say(11_000, "teal", "noticed");
        tale.say(11_001, "amber", "noticed");
        // She taps before it is told that she was moved.
        tale.say(12_000, "plum", "noticed");
        assert_eq!(tale.count(12_100).0, 1);
        tale.0.moved(11_900, "plum");
        // It was somebody else who was moved.
        tale.say(12_000, "moss", "noticed");
        assert_eq!(tale.count(13_001), (2, 0, vec![], 0));
        assert_eq!(tale.count(13_002), (2, 1, vec![], 0));
        assert_eq!(tale.count(14_001), (2, 2, vec![], 0));
    }

    #[test]
    fn many_taps_are_one_for_each_move_and_one_false_alarm_in_two_seconds() {
        let mut tale = Tale::default();
        for at in (9_100..10_900).step_by(60) {
            if at == 10_000 {
                tale.0.moved(at, "teal");
            }
            tale.say(at, "teal", "noticed");
        }
        assert_eq!(tale.count(20_000), (1, 0, vec![], 0));
        for at in (20_000..26_000).step_by(100) {
            tale.say(at, "teal", "noticed");
            tale.count(at);
        }
        assert_eq!(tale.count(30_000), (1, 3, vec![], 0));
        // After taps for nothing the next move can still be noticed.
        tale.say(40_000, "teal", "noticed");
        tale.say(41_500, "teal", "noticed");
        tale.0.moved(41_800, "teal");
        assert_eq!(tale.count(50_000), (2, 3, vec![], 0));
    }

    #[test]
    fn each_has_one_vote_the_last_one_for_a_replica_that_there_is() {
        let mut tale = Tale::default();
        tale.0.asked(0, "ask 1 r1 r2 r3");
        tale.say(1, "teal", "vote 1 r1");
        tale.say(2, "amber", "vote 1 r2");
        tale.say(3, "teal", "vote 1 r2");
        tale.say(4, "plum", "vote 1 r3");
        tale.say(5, "moss", "vote 1 r9");
        tale.say(6, "moss", "I would vote 1 r1");
        tale.say(7, "moss", "vote r1");
        let votes = |told: &[(&str, u64)]| told.iter().map(|(it, n)| ((*it).into(), *n)).collect();
        assert_eq!(tale.count(10), (0, 0, votes(&[("r2", 2), ("r3", 1)]), 0));
    }

    #[test]
    fn another_question_ends_the_votes_and_the_same_one_told_again_does_not() {
        let mut tale = Tale::default();
        for (topic, left, vote) in [
            ("", 0, "vote 0 r1"),
            ("Welcome", 0, "vote 1 r1"),
            ("ask 1 r1 r2", 0, "vote 1 r1"),
            ("ask 1 r1 r2", 1, "vote 1 r2"),
            ("roll call 2", 1, "vote 2 r1"),
            ("ask 5 r1 r2", 0, "vote 5 r1"),
            // Whoever asks by hand may begin anew.
            ("ask 1 r1 r2", 0, "vote 5 r1"),
            ("ask 1 r1 r2", 0, "vote 1 r1"),
            ("ask 3 r1 r2", 0, "vote 3 r1"),
        ] {
            tale.0.asked(10_000, topic);
            assert_eq!(tale.count(1).2.len(), left, "{topic:?}");
            tale.say(1, "teal", vote);
        }
        assert_eq!(tale.count(1).2.len(), 1);
    }

    #[test]
    fn what_is_said_to_another_question_does_not_count() {
        let mut tale = Tale::default();
        tale.0.asked(0, "ask 1 r1 r2");
        tale.0.asked(0, "ask 2 r1 r2");
        // Pressed while nobody served the phone.
        tale.say(1, "teal", "vote 1 r2");
        tale.say(2, "amber", "here 2 3 of 3, moved 1, silent 0 ms");
        assert_eq!(tale.count(3), (0, 0, vec![], 0));
        tale.0.asked(0, "roll call 3");
        tale.say(4, "amber", "here 2 3 of 3, moved 1, silent 0 ms");
        tale.say(5, "plum", "vote 3 r1");
        assert_eq!(tale.count(6), (0, 0, vec![], 0));
    }

    #[test]
    fn what_is_said_a_moment_before_the_question_is_told_counts() {
        let mut tale = Tale::default();
        tale.0.asked(0, "ask 1 r1 r2");
        tale.say(100, "teal", "vote 1 r1");
        tale.say(8_900, "amber", "vote 2 r2");
        tale.say(9_500, "teal", "vote 2 r2");
        assert_eq!(tale.count(9_900).2, [("r1".to_owned(), 1)], "the last question still counts");
        tale.0.asked(10_000, "ask 2 r1 r2");
        assert_eq!(tale.count(10_000).2, [("r2".to_owned(), 1)], "the other one is too old");
        tale.say(10_100, "plum", "here 3 9 of 9, moved 1, silent 0 ms");
        tale.0.asked(10_200, "roll call 3");
        assert_eq!(tale.count(10_300).3, 1);
    }

    #[test]
    fn answers_are_those_to_the_last_roll_call() {
        let mut tale = Tale::default();
        tale.0.asked(0, "roll call 1");
        tale.say(1, "teal", "here 1 3 of 3, moved 1, silent 0 ms");
        tale.say(2, "teal", "here 1 4 of 4, moved 1, silent 0 ms");
        tale.say(3, "amber", "here");
        tale.say(4, "amber", "here 1");
        assert_eq!(tale.count(5).3, 2);
        // It is what the topic says, and not who likes to.
        tale.say(6, "somebody", "roll call 2");
        assert_eq!(tale.count(7).3, 2);
        tale.0.asked(0, "roll call 2");
        assert_eq!(tale.count(8).3, 0);
        tale.say(9, "teal", "here 2 5 of 5, moved 1, silent 0 ms");
        tale.0.asked(0, "roll call 2");
        assert_eq!(tale.count(10).3, 1);
    }

    #[test]
    fn what_is_said_by_somebody_who_is_told_to_be_here_a_moment_later_counts() {
        let mut hall = Hall::default();
        hall.asked(0, "ask 1 r1");
        let vote = |member: &str| Message {
            room: ROOM.to_owned(),
            id: "1-0".into(),
            member: member.to_owned(),
            text: "vote 1 r1".into(),
            ..Message::default()
        };
        for (at, member) in [(1_000, "late"), (1_900, "teal"), (1_900, "nobody"), (1_950, "teal")] {
            hall.heard_early(at, &vote(member));
        }
        assert_eq!(hall.count(2_000, ["r1"].into_iter()).votes.len(), 0);
        for member in ["late", "teal", "teal"] {
            hall.came(2_001, member);
        }
        assert_eq!(hall.count(2_100, ["r1"].into_iter()).votes["r1"], 1);
    }

    #[test]
    fn what_is_said_elsewhere_or_changed_afterwards_is_no_vote() {
        let mut hall = Hall::default();
        hall.asked(0, "ask 1 r1");
        let vote = Message { id: "1-0".into(), text: "vote 1 r1".into(), ..Message::default() };
        hall.heard(1, &Message { room: "lobby".into(), ..vote.clone() });
        hall.heard(1, &Message { room: ROOM.into(), kind: Some("edit".into()), ..vote });
        assert_eq!(hall.count(2, ["r1"].into_iter()), Audience::default());
    }
}
