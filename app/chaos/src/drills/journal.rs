//! `deploys.jsonl`, as an operator's tools would read it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde::Deserialize;
use tokio::time::sleep;

/// The outcome of a step that has only begun.
const BEGUN: &str = "begun";

/// A step of a deploy, or with phase `deploy` the whole.
#[derive(Debug, Deserialize)]
pub struct Step {
    pub replica: String,
    pub phase: String,
    pub seconds: f64,
    pub forced: u64,
    pub outcome: String,
    pub reason: String,
}

/// The journal from a moment on.
pub struct Journal {
    path: PathBuf,
    skip: usize,
}

impl Journal {
    /// Of what is written from now on.
    pub fn from_now(path: PathBuf) -> Self {
        let skip = lines(&path).len();
        Self { path, skip }
    }

    /// The steps so far that have ended.
    pub fn steps(&self) -> anyhow::Result<Vec<Step>> {
        let parse = |line: &String| serde_json::from_str(line).with_context(|| line.clone());
        let mut steps: Vec<Step> =
            lines(&self.path).iter().skip(self.skip).map(parse).collect::<anyhow::Result<_>>()?;
        steps.retain(|step| step.outcome != BEGUN);
        Ok(steps)
    }

    /// The replica that came first in the order of turns: the one with fewest connections, and who that is is chance.
    pub fn first_turn(&self) -> anyhow::Result<String> {
        let first = self.steps()?.into_iter().map(|it| it.replica).find(|it| !it.is_empty());
        first.context("no replica had a turn")
    }

    /// The first step that is so.
    pub fn find(&self, replica: &str, phase: &str) -> anyhow::Result<Step> {
        let found = self.steps()?.into_iter().find(|it| it.replica == replica && it.phase == phase);
        found.with_context(|| format!("the journal has no {phase} of {replica}"))
    }

    /// Waits for the first such step of any replica, which it names.
    pub async fn first(&self, phase: &str) -> anyhow::Result<String> {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            if let Some(step) = self.steps()?.into_iter().find(|it| it.phase == phase) {
                return Ok(step.replica);
            }
            if Instant::now() > until {
                bail!("nobody ever came to a {phase}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn lines(path: &PathBuf) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
