//! The outbox by scenarios, against a token bucket, and at random.

mod scenarios;

use proptest::prelude::*;
use rollcall_protocol::{
    EntryId, Extra,
    RejectCode::{BadText, OutOfOrder, RateLimited},
};
use serde_json::{Value, json};

use super::*;

/// A message of this device, of which a scenario tells `n`, `text`, `id` and what most do not have.
fn own(value: &Value) -> Message {
    let mut message =
        json!({ "room": "den", "prev": "0-0", "member": "m", "name": "Ann", "at": 1 });
    let fields = value.as_object().expect("an object").clone();
    message.as_object_mut().expect("an object").extend(fields);
    named(&message)
}

/// One that is about no other.
fn plain(n: u64, text: &str, id: EntryId) -> Message {
    Message { extra: Extra::default(), ..own(&json!({ "n": n, "text": text, "id": id })) }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// A code or reason as it stands on the wire.
fn named<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).expect("a name")
}

/// An outbox whose member the log remembers (message 1 is acknowledged), with these texts queued.
fn filled(texts: &[&str], now: Instant) -> Outbox {
    let mut outbox = Outbox::new(16);
    for text in ["hello"].iter().chain(texts) {
        assert!(outbox.push((*text).to_owned(), None, now).is_some());
    }
    outbox.live();
    assert_eq!(due(&mut outbox, now), numbered(&[(1, "hello")]), "the first goes alone");
    assert!(outbox.ack(1).is_some());
    outbox
}

fn due(outbox: &mut Outbox, now: Instant) -> Vec<(u64, String)> {
    as_sent(outbox.take_due(16, now))
}

fn as_sent(due: Vec<Outgoing>) -> Vec<(u64, String)> {
    due.into_iter().map(|it| (it.n, it.text)).collect()
}

fn numbered(texts: &[(u64, &str)]) -> Vec<(u64, String)> {
    texts.iter().map(|(n, text)| (*n, (*text).to_owned())).collect()
}

#[test]
fn a_full_outbox_takes_nothing() {
    let now = Instant::now();
    let mut outbox = Outbox::new(1);
    assert_eq!(outbox.push("a".to_owned(), None, now), Some(1));
    assert_eq!(outbox.push("b".to_owned(), None, now), None);
}

#[test]
fn a_ticket_stays_when_a_number_changes() {
    let now = Instant::now();
    let mut outbox = filled(&["bad", "b"], now);
    due(&mut outbox, now);
    assert!(matches!(outbox.reject(2, BadText, None, None, now), Refusal::Dropped(_)));
    let refusal = outbox.reject(3, OutOfOrder, Some(2), None, now);
    assert!(matches!(refusal, Refusal::Retry(Pending { ticket: 3, .. })), "{refusal:?}");
    assert_eq!(due(&mut outbox, now), numbered(&[(2, "b")]));
    assert_eq!(outbox.ack(2).map(|it| it.ticket), Some(3));
}

#[test]
fn a_refusal_for_now_says_when_to_wake_up() {
    let now = Instant::now();
    let wait = Duration::from_millis(300);
    let mut outbox = filled(&["a", "b"], now);
    due(&mut outbox, now);
    outbox.reject(2, RateLimited, None, Some(wait), now);
    assert_eq!(outbox.wake_at(), None, "an answer is still to come");
    outbox.reject(3, OutOfOrder, Some(2), None, now);
    assert_eq!(outbox.wake_at(), Some(now + wait));
}

/// A server that lets `burst` sends through at once and then one every `every`, as [`Duration`]s after the start.
struct Bucket {
    every: Duration,
    burst: u32,
    /// When it is full again.
    full_at: Duration,
}

impl Bucket {
    /// Whether a send may pass at `now`; otherwise after how long one may.
    fn check(&mut self, now: Duration) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + self.every;
        let earliest = full_at.saturating_sub(self.every * self.burst);
        if earliest > now {
            return Err(earliest - now);
        }
        self.full_at = full_at;
        Ok(())
    }
}

/// How many frames `count` sends take that are queued at once; acks come `delay` after their send.
fn frames_for(count: usize, mut bucket: Bucket, delay: Duration) -> usize {
    let (start, mut passed) = (Instant::now(), Duration::ZERO);
    let mut outbox = Outbox::new(count);
    (0..count).for_each(|it| assert!(outbox.push(it.to_string(), None, start).is_some()));
    outbox.live();
    let mut frames = 0;
    while !outbox.is_empty() {
        assert!(passed < Duration::from_secs(600), "never done");
        let sent = as_sent(outbox.take_due(32 - outbox.on_its_way(), start + passed));
        frames += sent.len();
        let mut refused = None;
        let answers: Vec<_> = sent
            .iter()
            .map(|(n, _)| match refused {
                Some(due) => (*n, OutOfOrder, Some(due), None),
                None => match bucket.check(passed) {
                    Ok(()) => (*n, RejectCode::Other, None, None),
                    Err(wait) => {
                        refused = Some(*n);
                        (*n, RateLimited, None, Some(wait))
                    }
                },
            })
            .collect();
        passed += delay;
        for (n, code, expected, retry) in answers {
            match code {
                RejectCode::Other => drop(outbox.ack(n)),
                code => drop(outbox.reject(n, code, expected, retry, start + passed)),
            }
        }
        if let Some(at) = outbox.wake_at() {
            passed = passed.max(at - start);
        }
    }
    frames
}

/// 643 frames were seen for 60 sends.
#[test]
fn s29_a_client_that_obeys_makes_at_most_three_frames_per_message() {
    for rate in [1, 5, 10, 20, 50, 100] {
        for burst in [1, 2, 5, 10, 20, 40] {
            for delay_ms in [0, 1, 10, 100] {
                let every = Duration::from_secs(1) / rate;
                let bucket = Bucket { every, burst, full_at: Duration::ZERO };
                let frames = frames_for(60, bucket, Duration::from_millis(delay_ms));
                assert!(
                    frames <= 180,
                    "{frames} frames at {rate}/s, {burst} at once, {delay_ms} ms"
                );
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push {
        bad: bool,
    },
    Flush {
        room_for: usize,
    },
    Serve {
        overloaded: bool,
    },
    Answer,
    /// The server has handled only so many of the frames on their way.
    LoseConnection {
        handled: usize,
    },
    /// The log's memory of this member's number ends.
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::bool::weighted(0.2).prop_map(|bad| Step::Push { bad }),
        4 => (0usize..5).prop_map(|room_for| Step::Flush { room_for }),
        4 => prop::bool::weighted(0.1).prop_map(|overloaded| Step::Serve { overloaded }),
        4 => Just(Step::Answer),
        1 => (0usize..4).prop_map(|handled| Step::LoseConnection { handled }),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..150)
}

enum Answer {
    Ack(u64, String),
    Reject(u64, RejectCode, Option<u64>, Option<Duration>),
}

/// The `append` rules of the room log and of one connection, and an outbox that talks to them over a pipe.
#[derive(Default)]
struct Model {
    log: Vec<(u64, String)>,
    /// The member's last number, as long as the log remembers it.
    last: Option<u64>,
    /// What the connection refused: higher numbers wait until it comes again.
    barred: Option<u64>,
    /// Entries that the client has seen.
    seen: usize,
    requests: VecDeque<(u64, String)>,
    answers: VecDeque<Answer>,
    said: Vec<String>,
    acked: Vec<String>,
}

impl Model {
    fn serve(&mut self, overloaded: bool) {
        let Some((n, text)) = self.requests.pop_front() else { return };
        let expected = self.last.map(|last| last + 1);
        let refuse = |code, expected, retry| Answer::Reject(n, code, expected, retry);
        let answer = if let Some(barred) = self.barred.filter(|barred| n > *barred) {
            refuse(OutOfOrder, Some(barred), None)
        } else if overloaded {
            self.barred = Some(n);
            refuse(RateLimited, None, Some(Duration::from_secs(2)))
        } else if text.starts_with("bad") {
            self.barred = Some(n);
            refuse(BadText, None, None)
        } else if expected.is_some_and(|expected| n > expected) {
            refuse(OutOfOrder, expected, None)
        } else if expected.is_some_and(|expected| n < expected) {
            self.barred = None;
            Answer::Ack(
                n,
                self.log.iter().find(|(taken, _)| *taken == n).expect("it was taken").1.clone(),
            )
        } else {
            // Nothing remembered takes any number.
            self.barred = None;
            self.last = Some(n);
            self.log.push((n, text.clone()));
            Answer::Ack(n, text)
        };
        self.answers.push_back(answer);
    }

    fn answer(&mut self, outbox: &mut Outbox, now: Instant) {
        match self.answers.pop_front() {
            None => {}
            Some(Answer::Ack(n, taken)) => {
                if let Some(pending) = outbox.ack(n) {
                    assert_eq!(pending.text, taken, "the ack of another message");
                    self.acked.push(taken);
                }
            }
            Some(Answer::Reject(n, code, expected, retry)) => {
                outbox.reject(n, code, expected, retry, now);
            }
        }
    }

    fn catch_up(&mut self, outbox: &mut Outbox) {
        for (index, (n, text)) in self.log.iter().enumerate().skip(self.seen) {
            outbox.seen(&plain(*n, text, EntryId::new(index as u64, 0)), true);
        }
        self.seen = self.log.len();
        let settled = outbox.live();
        assert!(settled.unknown.is_empty(), "there was no gap");
        self.acked.extend(settled.taken.into_iter().map(|(it, _)| it.text));
    }

    fn step(&mut self, outbox: &mut Outbox, step: &Step, now: Instant) {
        match step {
            Step::Push { bad } => {
                let text = format!("{} {}", if *bad { "bad" } else { "good" }, self.said.len());
                if outbox.push(text.clone(), None, now).is_some() {
                    self.said.push(text);
                }
            }
            Step::Flush { room_for } => {
                self.requests.extend(as_sent(outbox.take_due(*room_for, now)));
            }
            Step::Serve { overloaded } => self.serve(*overloaded),
            Step::Answer => self.answer(outbox, now),
            Step::LoseConnection { handled } => {
                (0..*handled).for_each(|_| self.serve(false));
                self.requests.clear();
                self.answers.clear();
                self.barred = None;
                outbox.connection_lost();
                self.catch_up(outbox);
            }
            Step::Forget => self.last = None,
        }
    }
}

proptest! {
    /// Whatever is lost, refused or dropped on the way: the log ends with every good text once,
    /// in the order in which it was said, and every one of them was acknowledged.
    #[test]
    fn the_log_gets_every_good_text_once_in_order(steps in steps()) {
        let mut now = Instant::now();
        let (mut outbox, mut model) = (Outbox::new(64), Model::default());
        outbox.live();
        let last_word = [Step::Push { bad: false }];
        let drain = [Step::Flush { room_for: 9 }, Step::Serve { overloaded: false }, Step::Answer];
        let drain = drain.iter().cycle().take(3 * 600);
        for step in steps.iter().chain(&last_word).chain(drain) {
            now += Duration::from_millis(50);
            model.step(&mut outbox, step, now);
        }
        let good: Vec<_> = model.said.iter().filter(|text| text.starts_with("good")).cloned().collect();
        let logged: Vec<_> = model.log.iter().map(|(_, text)| text.clone()).collect();
        prop_assert!(outbox.is_empty());
        prop_assert_eq!(&logged, &good);
        // A retry that is refused for now is acknowledged after what follows it.
        prop_assert!(model.acked.len() == good.len());
        prop_assert!(good.iter().all(|text| model.acked.contains(text)));
    }
}
