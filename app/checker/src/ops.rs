//! What the clients meant to say.

use std::collections::HashMap;

use super::{anomaly::Place, faults::Phase, names::Name};
use crate::history::Id;

/// Index of an operation.
pub(super) type OpIndex = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nobody knows, yet or for ever.
    Info,
    Ok {
        id: Option<Id>,
        place: Place,
    },
    Fail(Place),
}

#[derive(Debug)]
pub(super) struct Operation {
    /// Its number in the history.
    pub number: u64,
    pub client: Name,
    pub room: Name,
    /// The client's operations in the room before it.
    pub turn: u32,
    pub invoked: Place,
    /// What was going on then.
    pub phase: Phase,
    pub outcome: Outcome,
    /// It edits or removes a message.
    pub is_change: bool,
    /// Its client said that nobody can know, and a part of the log in which it may be has passed that client by.
    pub excused: bool,
}

impl Operation {
    pub fn is_acked_by(&self, until: Place) -> bool {
        matches!(self.outcome, Outcome::Ok { place, .. } if place.line <= until.line)
    }
}

#[derive(Debug, Default)]
pub(super) struct Operations {
    pub all: Vec<Operation>,
    by_number: HashMap<u64, OpIndex>,
    by_hash: HashMap<String, OpIndex>,
    turns: HashMap<(Name, Name), u32>,
}

impl Operations {
    /// False if the number or the hash is not new.
    pub fn invoke(
        &mut self,
        number: u64,
        client: Name,
        room: Name,
        hash: String,
        at: Place,
        phase: Phase,
    ) -> bool {
        let index = OpIndex::try_from(self.all.len()).unwrap_or(OpIndex::MAX);
        let turn = self.turns.entry((client, room)).or_default();
        *turn += 1;
        let (turn, outcome) = (*turn, Outcome::Info);
        let invoked = at;
        self.all.push(Operation {
            number,
            client,
            room,
            turn,
            invoked,
            phase,
            outcome,
            is_change: false,
            excused: false,
        });
        let is_new = self.by_number.insert(number, index).is_none();
        self.by_hash.insert(hash, index).is_none() && is_new
    }

    /// It edits or removes a message. False if there is no such operation.
    pub fn is_change(&mut self, number: u64) -> bool {
        let index = self.by_number.get(&number).copied();
        let operation = index.and_then(|index| self.all.get_mut(index as usize));
        operation.map(|operation| operation.is_change = true).is_some()
    }

    /// The operation. None if there is no such one, or its outcome is known and another. What was unknown
    /// may become known.
    pub fn settle(&mut self, number: u64, outcome: Outcome) -> Option<OpIndex> {
        let index = *self.by_number.get(&number)?;
        let operation = &mut self.all[index as usize];
        if operation.outcome != Outcome::Info && outcome != Outcome::Info {
            return None;
        }
        if outcome != Outcome::Info {
            operation.outcome = outcome;
        }
        Some(index)
    }

    /// Its client said that nobody can know, and whether it may say so.
    pub fn excuse(&mut self, index: OpIndex, excused: bool) {
        self.all[index as usize].excused = excused;
    }

    pub fn by_hash(&self, hash: &str) -> Option<OpIndex> {
        self.by_hash.get(hash).copied()
    }

    pub fn get(&self, index: OpIndex) -> &Operation {
        &self.all[index as usize]
    }
}
