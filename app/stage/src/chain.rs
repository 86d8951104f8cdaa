//! One room's log, as the witnesses get it: whether each message follows the one before it, and comes once.

use std::collections::{BTreeMap, HashSet, VecDeque};

use crate::event::{Figures, Message};

/// Messages that are remembered, to know one that comes again.
const KEPT: usize = 2_000;

/// Messages that came, the newest last.
#[derive(Debug, Default)]
struct Came {
    order: VecDeque<String>,
    ids: HashSet<String>,
}

impl Came {
    /// Whether it has not come before.
    fn is_new(&mut self, id: &str) -> bool {
        if !self.ids.insert(id.to_owned()) {
            return false;
        }
        self.order.push_back(id.to_owned());
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }

    fn newest(&self) -> Option<&String> {
        self.order.back()
    }
}

/// One room's log.
#[derive(Debug, Default)]
pub struct Chain {
    came: Came,
    witnesses: BTreeMap<usize, Came>,
}

impl Chain {
    /// A witness got a message.
    pub fn add(&mut self, message: &Message, counted: &mut Figures) {
        counted.messages += u64::from(self.came.is_new(&message.id));
        let witness = self.witnesses.entry(message.witness).or_default();
        // What was said before it came is not its matter.
        let follows = witness.newest().is_none_or(|newest| *newest == message.prev);
        if !witness.is_new(&message.id) {
            counted.doubled += 1;
        } else if !follows {
            counted.lost += 1;
        }
    }
}
