//! How well it went: counts, silences, latencies, and how long each fault was felt.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    faults::{Fault, Faults, Phase},
    histogram::Histogram,
    limits::Worst,
    neighbours::{FEW, Measured, Neighbours},
    ops::Operation,
};
use crate::history;

/// A silence that begins this soon after a fault is over is still its doing, microseconds.
const ECHO: u64 = 1_000_000;
const QUIET: &str = "quiet";
/// The fault that must not be felt in other rooms than its target.
pub(super) const FLOOD: &str = "flood";

/// Durations in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Durations {
    /// How many.
    pub count: u64,
    /// Half are at most this.
    pub p50_ms: f64,
    /// 99 of 100 are at most this.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl From<&Histogram> for Durations {
    fn from(histogram: &Histogram) -> Self {
        let ms = |micros| micros as f64 / 1000.0;
        Self {
            count: histogram.total(),
            p50_ms: ms(histogram.quantile(0.5)),
            p99_ms: ms(histogram.quantile(0.99)),
            max_ms: ms(histogram.longest()),
        }
    }
}

/// What no single anomaly says.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// What faults measured, by what it was: the worst.
    pub limits: BTreeMap<String, Worst>,
    /// Clients that there were.
    pub clients: u64,
    /// Rooms that anybody was in.
    pub rooms: u64,
    /// Operations acknowledged.
    pub ok: u64,
    /// Operations rejected.
    pub fail: u64,
    /// Operations of which nobody knows.
    pub info: u64,
    /// Messages delivered, counted per client.
    pub deliveries: u64,
    /// Entries of the final logs.
    pub entries: u64,
    /// Gaps told.
    pub gaps: u64,
    /// Connections opened before the old one closed.
    pub moves: u64,
    /// Connections lost.
    pub lost: u64,
    /// Of those, without a close frame.
    pub abrupt: u64,
    /// Release → how often it gave a client a message that did not follow the one before.
    pub skipped: BTreeMap<String, u64>,
    /// How long clients were without service.
    pub silences: Durations,
    /// From `send` to delivery, by what was going on at the `send` (or else before delivery): `overall`; `quiet`; `aftermath` (5 s after a
    /// fault); `healed`; the name of the only fault, and with ` (target)` in the room that it hit;
    /// `several` faults. Clients that read slowly on purpose are left out.
    pub latency: BTreeMap<String, Durations>,
    /// How late other rooms were beside a flood. None without one, or with too little to tell.
    pub neighbours: Option<Neighbours>,
    /// Fault → how it went.
    pub faults: BTreeMap<String, Recovery>,
    /// The phases that the history names, and its rolls.
    pub phases: Vec<PhaseFigures>,
    /// `replica`, `haproxy` or `redis` → for how long one process of it was looked at, seconds at most.
    pub watched: BTreeMap<String, f64>,
}

/// How a phase went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseFigures {
    /// Which bounds it was held against.
    pub phase: history::Phase,
    /// From its beginning until what was to be done was done.
    pub seconds: f64,
    /// Clients that were there all the time.
    pub clients: u64,
    /// Connections that each of them opened anew, on average.
    pub moves_per_client: f64,
    /// The same of the one that opened most.
    pub most_moves: u32,
    /// Each client's longest time without service.
    pub silence: Durations,
    /// From `send` to delivery, of what was sent before it was done.
    pub delivery: Durations,
    /// From `send` to its acknowledgement, of the same.
    pub send: Durations,
    /// Requests of the probe.
    pub requests: u64,
    /// Of those, failed.
    pub failed_requests: u64,
    /// Of those, failed where that is allowed to a message that goes again.
    pub retried_sends: u64,
    /// How long those took that did not fail.
    pub request: Durations,
    /// Messages refused for good.
    pub failed_sends: u64,
    /// How often somebody who was there was said to come or go.
    pub flaps: u64,
    /// Connections that the service closed.
    pub forced: u64,
    /// Connections that ended without a close frame.
    pub abrupt: u64,
    /// Releases that served when it began.
    pub releases_before: BTreeSet<String>,
    /// Releases that served when it ended.
    pub releases_after: BTreeSet<String>,
    /// Clients of the busiest replica over those of the idlest; none if one has nobody.
    pub balance: Option<f64>,
    /// Replica → clients at the end.
    pub connections: BTreeMap<String, u64>,
    /// Turns of a roll.
    pub turns: Vec<TurnFigures>,
    /// Replicas that lost a connection.
    pub suspects: BTreeSet<String>,
    /// Of the command, if there was one.
    pub exit: Option<i32>,
}

/// A replica's turn in a roll.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnFigures {
    /// Which.
    pub replica: String,
    /// The release after it.
    pub to: String,
    /// How long it took.
    pub seconds: f64,
    /// Of that, Ansible's own.
    pub ansible_seconds: f64,
}

/// How long a kind of fault was felt after it was undone: until the last silence of a client
/// that overlaps it had ended, and what was sent before and delivered a second late or later had
/// come, milliseconds. Zero if nobody noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Recovery {
    /// How often there was this fault.
    pub times: u64,
    /// Half recovered in at most this.
    pub median_ms: u64,
    /// The slowest.
    pub longest_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Meter {
    pub figures: Figures,
    silent: Histogram,
    /// When each began and ended.
    silences: Vec<(u64, u64)>,
    /// Fault, by index → when the last message came that it may have held back.
    held: BTreeMap<usize, u64>,
    latency: BTreeMap<String, Histogram>,
    beside_flood: Measured,
    after_flood: Measured,
}

impl Meter {
    pub fn silence(&mut self, at: u64, ms: u64) {
        let micros = ms.saturating_mul(1000);
        self.silent.add(micros);
        self.silences.push((at.saturating_sub(micros), at));
    }

    /// A message that was sent to `room` was delivered at `at`; its sender or receiver was without service
    /// since `away` when it was sent.
    ///
    /// What a fault held back until it was over is late because of that fault. So the phase is that of the
    /// sending; unless nothing went on then, when something may have come between.
    pub fn delivery(
        &mut self,
        faults: &Faults,
        healed: bool,
        room: &str,
        it: &Operation,
        away: Option<u64>,
        at: u64,
    ) {
        let late = at.saturating_sub(it.invoked.at);
        self.add("overall", late);
        let phase = match it.phase {
            Phase::Quiet if healed => return self.add("healed", late),
            Phase::Quiet => faults.phase(at),
            phase => phase,
        };
        let sent = it.invoked.at;
        match phase {
            Phase::Quiet => {
                let before = faults.all.partition_point(|fault| fault.begun <= sent).checked_sub(1);
                let flood = before.filter(|index| faults.all[*index].name == FLOOD);
                if let Some(index) = flood.filter(|_| away.is_none()) {
                    self.after_flood.add(index, sent, late);
                }
                self.add(QUIET, late);
            }
            Phase::Aftermath => self.add("aftermath", late),
            Phase::Several => self.add("several", late),
            Phase::One(index) => match &faults.all[index] {
                fault if fault.target == room => {
                    self.add(&format!("{} (target)", fault.name), late);
                }
                fault => {
                    // What an earlier fault still holds back is not the flood's doing.
                    let is_earlier = away.is_some_and(|since| since < fault.begun);
                    if fault.name == FLOOD && !is_earlier && !faults.is_aftermath(sent) {
                        self.beside_flood.add(index, sent, late);
                    }
                    self.add(&fault.name, late);
                }
            },
        }
    }

    /// What was sent at `sent` came at `at`, to somebody who was in the room then.
    pub fn held(&mut self, faults: &Faults, sent: u64, at: u64) {
        if at < sent + ECHO {
            return;
        }
        let active =
            |fault: &Fault| fault.begun <= sent && fault.undone.is_some_and(|it| it >= sent);
        for (index, _) in faults.all.iter().enumerate().filter(|(_, fault)| active(fault)) {
            self.held.insert(index, at);
        }
    }

    fn add(&mut self, phase: &str, late: u64) {
        match self.latency.get_mut(phase) {
            Some(histogram) => histogram.add(late),
            None => self.latency.entry(phase.to_owned()).or_default().add(late),
        }
    }

    /// Whether there were floods enough to tell what they do, and one whose pause the run's end may have taken.
    pub fn has_floods_to_tell(&self) -> bool {
        self.beside_flood.stretches() > FEW
    }

    pub fn finish(mut self, faults: &Faults) -> Figures {
        let latency = self.latency.iter().map(|(phase, it)| (phase.clone(), it.into()));
        self.figures.latency = latency.collect();
        self.figures.neighbours = Neighbours::of(&self.after_flood, &self.beside_flood);
        self.figures.silences = (&self.silent).into();
        let mut recoveries: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (index, fault) in faults.all.iter().enumerate() {
            let over = fault.undone.unwrap_or(fault.begun);
            let felt = self.silences.iter();
            let felt = felt.filter(|(from, to)| *from <= over + ECHO && *to >= fault.begun);
            let held = self.held.get(&index).copied();
            let until = felt.map(|(_, to)| *to).chain(held).max().unwrap_or(over);
            let took = until.saturating_sub(over) / 1000;
            recoveries.entry(fault.name.clone()).or_default().push(took);
        }
        let summed = recoveries.into_iter().map(|(name, took)| (name, Recovery::of(took)));
        self.figures.faults = summed.collect();
        self.figures
    }
}

impl Recovery {
    fn of(mut took: Vec<u64>) -> Self {
        took.sort_unstable();
        let median_ms = took.get(took.len().saturating_sub(1) / 2).copied().unwrap_or(0);
        let longest_ms = took.last().copied().unwrap_or(0);
        Self { times: took.len() as u64, median_ms, longest_ms }
    }
}
