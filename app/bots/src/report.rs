//! `roll.json`: what a run showed, made of the checker's report alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::Context;
use rollcall_checker::{
    Anomaly, Durations, Figures, PhaseFigures, Report as Checked, TurnFigures, history::Phase,
};
use serde::Serialize;

use crate::promises::{self, Held, tenth};

/// Findings told in words; the history has all.
const DETAILS: usize = 12;
/// Of one kind, so that every kind has its turn.
const OF_A_KIND: usize = 3;

/// The release or releases that served, before and after.
#[derive(Debug, Default, Serialize)]
pub struct Releases {
    pub before: String,
    pub after: String,
}

/// How long each replica took.
#[derive(Debug, Default, Serialize)]
pub struct Seconds {
    pub replicas: BTreeMap<String, f64>,
    pub max: f64,
    /// The part of all that time that was Ansible's own.
    pub ansible_share: f64,
}

/// The few figures by which a distribution is told, milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// `roll.json`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub ok: bool,
    pub promise: Phase,
    pub seed: u64,
    pub clients: u64,
    pub rooms: u64,
    pub messages_sent: u64,
    pub deliveries: u64,
    pub releases: Releases,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub phantoms: u64,
    pub wrong_names: u64,
    pub unproven: u64,
    pub gaps: u64,
    pub failed_sends: u64,
    pub late: u64,
    pub requests: u64,
    pub failed_requests: u64,
    /// Requests of the probe that had a message, and failed where it may go again.
    pub retried_sends: u64,
    pub leave_join_flaps: u64,
    pub forced_closes: u64,
    pub abrupt_closes: u64,
    pub absent: u64,
    pub nothing_exercised: u64,
    /// Of all clients, in the whole run: connections opened beside one that still served.
    pub moves: u64,
    pub moves_per_client: f64,
    /// Of the client that moved most.
    pub most_moves: u32,
    /// Each client's longest time without service.
    pub silence_ms: Spread,
    /// From `send` to receipt, both by this process's monotonic clock, while the command ran.
    pub delivery_ms: Spread,
    /// The same before it.
    pub delivery_before_ms: Spread,
    /// From `send` until it was acknowledged, while the command ran.
    pub send_ms: Spread,
    pub request_ms: Spread,
    /// Connections on the busiest replica by those on the idlest; none if one has no client.
    pub balance: Option<f64>,
    pub connections: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_per_replica: Option<Seconds>,
    pub command_exit: i32,
    pub promises: Vec<Held>,
    /// Release → how often it gave a client a message that did not follow the one before.
    pub skipped: BTreeMap<String, u64>,
    /// What the checker found, by its own names, and how often.
    pub anomalies: BTreeMap<Anomaly, u64>,
    pub details: Vec<String>,
    /// Replicas that lost connections: where to look.
    pub suspects: Vec<String>,
    /// What the verdict was made of; `rollcall-chaos --check` judges it again.
    pub history: PathBuf,
}

impl Report {
    /// Boils a verdict down. None if the history has no phase that a command ran in.
    pub fn new(checked: &Checked, history: PathBuf) -> Option<Self> {
        let (phase, earlier) = checked.figures.phases.split_last()?;
        let before = earlier.iter().rfind(|phase| phase.phase == Phase::Quiet);
        let count = |promise| promises::count(checked, promise);
        let Figures { ok, fail, info, deliveries, rooms, gaps, .. } = checked.figures;
        let held = promises::of(checked, before, phase);
        let sum = |of: fn(&PhaseFigures) -> u64| checked.figures.phases.iter().map(of).sum();
        Some(Self {
            ok: checked.ok && held.iter().all(|promise| promise.held),
            promise: phase.phase,
            seed: checked.seed.unwrap_or_default(),
            clients: phase.clients,
            rooms,
            messages_sent: ok + fail + info,
            deliveries,
            releases: Releases::of(phase),
            lost: count("lost"),
            duplicated: count("duplicated"),
            reordered: count("reordered"),
            phantoms: count("phantoms"),
            wrong_names: count("wrong_names"),
            unproven: count("unproven"),
            gaps,
            failed_sends: count("failed_sends"),
            late: count("late"),
            requests: sum(|phase| phase.requests),
            failed_requests: sum(|phase| phase.failed_requests),
            retried_sends: sum(|phase| phase.retried_sends),
            leave_join_flaps: count("leave_join_flaps"),
            forced_closes: sum(|phase| phase.forced),
            abrupt_closes: sum(|phase| phase.abrupt),
            absent: count("absent"),
            nothing_exercised: count("nothing_exercised"),
            moves: checked.figures.moves,
            moves_per_client: phase.moves_per_client,
            most_moves: phase.most_moves,
            silence_ms: phase.silence.into(),
            delivery_ms: phase.delivery.into(),
            delivery_before_ms: before.map(|it| it.delivery.into()).unwrap_or_default(),
            send_ms: phase.send.into(),
            request_ms: phase.request.into(),
            balance: phase.balance,
            connections: phase.connections.clone(),
            seconds_per_replica: Seconds::of(&phase.turns),
            command_exit: phase.exit.unwrap_or(-1),
            promises: held,
            skipped: checked.figures.skipped.clone(),
            anomalies: checked.anomalies.iter().map(|(it, found)| (*it, found.count)).collect(),
            details: details(checked),
            suspects: phase.suspects.iter().cloned().collect(),
            history,
        })
    }

    /// Writes `roll.json`.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        let context = || format!("cannot write {}", path.display());
        std::fs::write(path, json + "\n").with_context(context)
    }

    /// Replicas to look at: those that lost connections, or all of them.
    pub fn suspected(&self) -> Vec<String> {
        match self.suspects.is_empty() {
            true => self.connections.keys().cloned().collect(),
            false => self.suspects.clone(),
        }
    }
}

impl Releases {
    fn of(phase: &PhaseFigures) -> Self {
        let join = |of: &BTreeSet<String>| of.iter().cloned().collect::<Vec<_>>().join(" + ");
        Self { before: join(&phase.releases_before), after: join(&phase.releases_after) }
    }
}

impl Seconds {
    fn of(turns: &[TurnFigures]) -> Option<Self> {
        let replicas: BTreeMap<_, _> =
            turns.iter().map(|turn| (turn.replica.clone(), turn.seconds)).collect();
        let max = replicas.values().copied().reduce(f64::max)?;
        let all: f64 = turns.iter().map(|turn| turn.seconds).sum();
        let ansible: f64 = turns.iter().map(|turn| turn.ansible_seconds).sum();
        Some(Self { replicas, max, ansible_share: if all > 0.0 { ansible / all } else { 0.0 } })
    }
}

impl From<Durations> for Spread {
    fn from(Durations { p50_ms, p99_ms, max_ms, .. }: Durations) -> Self {
        Self { p50: tenth(p50_ms), p99: tenth(p99_ms), max: tenth(max_ms) }
    }
}

fn details(checked: &Checked) -> Vec<String> {
    let mut anomalies: Vec<_> = checked.anomalies.iter().collect();
    // What makes all the rest meaningless comes first.
    let is_first = |it: Anomaly| matches!(it, Anomaly::CommandFailed | Anomaly::NotExercised);
    anomalies.sort_by_key(|(anomaly, _)| !is_first(**anomaly));
    let examples = anomalies.into_iter().flat_map(|(anomaly, found)| {
        let few = found.examples.iter().take(OF_A_KIND);
        few.map(move |it| format!("{anomaly}: {} (line {})", it.detail, it.line))
    });
    examples.take(DETAILS).collect()
}
