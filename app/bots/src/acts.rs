//! What happens to a stack, as its people can tell: the cast answers it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rollcall_client::Event;
use rollcall_journal::Step;
use serde::Deserialize;
use tokio::sync::broadcast;

/// What several characters notice within this time has happened once.
const ONCE: Duration = Duration::from_secs(15);
/// What waits for a room that is in the middle of something.
const WAITING: usize = 64;

/// Something that happens, by its name in a cast file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    RollBegins,
    RollEnds,
    /// A roll back to the release before begins.
    WayBack,
    /// A release was not let in: its deploy failed, or was refused.
    ReleaseRefused,
    ReplicaKilled,
    RedisAway,
    RedisBack,
    /// A character was moved to another replica.
    Moved,
}

/// It happened.
#[derive(Debug, Clone)]
pub struct Happening {
    pub act: Act,
    /// To this character, if not to all.
    pub who: Option<String>,
    pub at: Instant,
}

/// When each was told last, of everybody it happens to by themselves.
type Told = HashMap<(Act, Option<String>), Instant>;

/// Tells every room what happens.
#[derive(Debug, Clone)]
pub struct Acts {
    sender: broadcast::Sender<Happening>,
    told: Arc<Mutex<Told>>,
}

impl Default for Acts {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(WAITING), told: Arc::default() }
    }
}

impl Acts {
    pub fn subscribe(&self) -> broadcast::Receiver<Happening> {
        self.sender.subscribe()
    }

    /// What a deploy says of itself.
    pub fn of_step(&self, step: &Step) {
        let is_roll = step.what.starts_with("rolling");
        if !step.is_whole() || !is_roll {
            return;
        }
        match step.outcome.as_str() {
            "begun" if step.what.starts_with("rolling back") => self.tell(Act::WayBack, None),
            "begun" => self.tell(Act::RollBegins, None),
            "done" => self.tell(Act::RollEnds, None),
            "failed" | "refused" => self.tell(Act::ReleaseRefused, None),
            _ => {}
        }
    }

    /// What a character sees by itself.
    pub fn of_event(&self, who: &str, event: &Event) {
        match event {
            Event::Moved { .. } => self.tell(Act::Moved, Some(who.to_owned())),
            // A replica that ends in peace says so.
            Event::Disconnected { abrupt: true, .. } => self.tell(Act::ReplicaKilled, None),
            Event::Log { up: false, .. } => self.tell(Act::RedisAway, None),
            Event::Log { up: true, .. } => self.tell(Act::RedisBack, None),
            _ => {}
        }
    }

    fn tell(&self, act: Act, who: Option<String>) {
        let at = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // Away is away, however often somebody finds it so, and only what was away comes back.
        let is_news = match act {
            Act::RedisAway => !told.contains_key(&(act, None)),
            Act::RedisBack => told.remove(&(Act::RedisAway, None)).is_some(),
            _ => told.get(&(act, who.clone())).is_none_or(|before| at - *before > ONCE),
        };
        if is_news {
            told.insert((act, who.clone()), at);
            // Nobody plays a part yet, or any more.
            let _nobody = self.sender.send(Happening { act, who, at });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(what: &str, outcome: &str) -> Step {
        let [what, phase, outcome] = [what, "deploy", outcome].map(str::to_owned);
        Step { what, phase, outcome, ..Step::default() }
    }

    #[test]
    fn a_deploy_is_known_by_its_lines() {
        let acts = Acts::default();
        let mut told = acts.subscribe();
        for (what, outcome) in [
            ("rolling to 1.1.0", "begun"),
            ("rolling to 1.1.0", "failed"),
            ("changing HAProxy", "begun"),
            ("rolling back", "begun"),
            ("rolling back", "done"),
        ] {
            acts.of_step(&whole(what, outcome));
        }
        acts.of_step(&Step { phase: "drain".to_owned(), ..whole("rolling back", "failed") });
        let told: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).map(|it| it.act).collect();
        assert_eq!(told, [Act::RollBegins, Act::ReleaseRefused, Act::WayBack, Act::RollEnds]);
    }

    #[test]
    fn what_all_characters_see_happens_once_and_each_moves_by_itself() {
        let acts = Acts::default();
        let mut told = acts.subscribe();
        let moved = Event::Moved { from: "r1".into(), to: "r2".into(), silence: Duration::ZERO };
        for who in ["Teal", "Slate"] {
            acts.of_event(who, &Event::Log { up: false, kept: 0 });
            acts.of_event(who, &moved);
        }
        for _ in 0..2 {
            acts.of_event("Teal", &Event::Log { up: true, kept: 0 });
        }
        let told: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).map(|it| it.act).collect();
        assert_eq!(told, [Act::RedisAway, Act::Moved, Act::Moved, Act::RedisBack]);
    }
}
