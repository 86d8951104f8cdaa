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
    /// Why the run came to no end: then nothing was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Runs one mutant on a fresh stack. The history of one that was not caught is kept.
pub async fn run(stack: &Stack, mutant: &Mutant, seed: u64, reports: &Path) -> Outcome {
    let mut stack = stack.clone();
    stack.env.insert("ROLLCALL_MUTANT".to_owned(), mutant.name.to_owned());
    let shows = |found: &[Anomaly]| found.iter().any(|it| mutant.shows_as.contains(it));
    judged(&stack, Some(mutant.name), mutant.steps, seed, reports, shows).await
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
    mutant: Option<&'static str>,
    steps: &[&[Fault]],
    seed: u64,
    reports: &Path,
    is_right: impl Fn(&[Anomaly]) -> bool,
) -> Outcome {
    let name = mutant.unwrap_or("none");
    let history = reports.join(format!("mutant-{name}.jsonl"));
    let (found, error) = match check(stack, steps, seed, mutant.map(str::to_owned), &history).await
    {
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
