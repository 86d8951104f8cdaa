//! What a run showed: the figures of `roll.json` and the promises they are held against.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
};

use anyhow::Context;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::{
    participant::{Recording, Seen},
    probe::Probed,
    spread::Spread,
    verdict::Verdict,
};

/// What is promised of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// A rolling update: nobody notices.
    Roll,
    /// A replica is killed: nothing is lost and everybody is back soon.
    Kill,
}

/// What the rolling update says of itself.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Rolls {
    pub release: String,
    pub replicas: Vec<RolledReplica>,
}

/// One replica's part in it.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct RolledReplica {
    pub replica: String,
    pub seconds: f64,
    #[serde(default)]
    pub ansible_seconds: f64,
    #[serde(default)]
    pub phases: BTreeMap<String, f64>,
    #[serde(default)]
    pub moved: u64,
    #[serde(default)]
    pub forced: u64,
}

impl Rolls {
    /// Reads the file that the rolling update wrote.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the roll wrote no {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no rolls file", path.display()))
    }
}

/// Everything that was recorded, before it is boiled down.
pub struct Evidence {
    pub promise: Promise,
    pub seed: u64,
    pub verdict: Verdict,
    pub recordings: Vec<Recording>,
    pub probed: Probed,
    pub rolls: Option<Rolls>,
    /// Messages that participants sent, without the probe's.
    pub said: u64,
    pub settled: u64,
    /// From when to when the command ran, Unix ms.
    pub roll_ms: (u64, u64),
    /// The command's exit status; 128 + signal if it was killed.
    pub exit: i32,
}

/// One promise, its figure, and whether it was held.
#[derive(Debug, Clone, Serialize)]
pub struct Held {
    pub name: &'static str,
    pub figure: f64,
    pub bound: f64,
    pub held: bool,
    /// `ms`, `s`, or nothing for a count.
    #[serde(skip)]
    pub unit: &'static str,
    /// For people.
    #[serde(skip)]
    pub note: String,
    /// Shown only when broken.
    #[serde(skip)]
    pub quiet: bool,
}

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

/// `roll.json`.
#[derive(Debug, Serialize)]
pub struct Report {
    pub ok: bool,
    pub promise: Promise,
    pub seed: u64,
    pub clients: usize,
    pub rooms: usize,
    pub messages_sent: u64,
    pub deliveries: u64,
    pub releases: Releases,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    pub phantoms: u64,
    pub unproven: u64,
    pub gaps: u64,
    pub failed_sends: u64,
    pub requests: u64,
    pub failed_requests: u64,
    pub leave_join_flaps: u64,
    pub forced_closes: u64,
    pub abrupt_closes: u64,
    pub absent: u64,
    pub moves_per_client: f64,
    pub silence_ms: Spread,
    pub delivery_ms: Spread,
    pub delivery_before_ms: Spread,
    pub request_ms: Spread,
    /// Connections on the busiest replica by those on the idlest; none if one has no client.
    pub balance: Option<f64>,
    pub connections: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_per_replica: Option<Seconds>,
    pub command_exit: i32,
    pub promises: Vec<Held>,
    pub details: Vec<String>,
    /// Replicas that lost connections: where to look.
    pub suspects: Vec<String>,
}

impl Report {
    /// Boils the evidence down and holds it against the promises.
    pub fn new(evidence: Evidence) -> Self {
        let Evidence { promise, seed, verdict, recordings, probed, rolls, said, settled, .. } =
            &evidence;
        let clients = recordings.len();
        let sum = |of: fn(&Recording) -> u64| recordings.iter().map(of).sum::<u64>();
        let connections = connections(recordings);
        let mut report = Self {
            ok: false,
            promise: *promise,
            seed: *seed,
            clients,
            rooms: rooms(recordings),
            messages_sent: said + probed.acked.len() as u64,
            deliveries: deliveries(recordings).count() as u64,
            releases: releases(recordings),
            lost: verdict.lost,
            duplicated: verdict.duplicated,
            reordered: verdict.reordered,
            phantoms: verdict.phantoms,
            unproven: verdict.unproven,
            gaps: sum(|recording| recording.gaps),
            failed_sends: sum(|recording| recording.refused) + said.saturating_sub(*settled),
            requests: probed.requests,
            failed_requests: probed.failed,
            leave_join_flaps: flaps(recordings).count() as u64,
            forced_closes: forced(recordings, rolls.as_ref()),
            abrupt_closes: sum(|recording| recording.abrupt.values().sum()),
            absent: sum(|recording| u64::from(!recording.caught_up)),
            moves_per_client: sum(|recording| recording.moves + recording.returns) as f64
                / clients.max(1) as f64,
            silence_ms: silence(recordings),
            delivery_ms: delivery(&evidence, |at, (start, end)| start <= at && at <= end),
            delivery_before_ms: delivery(&evidence, |at, (start, _)| at < start),
            request_ms: Spread::of_micros(probed.micros.iter().copied()),
            balance: balance(&connections),
            connections,
            seconds_per_replica: rolls.as_ref().map(seconds),
            command_exit: evidence.exit,
            promises: Vec::new(),
            details: details(&evidence),
            suspects: suspects(recordings),
        };
        report.promises = crate::promises::of(&report);
        report.ok = report.promises.iter().all(|promise| promise.held);
        report
    }

    /// Writes `roll.json`.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(context)?;
        }
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(path, json + "\n").with_context(context)
    }
}

fn deliveries(
    recordings: &[Recording],
) -> impl Iterator<Item = &crate::participant::Delivery> + Clone {
    recordings
        .iter()
        .flat_map(|recording| recording.rooms.values())
        .flat_map(|room| &room.deliveries)
}

fn delivery(evidence: &Evidence, counts: fn(u64, (u64, u64)) -> bool) -> Spread {
    let chosen = deliveries(&evidence.recordings)
        .filter(|delivery| counts(delivery.id.ms, evidence.roll_ms));
    Spread::of_micros(chosen.map(|delivery| delivery.micros))
}

fn rooms(recordings: &[Recording]) -> usize {
    let rooms = recordings.iter().flat_map(|recording| recording.rooms.keys());
    rooms.collect::<BTreeSet<_>>().len()
}

fn releases(recordings: &[Recording]) -> Releases {
    let join = |of: fn(&Recording) -> &str| {
        let all: BTreeSet<_> = recordings.iter().map(of).collect();
        all.into_iter().collect::<Vec<_>>().join(" + ")
    };
    Releases {
        before: join(|recording| &recording.first_release),
        after: join(|recording| &recording.release),
    }
}

/// Comings and goings of people who were there all the time, each with who saw it.
fn flaps(recordings: &[Recording]) -> impl Iterator<Item = (&Recording, &Seen)> {
    let ours: HashSet<_> = recordings.iter().map(|recording| recording.member.as_str()).collect();
    let all = recordings.iter().flat_map(|it| it.presence.iter().map(move |seen| (it, seen)));
    all.filter(move |(_, seen)| ours.contains(seen.member.as_str()))
}

/// As the roll counted them, or as the clients did where that is more.
fn forced(recordings: &[Recording], rolls: Option<&Rolls>) -> u64 {
    let seen = recordings.iter().flat_map(|recording| recording.forced.values()).sum();
    let told = rolls.iter().flat_map(|rolls| &rolls.replicas).map(|replica| replica.forced).sum();
    u64::max(seen, told)
}

fn silence(recordings: &[Recording]) -> Spread {
    let micros =
        |recording: &Recording| u32::try_from(recording.silence.as_micros()).unwrap_or(u32::MAX);
    Spread::of_micros(recordings.iter().map(micros))
}

/// Clients by the replica that serves them in the end; a replica that lost all of its own counts.
fn connections(recordings: &[Recording]) -> BTreeMap<String, u64> {
    let mut connections = BTreeMap::new();
    for recording in recordings {
        connections.entry(recording.first_replica.clone()).or_insert(0);
        *connections.entry(recording.replica.clone()).or_insert(0) += 1;
    }
    connections
}

fn balance(connections: &BTreeMap<String, u64>) -> Option<f64> {
    let idlest = *connections.values().min()?;
    let busiest = *connections.values().max()?;
    (idlest > 0).then(|| busiest as f64 / idlest as f64)
}

fn seconds(rolls: &Rolls) -> Seconds {
    let replicas: BTreeMap<_, _> =
        rolls.replicas.iter().map(|rolled| (rolled.replica.clone(), rolled.seconds)).collect();
    let all: f64 = replicas.values().sum();
    let ansible: f64 = rolls.replicas.iter().map(|rolled| rolled.ansible_seconds).sum();
    let max = replicas.values().copied().fold(0.0, f64::max);
    Seconds { replicas, max, ansible_share: if all > 0.0 { ansible / all } else { 0.0 } }
}

fn suspects(recordings: &[Recording]) -> Vec<String> {
    let lost = recordings.iter().flat_map(|it| it.abrupt.keys().chain(it.forced.keys()));
    let all: BTreeSet<_> = lost.cloned().collect();
    all.into_iter().collect()
}

fn details(evidence: &Evidence) -> Vec<String> {
    let ended = evidence.recordings.iter().filter_map(|recording| {
        recording.ended.as_ref().map(|why| format!("{} ended: {why}", recording.name))
    });
    let told = evidence.verdict.details.iter().chain(&evidence.probed.details).cloned();
    let gaps = evidence.recordings.iter().flat_map(|recording| &recording.gap_details).cloned();
    let flaps = flaps(&evidence.recordings)
        .map(|(who, seen)| format!("{} on {} saw the {}", who.name, who.replica, seen.what));
    told.chain(ended).chain(gaps).chain(flaps).take(12).collect()
}
