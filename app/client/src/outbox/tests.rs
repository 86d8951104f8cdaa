use proptest::prelude::*;
use rollcall_protocol::RejectCode::{BadText, OutOfOrder, RateLimited};

use super::*;

/// An outbox whose member the log remembers (message 1 is acknowledged), with these texts queued.
fn filled(texts: &[&str], now: Instant) -> Outbox {
    let mut outbox = Outbox::new(16);
    for text in ["hello"].iter().chain(texts) {
        assert!(outbox.push((*text).to_owned(), now).is_some());
    }
    assert_eq!(due(&mut outbox, now), numbered(&[(1, "hello")]), "the first goes alone");
    assert!(outbox.ack(1, now).is_some());
    outbox
}

fn due(outbox: &mut Outbox, now: Instant) -> Vec<(u64, String)> {
    outbox.take_due(16, now)
}

fn numbered(texts: &[(u64, &str)]) -> Vec<(u64, String)> {
    texts.iter().map(|(n, text)| (*n, (*text).to_owned())).collect()
}

#[test]
fn sends_each_once_and_settles_each_once() {
    let now = Instant::now();
    let mut outbox = filled(&["a", "b"], now);
    assert_eq!(due(&mut outbox, now), numbered(&[(2, "a"), (3, "b")]));
    assert_eq!(due(&mut outbox, now), []);
    assert_eq!(outbox.ack(2, now).map(|taken| taken.ticket), Some(2));
    assert_eq!(outbox.ack(2, now), None, "a second ack of the same number is no news");
}

#[test]
fn a_full_outbox_takes_nothing() {
    let now = Instant::now();
    let mut outbox = Outbox::new(1);
    assert_eq!(outbox.push("a".to_owned(), now), Some(1));
    assert_eq!(outbox.push("b".to_owned(), now), None);
}

#[test]
fn after_a_lost_connection_everything_goes_again_with_the_same_numbers() {
    let now = Instant::now();
    let mut outbox = filled(&["a", "b", "c"], now);
    due(&mut outbox, now);
    outbox.ack(2, now);
    outbox.connection_lost();
    assert_eq!(due(&mut outbox, now), numbered(&[(3, "b"), (4, "c")]));
}

#[test]
fn a_dropped_text_gives_its_number_to_the_next() {
    let now = Instant::now();
    let mut outbox = filled(&["bad", "b", "c"], now);
    due(&mut outbox, now);
    assert!(matches!(outbox.reject(2, BadText, None, None, now), Refusal::Dropped(_)));
    assert_eq!(due(&mut outbox, now), [], "two are still on their way");
    assert_eq!(outbox.reject(3, OutOfOrder, Some(2), None, now), Refusal::Retry(3));
    assert_eq!(outbox.reject(4, OutOfOrder, Some(2), None, now), Refusal::Retry(4));
    assert_eq!(due(&mut outbox, now), numbered(&[(2, "b"), (3, "c")]));
    assert_eq!(outbox.push("d".to_owned(), now), Some(5));
    assert_eq!(due(&mut outbox, now), numbered(&[(4, "d")]));
}

#[test]
fn a_log_that_may_have_forgotten_gets_one_message_at_a_time() {
    let now = Instant::now();
    let mut outbox = filled(&["a", "b"], now);
    let later = now + REMEMBERED;
    assert_eq!(due(&mut outbox, later), numbered(&[(2, "a")]));
    assert_eq!(due(&mut outbox, later), []);
    outbox.ack(2, later);
    assert_eq!(due(&mut outbox, later), numbered(&[(3, "b")]));
}

#[test]
fn a_refusal_for_now_holds_the_room_for_as_long_as_it_says() {
    let now = Instant::now();
    let wait = Duration::from_millis(300);
    let mut outbox = filled(&["a", "b"], now);
    due(&mut outbox, now);
    outbox.reject(2, RateLimited, None, Some(wait), now);
    outbox.reject(3, OutOfOrder, Some(2), None, now);
    assert_eq!(due(&mut outbox, now), []);
    assert_eq!(outbox.wake_at(), Some(now + wait));
    assert_eq!(due(&mut outbox, now + wait), numbered(&[(2, "a"), (3, "b")]));
}

#[test]
fn a_server_that_keeps_refusing_is_not_asked_in_a_hot_loop() {
    let now = Instant::now();
    let mut outbox = filled(&["a"], now);
    due(&mut outbox, now);
    outbox.reject(2, OutOfOrder, None, None, now);
    assert_eq!(due(&mut outbox, now).len(), 1, "the first time at once");
    outbox.reject(2, OutOfOrder, None, None, now);
    assert_eq!(due(&mut outbox, now), []);
    assert_eq!(due(&mut outbox, now + STUBBORN).len(), 1);
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
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::bool::weighted(0.2).prop_map(|bad| Step::Push { bad }),
        4 => (0usize..5).prop_map(|room_for| Step::Flush { room_for }),
        4 => prop::bool::weighted(0.1).prop_map(|overloaded| Step::Serve { overloaded }),
        4 => Just(Step::Answer),
        1 => (0usize..4).prop_map(|handled| Step::LoseConnection { handled }),
    ];
    prop::collection::vec(step, 1..150)
}

enum Answer {
    Ack(u64, String),
    Reject(u64, RejectCode, Option<u64>, Option<Duration>),
}

/// The `append` rules of the room log and an outbox that talks to it over a pipe.
#[derive(Default)]
struct Model {
    log: Vec<(u64, String)>,
    requests: VecDeque<(u64, String)>,
    answers: VecDeque<Answer>,
    said: Vec<String>,
    acked: Vec<String>,
}

impl Model {
    fn serve(&mut self, overloaded: bool) {
        let Some((n, text)) = self.requests.pop_front() else { return };
        let last = self.log.last().map(|(n, _)| *n);
        let answer = if overloaded {
            Answer::Reject(n, RateLimited, None, Some(Duration::from_secs(2)))
        } else if text.starts_with("bad") {
            Answer::Reject(n, BadText, None, None)
        } else if let Some((_, taken)) = self.log.iter().find(|(taken, _)| *taken == n) {
            Answer::Ack(n, taken.clone())
        } else if last.is_some_and(|last| n > last + 1) {
            Answer::Reject(n, OutOfOrder, last.map(|last| last + 1), None)
        } else {
            // Nothing remembered takes any number.
            self.log.push((n, text.clone()));
            Answer::Ack(n, text)
        };
        self.answers.push_back(answer);
    }

    fn answer(&mut self, outbox: &mut Outbox, now: Instant) {
        match self.answers.pop_front() {
            None => {}
            Some(Answer::Ack(n, taken)) => {
                if let Some(pending) = outbox.ack(n, now) {
                    assert_eq!(pending.text, taken, "the ack of another message");
                    self.acked.push(taken);
                }
            }
            Some(Answer::Reject(n, code, expected, retry)) => {
                outbox.reject(n, code, expected, retry, now);
            }
        }
    }

    fn step(&mut self, outbox: &mut Outbox, step: &Step, now: Instant) {
        match step {
            Step::Push { bad } => {
                let text = format!("{} {}", if *bad { "bad" } else { "good" }, self.said.len());
                if outbox.push(text.clone(), now).is_some() {
                    self.said.push(text);
                }
            }
            Step::Flush { room_for } => self.requests.extend(outbox.take_due(*room_for, now)),
            Step::Serve { overloaded } => self.serve(*overloaded),
            Step::Answer => self.answer(outbox, now),
            Step::LoseConnection { handled } => {
                (0..*handled).for_each(|_| self.serve(false));
                self.requests.clear();
                self.answers.clear();
                outbox.connection_lost();
            }
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
