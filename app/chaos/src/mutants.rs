//! The harness's own test: servers that are wrong in one way each, all of which it must catch.

use std::{path::Path, time::Duration};

use crate::{
    checker::{self, Anomaly},
    cluster::Stack,
    nemesis::{Fault, plan},
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
    /// Faults under which it shows; none if it always does.
    pub faults: &'static [Fault],
    /// Of these at least one must be found: another anomaly would be an accident.
    pub shows_as: &'static [Anomaly],
}

/// All of them.
pub const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "no-dedup",
        faults: &[Fault::ResendStorm, Fault::RedisPauseLong],
        shows_as: &[Anomaly::Duplicate],
    },
    Mutant {
        name: "resume-from-tail",
        faults: &[Fault::HaproxyKill],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::Unseen],
    },
    Mutant {
        name: "ack-before-append",
        faults: &[Fault::RedisFull, Fault::ReplicaKill],
        shows_as: &[Anomaly::LostWrite],
    },
    Mutant {
        name: "timeout-is-failure",
        faults: &[Fault::RedisPauseLong],
        shows_as: &[Anomaly::AbortedRead],
    },
    Mutant {
        name: "ignore-falling-behind",
        faults: &[Fault::RedisCutDrop, Fault::Flood],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::Unseen],
    },
    Mutant { name: "swap-deliveries", faults: &[], shows_as: &[Anomaly::SkippedMessage] },
    Mutant { name: "drop-one", faults: &[Fault::Flood], shows_as: &[Anomaly::SkippedMessage] },
    Mutant {
        name: "never-gap",
        faults: &[Fault::RedisFlushall, Fault::RedisTrim],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::SilentLoss],
    },
    Mutant {
        name: "forget-feed-cursor",
        faults: &[Fault::RedisCutReset],
        shows_as: &[Anomaly::SkippedMessage, Anomaly::Unseen],
    },
    Mutant { name: "presence-stays", faults: &[], shows_as: &[Anomaly::Presence] },
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
    let found = check(&stack, mutant.faults, seed, Some(mutant.name.to_owned()), history).await?;
    let ok = found.iter().any(|anomaly| mutant.shows_as.contains(anomaly));
    Ok(Outcome { mutant: mutant.name, faults: names(mutant.faults), found, ok })
}

/// Runs the same image with nothing wrong under all the faults that expose a mutant.
///
/// # Errors
///
/// As [`run`].
pub async fn control(stack: &Stack, seed: u64, history: &Path) -> anyhow::Result<Outcome> {
    let mut faults: Vec<Fault> = MUTANTS.iter().flat_map(|mutant| mutant.faults).copied().collect();
    faults.sort();
    faults.dedup();
    let found = check(stack, &faults, seed, None, history).await?;
    let ok = found.is_empty();
    Ok(Outcome { mutant: "none", faults: names(&faults), found, ok })
}

fn names(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.about().name).collect()
}

async fn check(
    stack: &Stack,
    faults: &[Fault],
    seed: u64,
    mutant: Option<String>,
    history: &Path,
) -> anyhow::Result<Vec<Anomaly>> {
    stack.down().await?;
    stack.up(RELEASE).await?;
    // Every fault alone, twice.
    let faults = faults.repeat(2);
    let length = LENGTH.max(EVERY * u32::try_from(faults.len() + 1).unwrap_or(u32::MAX));
    let plan = plan(seed, length, EVERY, &faults);
    let convergence = Duration::from_secs(30);
    let settings = Settings { seed, plan, length, convergence, mutant };
    run::run(stack, &settings, history).await?;
    Ok(checker::check_file(history)?.anomalies.into_keys().collect())
}
