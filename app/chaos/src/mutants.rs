//! The harness's own test: servers that are wrong in one way each, all of which it must catch.

use std::{path::Path, time::Duration};

use anyhow::ensure;

use crate::{
    checker::{self, Anomaly},
    cluster::{MUTANT_RELEASE, Stack},
    nemesis::{Fault, repeated},
    run::{self, Settings},
};

/// How often the exposing fault strikes.
const EVERY: Duration = Duration::from_secs(10);
const LENGTH: Duration = Duration::from_secs(40);
/// Of a run in which a whole roll takes place, and what follows it.
const ROLL: Duration = Duration::from_secs(70);

/// A way to be wrong, and what brings it to light.
#[derive(Debug)]
pub struct Mutant {
    /// As the server's `ROLLCALL_MUTANT` knows it.
    pub name: &'static str,
    /// How much of it: so much that no run without a finding is possible, whatever the seed. 0 is the server's own.
    pub dose: u64,
    /// The shortest run that is sure to show it.
    pub length: Duration,
    /// Settings of the server without which it would hide.
    pub settings: &'static [(&'static str, &'static str)],
    /// What shows it, again and again: steps, each of faults at once. None if it always shows.
    pub steps: &'static [&'static [Fault]],
    /// Of these at least one must be found: another anomaly would be an accident.
    pub shows_as: &'static [Anomaly],
}

impl Mutant {
    const fn new(
        name: &'static str,
        steps: &'static [&'static [Fault]],
        shows_as: &'static [Anomaly],
    ) -> Self {
        Self { name, dose: 0, length: LENGTH, settings: &[], steps, shows_as }
    }

    const fn dose(self, dose: u64) -> Self {
        Self { dose, ..self }
    }

    const fn length(self, length: Duration) -> Self {
        Self { length, ..self }
    }

    const fn set(self, settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { settings, ..self }
    }
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    Mutant::new(
        "no-dedup",
        &[&[Fault::ResendStorm], &[Fault::RedisPauseLong]],
        &[Anomaly::Duplicate],
    ),
    Mutant::new(
        "resume-from-tail",
        &[&[Fault::HaproxyKill]],
        &[Anomaly::SkippedMessage, Anomaly::Unseen],
    ),
    Mutant::new(
        "ack-before-append",
        &[&[Fault::RedisFull], &[Fault::ReplicaKill]],
        &[Anomaly::LostWrite],
    ),
    Mutant::new("timeout-is-failure", &[&[Fault::RedisPauseLong]], &[Anomaly::AbortedRead]),
    // A feed has to outrun a replica that is cut off from it, before that one gives its clients away.
    Mutant::new(
        "ignore-falling-behind",
        &[&[Fault::RedisCutDrop, Fault::Flood]],
        &[Anomaly::SkippedMessage, Anomaly::Unseen],
    )
    .set(&[("ISOLATED_AFTER_MS", "60000")]),
    Mutant::new("swap-deliveries", &[], &[Anomaly::SkippedMessage]),
    // A run has some 30,000 deliveries of all replicas, so one in 10,000 of one replica's may be none; and the last
    // message that a listener gets does not show that the one before is missing.
    Mutant::new("drop-one", &[&[Fault::Flood]], &[Anomaly::SkippedMessage, Anomaly::Unseen])
        .dose(100),
    Mutant::new(
        "never-gap",
        &[&[Fault::RedisFlushall], &[Fault::RedisTrim]],
        &[Anomaly::SkippedMessage, Anomaly::SilentLoss],
    ),
    Mutant::new(
        "forget-feed-cursor",
        &[&[Fault::RedisCutReset]],
        &[Anomaly::SkippedMessage, Anomaly::Unseen],
    ),
    Mutant::new("presence-stays", &[], &[Anomaly::Presence]),
    // In a quiet room no next message gives away what is missing: the comparison has to.
    Mutant::new("drop-feed-entry", &[], &[Anomaly::Unseen, Anomaly::Late, Anomaly::SkippedMessage]),
    Mutant::new("deaf-30s", &[], &[Anomaly::Late]).length(Duration::from_secs(60)),
    Mutant::new("leave-join-on-move", &[&[Fault::Roll]], &[Anomaly::Flap]).length(ROLL),
    Mutant::new("goaway-twice", &[&[Fault::Roll]], &[Anomaly::Restless]).length(ROLL),
    Mutant::new("half-untold", &[&[Fault::Roll]], &[Anomaly::ForcedClose]).length(ROLL),
    Mutant::new("forget-number-60s", &[&[Fault::ResendStorm]], &[Anomaly::Duplicate])
        .length(Duration::from_secs(150)),
    Mutant::new("wrong-name", &[], &[Anomaly::WrongName]),
    Mutant::new("members-cut", &[], &[Anomaly::Presence]),
    Mutant::new("stream-cut", &[&[Fault::Roll]], &[Anomaly::AbruptClose]).length(ROLL),
    Mutant::new("no-fsync", &[&[Fault::RedisPowerLoss]], &[Anomaly::LostWrite]),
];

/// What became of one mutant.
#[derive(Debug, serde::Serialize)]
pub struct Outcome {
    /// Its name; `none` for the run in which nothing is wrong, and nothing must be found.
    pub mutant: &'static str,
    /// Faults that it was run under.
    pub faults: Vec<&'static str>,
    /// What was found.
    pub found: Vec<Anomaly>,
    /// Whether it was caught by what it shows as; for `none`, whether nothing was.
    pub ok: bool,
    /// Why the run came to no end: then nothing was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Runs one mutant on a fresh stack. The history of one that was not caught is kept.
pub async fn run(stack: &Stack, mutant: &Mutant, seed: u64, reports: &Path) -> Outcome {
    let mut stack = stack.clone();
    stack.env.insert("ROLLCALL_MUTANT".to_owned(), mutant.name.to_owned());
    stack.env.insert("ROLLCALL_MUTANT_DOSE".to_owned(), mutant.dose.to_string());
    let settings =
        mutant.settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    stack.env.extend(settings);
    let shows = |found: &[Anomaly]| found.iter().any(|it| mutant.shows_as.contains(it));
    judged(&stack, Some(mutant), mutant.steps, seed, reports, shows).await
}

/// Runs the same image with nothing wrong under all that exposes a mutant.
pub async fn control(stack: &Stack, seed: u64, reports: &Path) -> Outcome {
    let mut steps: Vec<&[Fault]> = Vec::new();
    for step in MUTANTS.iter().flat_map(|mutant| mutant.steps) {
        if !steps.contains(step) {
            steps.push(step);
        }
    }
    judged(stack, None, &steps, seed, reports, <[Anomaly]>::is_empty).await
}

/// A run that fails is an outcome too: those before it and after it still count.
async fn judged(
    stack: &Stack,
    mutant: Option<&Mutant>,
    steps: &[&[Fault]],
    seed: u64,
    reports: &Path,
    is_right: impl Fn(&[Anomaly]) -> bool,
) -> Outcome {
    let name = mutant.map_or("none", |mutant| mutant.name);
    let history = reports.join(format!("mutant-{name}.jsonl"));
    let (found, error) = match check(stack, steps, seed, mutant, &history).await {
        Ok(found) => (found, None),
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    let ok = error.is_none() && is_right(&found);
    if ok {
        // If it stays, it does no harm.
        let _ = std::fs::remove_file(&history);
    }
    Outcome { mutant: name, faults: names(steps), found, ok, error }
}

fn names(steps: &[&[Fault]]) -> Vec<&'static str> {
    steps.iter().copied().flatten().map(|fault| fault.about().name).collect()
}

async fn check(
    stack: &Stack,
    steps: &[&[Fault]],
    seed: u64,
    mutant: Option<&Mutant>,
    history: &Path,
) -> anyhow::Result<Vec<Anomaly>> {
    stack.down().await?;
    stack.up(MUTANT_RELEASE).await?;
    let least = mutant.map_or(LENGTH, |mutant| mutant.length);
    let length = least.max(EVERY * u32::try_from(2 * steps.len() + 1).unwrap_or(u32::MAX));
    let plan = repeated(seed, length, EVERY, steps);
    // A run without the fault that shows it would prove nothing.
    ensure!(steps.is_empty() || !plan.is_empty(), "{length:?} are over before the first fault is");
    let mutant = mutant.map(|mutant| mutant.name.to_owned());
    let convergence = Duration::from_secs(30);
    let settings =
        Settings { seed, plan, length, convergence, mutant, small: false, has_page: false };
    run::run(stack, &settings, history).await?;
    Ok(checker::check_file(history)?.anomalies.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_meets_what_shows_it() {
        for mutant in MUTANTS {
            let plan = repeated(31, mutant.length, EVERY, mutant.steps);
            for step in mutant.steps {
                let meets = |planned: &crate::nemesis::Step| {
                    step.iter().all(|fault| planned.strikes.iter().any(|it| it.fault == *fault))
                };
                assert!(plan.iter().any(meets), "{}: {step:?} is not in its run", mutant.name);
            }
        }
        let names: std::collections::BTreeSet<_> = MUTANTS.iter().map(|it| it.name).collect();
        assert_eq!((names.len(), MUTANTS.len()), (20, 20));
    }
}
