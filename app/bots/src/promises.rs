//! What is promised, as people are told of it: which anomalies break a promise, and the figure that stands beside it.

use rollcall_checker::{Anomaly, PhaseFigures, Report, delivery_bounds, history::Phase};
use serde::Serialize;

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

/// The promise that an anomaly breaks: each breaks one, so that nothing the checker finds is left out of the roll call.
pub fn broken_by(anomaly: Anomaly) -> &'static str {
    match anomaly {
        Anomaly::LostWrite | Anomaly::Unseen | Anomaly::SkippedMessage | Anomaly::SilentLoss => {
            "lost"
        }
        Anomaly::Duplicate => "duplicated",
        Anomaly::ReorderedRoom | Anomaly::ReorderedSender => "reordered",
        Anomaly::Phantom | Anomaly::AbortedRead => "phantoms",
        Anomaly::WrongName => "wrong_names",
        Anomaly::DivergentOrder | Anomaly::Incomplete | Anomaly::Unknown => "unproven",
        Anomaly::FalseGap => "gaps",
        Anomaly::Absent | Anomaly::Expelled | Anomaly::Unrecovered => "absent",
        Anomaly::FailedSend | Anomaly::Unsettled => "failed_sends",
        Anomaly::Late | Anomaly::NoisyNeighbour => "late",
        Anomaly::FailedRequest => "failed_requests",
        Anomaly::Flap | Anomaly::Presence => "leave_join_flaps",
        Anomaly::ForcedClose => "forced_closes",
        Anomaly::AbruptClose | Anomaly::FalseBanner => "abrupt_closes",
        Anomaly::Restless | Anomaly::Unmoved => "moves_per_client",
        Anomaly::Silent => "silence_ms.max",
        Anomaly::Slow => "delivery_ms.p99",
        Anomaly::Unbalanced => "balance",
        Anomaly::SlowTurn => "seconds_per_replica",
        Anomaly::WrongRelease => "wrong_release",
        Anomaly::NotExercised | Anomaly::NothingHappened => "nothing_exercised",
        Anomaly::CommandFailed => "command_exit",
        // Limits that a fault brings along are of what it harms: memory, for the most part.
        Anomaly::Leak | Anomaly::PastLimit => "leaks",
    }
}

/// How many anomalies break a promise.
pub fn count(report: &Report, promise: &str) -> u64 {
    let breaks = report.anomalies.iter().filter(|(anomaly, _)| broken_by(**anomaly) == promise);
    breaks.map(|(_, found)| found.count).sum()
}

/// The promises, each held or broken. `phase` is the one that the command ran in, `before` the quiet one before it.
pub fn of(report: &Report, before: Option<&PhaseFigures>, phase: &PhaseFigures) -> Vec<Held> {
    let none = |name: &'static str| none(report, name);
    let figures = &report.figures;
    let sent = figures.ok + figures.fail + figures.info;
    let mut promises = vec![
        none("lost"),
        none("duplicated"),
        none("reordered"),
        none("phantoms").quiet(),
        none("wrong_names").quiet(),
        none("unproven").quiet(),
        none("gaps").at_least(figures.gaps),
        none("absent").note(format!("of {}", phase.clients.max(figures.clients.saturating_sub(1)))),
        none("failed_sends").note(format!("of {sent}")),
        none("late").quiet(),
        none("leaks").quiet(),
        none("wrong_release").quiet(),
        // A run in which nobody heard anything would hold every promise.
        none("nothing_exercised").quiet(),
    ];
    match phase.phase {
        Phase::Quiet | Phase::Roll | Phase::SlowRoll | Phase::Store => {
            promises.extend(unnoticed(report, before, phase));
        }
        Phase::Kill | Phase::Outage | Phase::Show => {
            promises.extend(survived(report, before, phase));
        }
    }
    // What this phase does not measure is told only where the checker finds it broken all the same.
    for name in
        ["moves_per_client", "failed_requests", "delivery_ms.p99", "balance", "seconds_per_replica"]
    {
        if promises.iter().all(|promise| promise.name != name) {
            promises.push(none(name).quiet());
        }
    }
    let exit = f64::from(phase.exit.unwrap_or(-1));
    promises.push(Held { figure: exit, ..none("command_exit").quiet() });
    promises
}

fn unnoticed(report: &Report, before: Option<&PhaseFigures>, phase: &PhaseFigures) -> Vec<Held> {
    let none = |name: &'static str| none(report, name);
    let requests = report.figures.phases.iter().map(|phase| phase.requests).sum::<u64>();
    let mut promises = vec![
        none("failed_requests").note(format!("of {requests}")),
        none("leave_join_flaps"),
        none("forced_closes"),
        none("abrupt_closes"),
        none("moves_per_client").figure(phase.moves_per_client).note(moves(phase)),
        none("silence_ms.max").figure(tenth(phase.silence.max_ms)).unit("ms"),
    ];
    if phase.phase == Phase::Store {
        let longest = phase.send.max_ms;
        let waited = none("late").figure(tenth(longest)).unit("ms");
        promises.push(Held {
            name: "send_ms.max",
            bound: 2_000.0,
            held: waited.held && longest <= 2_000.0,
            ..waited
        });
    }
    promises.extend(delivered(report, before, phase));
    if !phase.turns.is_empty() {
        let balance = phase.balance.unwrap_or(f64::INFINITY);
        let (all, ansible, longest) = phase.turns.iter().fold((0.0, 0.0, 0.0), |sum, turn| {
            let (all, ansible, longest): (f64, f64, f64) = sum;
            (all + turn.seconds, ansible + turn.ansible_seconds, longest.max(turn.seconds))
        });
        let note =
            format!("Ansible's own {:.0} %", 100.0 * ansible / f64::max(all, f64::MIN_POSITIVE));
        promises.extend([
            Held { bound: 1.2, ..none("balance").figure(balance) },
            Held {
                bound: 15.0,
                ..none("seconds_per_replica").figure(longest).unit("s").note(note)
            },
        ]);
    }
    promises
}

/// How long messages took, where that is bounded: 99 in 100, and the longest.
fn delivered(report: &Report, before: Option<&PhaseFigures>, phase: &PhaseFigures) -> Vec<Held> {
    let Some((most_p99, most)) = delivery_bounds(phase.phase) else { return Vec::new() };
    let of_before = |of: fn(&PhaseFigures) -> f64| {
        before.map(|before| format!("before {} ms", tenth(of(before)))).unwrap_or_default()
    };
    let slow = |name, figure: f64, bound| Held {
        figure: tenth(figure),
        bound,
        held: figure <= bound && count(report, name) == 0,
        ..none(report, name).unit("ms")
    };
    let (p99, longest) = (phase.delivery.p99_ms, phase.delivery.max_ms);
    vec![
        slow("delivery_ms.p99", p99, most_p99).note(of_before(|it| it.delivery.p99_ms)),
        slow("delivery_ms.max", longest, most).note(of_before(|it| it.delivery.max_ms)),
    ]
}

fn survived(report: &Report, before: Option<&PhaseFigures>, phase: &PhaseFigures) -> Vec<Held> {
    let (p99, longest) = (tenth(phase.silence.p99_ms), tenth(phase.silence.max_ms));
    let silence = none(report, "silence_ms.max").figure(longest).unit("ms");
    let flaps = none(report, "leave_join_flaps").quiet();
    let closes = [none(report, "forced_closes").quiet(), none(report, "abrupt_closes").quiet()];
    let silence = match phase.phase {
        Phase::Kill => vec![
            Held {
                name: "silence_ms.p99",
                bound: 1_000.0,
                held: p99 <= 1_000.0,
                ..silence.clone().figure(p99)
            }
            .note(format!("max {longest} ms")),
            Held { bound: 6_000.0, ..silence }.quiet(),
        ],
        _ => vec![silence.note(format!("p99 {p99} ms"))],
    };
    let delivered = delivered(report, before, phase);
    silence.into_iter().chain([flaps]).chain(closes).chain(delivered).collect()
}

/// Each client's own count is judged, not the mean that is shown.
fn moves(phase: &PhaseFigures) -> String {
    match phase.most_moves {
        0 => "none moved".to_owned(),
        most => format!("none more than {most}"),
    }
}

fn none(report: &Report, name: &'static str) -> Held {
    let count = count(report, name);
    let (figure, held) = (count as f64, count == 0);
    Held { name, figure, bound: 0.0, held, unit: "", note: String::new(), quiet: false }
}

/// As people read it.
pub fn tenth(figure: f64) -> f64 {
    (figure * 10.0).round() / 10.0
}

impl Held {
    /// Broken by these too, whatever the checker calls them.
    fn at_least(self, count: u64) -> Self {
        let held = self.held && count == 0;
        Self { figure: self.figure.max(count as f64), held, ..self }
    }

    fn figure(self, figure: f64) -> Self {
        Self { figure, ..self }
    }

    fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    fn note(self, note: String) -> Self {
        Self { note, ..self }
    }

    fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_checker::{
        Found, check,
        history::{Record, What},
    };

    use super::*;

    /// A run in a phase of this kind, in which nothing happened.
    fn checked(phase: Phase) -> Report {
        let records = [
            What::PhaseBegan { phase, rolls: 1, turns: false },
            What::PhaseEnded { exit: 0 },
            What::Healed,
            What::End,
        ];
        let records = records.map(|what| Record { at: 0, what });
        Report { anomalies: Default::default(), ok: true, ..check(&records) }
    }

    #[test]
    fn how_long_messages_took_is_shown_with_its_bounds_also_of_a_kill() {
        for (phase, bounds) in [(Phase::Roll, [50.0, 500.0]), (Phase::Kill, [1_000.0, 6_000.0])] {
            let report = checked(phase);
            let mut figures = report.figures.phases[0].clone();
            (figures.delivery.p99_ms, figures.delivery.max_ms) = (bounds[0], 9_000.0);
            let promises = of(&report, None, &figures);
            let shown =
                promises.iter().filter(|it| it.name.starts_with("delivery_ms") && !it.quiet);
            let shown: Vec<_> = shown.map(|it| (it.figure, it.bound, it.held)).collect();
            assert_eq!(shown, [(bounds[0], bounds[0], true), (9_000.0, bounds[1], false)]);
        }
    }

    #[test]
    fn whatever_the_checker_finds_breaks_a_promise_that_people_see() {
        let promised = [Phase::Quiet, Phase::Roll, Phase::SlowRoll, Phase::Store];
        for phase in promised.into_iter().chain([Phase::Kill, Phase::Outage, Phase::Show]) {
            let sound = checked(phase);
            let broken = |report: &Report| -> Vec<&'static str> {
                let promises = of(report, None, &report.figures.phases[0]);
                promises.iter().filter(|it| !it.held).map(|it| it.name).collect()
            };
            assert_eq!(broken(&sound), [""; 0], "{phase:?}");
            for anomaly in Anomaly::ALL {
                let found = Found { count: 1, examples: Vec::new() };
                let anomalies = [(*anomaly, found)].into();
                let report = Report { ok: false, anomalies, ..sound.clone() };
                assert!(broken(&report).contains(&broken_by(*anomaly)), "{phase:?}: {anomaly}");
            }
        }
    }
}
