//! The harness's own test: servers that are wrong in one way each, all of which it must catch.

use std::{path::Path, time::Duration};

use crate::{
    checker::{self, Anomaly},
    cluster::Stack,
    nemesis::{Fault, repeated},
    run::{self, Settings},
};

/// The image that can be told to be wrong, made by `scripts/build --mutants`.
const RELEASE: &str = "mutant";
/// How often the exposing fault strikes.
const EVERY: Duration = Duration::from_secs(10);
const LENGTH: Duration = Duration::from_secs(40);

/// A way to be wrong, and what brings it to light.
#[derive(Debug)]
pub struct Mutant {
    /// As the server's `ROLLCALL_MUTANT` knows it.
    pub name: &'static str,
    /// What shows it, again and again: steps, each of faults at once. None if it always shows.
    pub steps: &'static [&'static [Fault]],
    /// Of these at least one must be found: another anomaly would be an accident.
    pub shows_as: &'static [Anomaly],
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "no-dedup",
        steps: &[&[Fault::ResendStorm], &[Fault::RedisPauseLong]],
        shows_as: &[Anomaly::Duplicate],
    },
    Mutant {
        name: "resume-from-tail",
        steps: &[&[Fault::HaproxyKill]],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::Unseen],
    },
    Mutant {
        name: "ack-before-append",
        steps: &[&[Fault::RedisFull], &[Fault::ReplicaKill]],
        shows_as: &[Anomaly::LostWrite],
    },
    Mutant {
        name: "timeout-is-failure",
        steps: &[&[Fault::RedisPauseLong]],
        shows_as: &[Anomaly::AbortedRead],
    },
    Mutant {
        name: "ignore-falling-behind",
        // A feed has to outrun a replica that is cut off from it.
        steps: &[&[Fault::RedisCutDrop, Fault::Flood]],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::Unseen],
    },
    Mutant { name: "swap-deliveries", steps: &[], shows_as: &[Anomaly::SkippedMessage] },
    Mutant { name: "drop-one", steps: &[&[Fault::Flood]], shows_as: &[Anomaly::SkippedMessage] },
    Mutant {
        name: "never-gap",
        steps: &[&[Fault::RedisFlushall], &[Fault::RedisTrim]],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::SilentLoss],
    },
    Mutant {
        name: "forget-feed-cursor",
        steps: &[&[Fault::RedisCutReset]],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::Unseen],
    },
    Mutant { name: "presence-stays", steps: &[], shows_as: &[Anomaly::Presence] },
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
}

/// Runs one mutant on a fresh stack.
///
/// # Errors
///
/// If the stack or the run failed: then nothing was proven.
pub async fn run(
    stack: &Stack,
    mutant: &Mutant,
    seed: u64,
    history: &Path,
) -> anyhow::Result<Outcome> {
    let mut stack = stack.clone();
    stack.env.insert("ROLLCALL_MUTANT".to_owned(), mutant.name.to_owned());
    let found = check(&stack, mutant.steps, seed, Some(mutant.name.to_owned()), history).await?;
    let ok = found.iter().any(|anomaly| mutant.shows_as.contains(anomaly));
    Ok(Outcome { mutant: mutant.name, faults: names(mutant.steps), found, ok })
}

/// Runs the same image with nothing wrong under all that exposes a mutant.
///
/// # Errors
///
/// As [`run`].
pub async fn control(stack: &Stack, seed: u64, history: &Path) -> anyhow::Result<Outcome> {
    let mut steps: Vec<&[Fault]> = Vec::new();
    for step in MUTANTS.iter().flat_map(|mutant| mutant.steps) {
        if !steps.contains(step) {
            steps.push(step);
        }
    }
    let found = check(stack, &steps, seed, None, history).await?;
    let ok = found.is_empty();
    Ok(Outcome { mutant: "none", faults: names(&steps), found, ok })
}

fn names(steps: &[&[Fault]]) -> Vec<&'static str> {
    steps.iter().copied().flatten().map(|fault| fault.about().name).collect()
}

async fn check(
    stack: &Stack,
    steps: &[&[Fault]],
    seed: u64,
    mutant: Option<String>,
    history: &Path,
) -> anyhow::Result<Vec<Anomaly>> {
    stack.down().await?;
    stack.up(RELEASE).await?;
    let length = LENGTH.max(EVERY * u32::try_from(2 * steps.len() + 1).unwrap_or(u32::MAX));
    let plan = repeated(seed, length, EVERY, steps);
    let convergence = Duration::from_secs(30);
    let settings = Settings { seed, plan, length, convergence, mutant };
    run::run(stack, &settings, history).await?;
    Ok(checker::check_file(history)?.anomalies.into_keys().collect())
}
