//! What a check came to, for files and for people.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{
    anomaly::{Anomaly, Found},
    figures::{Durations, FLOOD, Figures},
};

/// Lines about anomalies shown to people; `chaos.json` has more.
const SHOWN: usize = 18;
/// Faults and phases shown to people, the slowest.
const SLOWEST: usize = 5;

/// The verdict on a history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// No anomaly.
    pub ok: bool,
    /// Seed of the run.
    pub seed: Option<u64>,
    /// What the server was told to do wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// Lines read.
    pub records: u64,
    /// Length of the run, seconds.
    pub seconds: f64,
    /// What should not have happened.
    pub anomalies: BTreeMap<Anomaly, Found>,
    /// How well it went.
    pub figures: Figures,
}

impl Report {
    /// How many of a kind were found.
    #[must_use]
    pub fn count(&self, anomaly: Anomaly) -> u64 {
        self.anomalies.get(&anomaly).map_or(0, |found| found.count)
    }
}

/// At most 40 lines.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        self.promises(f)?;
        self.speed(f)?;
        self.recovery(f)?;
        let kinds: Vec<_> = self.anomalies.keys().map(|kind| kind.name()).collect();
        match self.ok {
            true => writeln!(f, "\n  No anomaly.\n"),
            false => writeln!(f, "\n  BROKEN: {}\n", kinds.join(", ")),
        }
    }
}

impl Report {
    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { clients, rooms, ok, fail, info, deliveries, .. } = self.figures;
        let Figures { gaps, moves, lost, abrupt, .. } = self.figures;
        let seed = self.seed.map_or("?".to_owned(), |seed| seed.to_string());
        let mutant = self.mutant.as_ref().map(|mutant| format!(", mutant {mutant}"));
        let (mutant, seconds) = (mutant.unwrap_or_default(), self.seconds);
        writeln!(
            f,
            "\n  THE HISTORY   seed {seed}{mutant}, {seconds:.0} s, {} lines",
            self.records
        )?;
        writeln!(f, "  {clients} clients, {rooms} rooms, {deliveries} deliveries, {gaps} gaps")?;
        writeln!(f, "  sent: {ok} ok, {fail} failed, {info} unknown")?;
        writeln!(f, "  connections: {moves} moved, {lost} lost, {abrupt} of them abruptly\n")
    }

    fn promises(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.anomalies.len().max(1);
        let mut spare = SHOWN.saturating_sub(kinds);
        for (anomaly, found) in &self.anomalies {
            writeln!(f, "  ✗  {anomaly:<18}{:>8}", found.count)?;
            let fair = spare.min((SHOWN / kinds).saturating_sub(1).max(1));
            for example in found.examples.iter().take(fair) {
                spare -= 1;
                let (line, detail) = (example.line, &example.detail);
                let (seconds, faults) = (example.at_ms as f64 / 1000.0, example.faults.join(" + "));
                let faults = if faults.is_empty() { faults } else { format!(" [{faults}]") };
                writeln!(f, "       {seconds:.3} s, line {line}: {detail}{faults}")?;
            }
        }
        Ok(())
    }

    fn speed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, what: &str, it: &Durations| {
            let Durations { count, p50_ms, p99_ms, max_ms } = it;
            writeln!(f, "  {what:<32}{count:>8} × {p50_ms:>8.1} {p99_ms:>9.1} {max_ms:>9.1} ms")
        };
        writeln!(f, "  {:<32}{:>8}   {:>8} {:>9} {:>9}", "", "", "p50", "p99", "max")?;
        line(f, "silence", &self.figures.silences)?;
        let mut phases: Vec<_> = self.figures.latency.iter().collect();
        let is_fixed = |name: &str| ["overall", "quiet"].contains(&name);
        phases.sort_by(|(a, x), (b, y)| {
            (is_fixed(b), y.p99_ms).partial_cmp(&(is_fixed(a), x.p99_ms)).unwrap_or(a.cmp(b))
        });
        for (phase, durations) in phases.into_iter().take(2 + SLOWEST) {
            line(f, &format!("delivery, {phase}"), durations)?;
        }
        match self.figures.neighbours {
            Some(it) => writeln!(f, "  other rooms: {it}")?,
            None if self.figures.faults.contains_key(FLOOD) => {
                writeln!(f, "  other rooms: too little to tell whether they feel a flood")?;
            }
            None => {}
        }
        Ok(())
    }

    fn recovery(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut faults: Vec<_> = self.figures.faults.iter().collect();
        faults.sort_by_key(|(_, recovery)| std::cmp::Reverse(recovery.longest_ms));
        for (name, it) in faults.into_iter().take(SLOWEST) {
            let (median, longest) = (it.median_ms, it.longest_ms);
            let what = format!("recovery, {name}");
            writeln!(f, "  {what:<32}{:>8} × {median:>8} {:>9} {longest:>9} ms", it.times, "")?;
        }
        for (what, it) in &self.figures.limits {
            let (times, value, limit) = (it.times, it.value, it.limit);
            writeln!(f, "  {what:<50}{times:>8} × {value:>9}, at most {limit}")?;
        }
        let watched = self.figures.watched.iter();
        let watched: Vec<_> = watched.map(|(what, it)| format!("{what} {it:.0} s")).collect();
        if !watched.is_empty() {
            writeln!(f, "  memory, descriptors and tasks of one process: {}", watched.join(", "))?;
        }
        Ok(())
    }
}
