//! What every part of the checker looks up, and where it writes down what it finds.

use std::collections::{HashMap, HashSet};

use super::{
    anomaly::{Anomaly, Findings, Place},
    entry::Entry,
    faults::Faults,
    names::{Name, Names},
    ops::{OpIndex, Operations},
};

/// How many members a list names if a history does not say it, the client itself among them.
const LISTED: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Book {
    /// How many members a list names, if the history says it.
    pub listed: Option<usize>,
    /// The line that is being read.
    pub place: Place,
    pub names: Names,
    pub operations: Operations,
    pub faults: Faults,
    pub findings: Findings,
    /// Whose public ID it is.
    pub owners: HashMap<Name, Name>,
    /// Operations that are known to be missing from a log: each is said once.
    pub lost: HashSet<OpIndex>,
    /// How often each release gave a client a message that did not follow the one before.
    pub skipped: HashMap<Name, u64>,
    /// Others may talk in the rooms, and what they say is theirs.
    pub strangers: bool,
}

impl Book {
    /// How many members a list names at least where there are more, besides the client itself.
    pub fn listed(&self) -> usize {
        self.listed.unwrap_or(LISTED).saturating_sub(1)
    }

    /// Writes down an anomaly that this line shows.
    pub fn note(&mut self, anomaly: Anomaly, detail: impl FnOnce(&Self) -> String) {
        self.note_at(anomaly, self.place, detail);
    }

    /// Writes down an anomaly that another line shows best.
    pub fn note_at(
        &mut self,
        anomaly: Anomaly,
        place: Place,
        detail: impl FnOnce(&Self) -> String,
    ) {
        if self.findings.count(anomaly) {
            let detail = detail(self);
            self.findings.describe(anomaly, place, detail);
        }
    }

    pub fn describe_op(&self, index: OpIndex) -> String {
        let op = self.operations.get(index);
        let (client, room) = (self.names.of(op.client), self.names.of(op.room));
        format!("op {} ({client} in {room}, invoked on {})", op.number, op.invoked)
    }

    pub fn describe_entry(&self, entry: &Entry) -> String {
        let room = self.names.of(entry.room);
        match entry.content.op {
            Some(op) => format!("{} in {room}, {}", entry.id, self.describe_op(op)),
            None => format!("{} in {room}, a text that nobody sent", entry.id),
        }
    }

    /// Members, by the names of the clients they are.
    pub fn owned_by(&self, members: &[Name]) -> String {
        let owners = members.iter().map(|member| self.owners.get(member).unwrap_or(member));
        if members.is_empty() { "nobody".to_owned() } else { self.names.list(owners.copied()) }
    }

    /// Whether the log may have lost its newest entries, one sent at `sent` among them, by now.
    pub fn was_cut_since(&self, sent: u64) -> bool {
        self.faults.cuts_since(sent).any(|cut| cut.begun <= self.place.at)
    }
}
