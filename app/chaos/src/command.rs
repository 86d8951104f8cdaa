//! What the two programs have in common as commands: a stack of their own that goes again, Ctrl-C, and
//! reports that nobody takes for those of another run.

use std::{fs, io::ErrorKind, path::Path, process::ExitCode};

use anyhow::Context;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::Stack;

/// What a shell reports for a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Works on a stack until it is done or interrupted, and takes the stack down whatever happens, unless
/// it is to be kept.
///
/// # Errors
///
/// The work's own, and what kept the stack from going.
pub async fn on_stack(
    stack: &Stack,
    keep: bool,
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let done = tokio::select! {
        done = work => done,
        _ = terminate.recv() => Ok(ExitCode::from(INTERRUPTED)),
        _ = interrupt.recv() => Ok(ExitCode::from(INTERRUPTED)),
    };
    if keep { done } else { stack.down_after(done).await }
}

/// Success if all is well.
#[must_use]
pub fn exit_code(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A report from before must not be taken for that of a run that never came to its own.
///
/// # Errors
///
/// If there is one that cannot be removed.
pub fn forget(report: &Path) -> anyhow::Result<()> {
    match fs::remove_file(report) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", report.display()))
        }
        _ => Ok(()),
    }
}

/// Writes a report as JSON.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(report: &Path, what: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(what)? + "\n";
    fs::write(report, text).with_context(|| format!("cannot write {}", report.display()))
}
