//! What a rolling update says of itself, in the file that it writes.

use std::path::Path;

use anyhow::{Context, ensure};
use rollcall_checker::history::{self, Recorder, What};
use serde::Deserialize;

/// The file.
#[derive(Debug, Deserialize)]
struct Rolls {
    release: String,
    replicas: Vec<Turn>,
}

/// A replica's turn.
#[derive(Debug, Deserialize)]
struct Turn {
    replica: String,
    #[serde(default)]
    from: Option<String>,
    seconds: f64,
    #[serde(default)]
    ansible_seconds: f64,
    #[serde(default)]
    forced: u64,
}

/// Writes the turns of a roll into the history.
///
/// # Errors
///
/// If there is no such file, or it says nothing: then no turn is in the history, and the checker misses it.
pub fn record(path: &Path, recorder: &Recorder) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the roll wrote no {}", path.display()))?;
    let rolls: Rolls = serde_json::from_str(&text)
        .with_context(|| format!("{} is no rolls file", path.display()))?;
    ensure!(!rolls.release.is_empty(), "{} names no release", path.display());
    for Turn { replica, from, seconds, ansible_seconds, forced } in rolls.replicas {
        let to = rolls.release.clone();
        let turn = history::Turn { replica, from, to, seconds, ansible_seconds, forced };
        recorder.record(What::Turn(turn));
    }
    Ok(())
}
