//! Slots that a deploy has put back. A slot itself tells only what ran there last, and what is kept there for the way back
//! is again what was kept before.

use std::collections::BTreeMap;

use crate::event::{End, Phase, Replica, Slot, State, What};

/// What was put back. A fold of all events, before anybody is told.
#[derive(Debug, Default)]
pub struct Undone {
    /// The replicas as they say themselves.
    said: Vec<Replica>,
    /// And as the deploy found them.
    found: Vec<Replica>,
    /// Replica and slot → the release that ran there last, and what is there in its stead.
    instead: BTreeMap<(String, String), (Option<String>, Slot)>,
}

impl Undone {
    /// Takes an event in, and corrects it. There may be another one to tell after it.
    pub fn apply(&mut self, what: &mut What) -> Option<What> {
        match what {
            What::Replicas { replicas } => {
                self.said.clone_from(replicas);
                *replicas = self.are();
            }
            What::Phase(Phase { replica, is: End::Begin, .. }) if replica.is_empty() => {
                self.found = self.are();
            }
            What::Phase(Phase { replica, phase, is: End::End, outcome: Some(outcome), .. })
                if phase == "undo" && outcome == "ok" =>
            {
                self.put_back(replica);
                return Some(What::Replicas { replicas: self.are() });
            }
            _ => {}
        }
        None
    }

    fn put_back(&mut self, name: &str) {
        for slot in slots(&self.said, name).iter().filter(|slot| slot.state != State::Up) {
            let found = slots(&self.found, name).iter().find(|it| it.slot == slot.slot).cloned();
            let empty = || Slot { slot: slot.slot.clone(), release: None, state: State::Empty };
            let place = (name.to_owned(), slot.slot.clone());
            self.instead.insert(place, (slot.release.clone(), found.unwrap_or_else(empty)));
        }
    }

    /// The replicas as they are.
    fn are(&self) -> Vec<Replica> {
        let mut replicas = self.said.clone();
        for Replica { name, slots } in &mut replicas {
            for slot in slots {
                let is_over = !matches!(slot.state, State::Starting | State::Up);
                match self.instead.get(&(name.clone(), slot.slot.clone())) {
                    Some((last, before)) if is_over && *last == slot.release => {
                        *slot = before.clone()
                    }
                    _ => {}
                }
            }
        }
        replicas
    }
}

fn slots<'a>(replicas: &'a [Replica], name: &str) -> &'a [Slot] {
    replicas.iter().find(|it| it.name == name).map_or(&[], |replica| &replica.slots)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Undone;
    use crate::event::What;

    fn what(told: serde_json::Value) -> What {
        serde_json::from_value(told).expect("an event")
    }

    fn replicas(release: &str, state: &str) -> What {
        let blue = json!({"slot": "blue", "release": release, "state": state});
        let green = json!({"slot": "green", "release": "1.1.0", "state": "up"});
        what(json!({"event": "replicas", "replicas": [{"name": "r1", "slots": [blue, green]}]}))
    }

    /// What r1's blue slot is told to be.
    fn blue(told: &What) -> String {
        let What::Replicas { replicas } = told else { panic!("{told:?}") };
        let slot = &replicas[0].slots[0];
        format!("{} {:?}", slot.release.as_deref().unwrap_or("-"), slot.state)
    }

    fn told(undone: &mut Undone, release: &str, state: &str, is: &str) {
        let mut told = replicas(release, state);
        assert_eq!(undone.apply(&mut told), None);
        assert_eq!(blue(&told), is);
    }

    #[test]
    fn what_was_there_before_an_undone_release_is_there_again() {
        let mut undone = Undone::default();
        told(&mut undone, "1.0.0", "kept", "1.0.0 Kept");
        let mut begins = what(json!({"event": "phase", "phase": "deploy", "is": "begin"}));
        assert_eq!(undone.apply(&mut begins), None);
        told(&mut undone, "bad", "up", "bad Up");
        told(&mut undone, "bad", "kept", "bad Kept");
        let mut ends =
            what(json!({"event": "phase", "phase": "undo", "replica": "r1", "is": "end",
            "outcome": "ok"}));
        for _ in 0..2 {
            assert_eq!(undone.apply(&mut ends).as_ref().map(blue), Some("1.0.0 Kept".to_owned()));
        }
        // Whenever the slot says what ran there last, unless it runs again.
        told(&mut undone, "bad", "kept", "1.0.0 Kept");
        told(&mut undone, "bad", "starting", "bad Starting");
        told(&mut undone, "1.2.0", "kept", "1.2.0 Kept");
    }
}
