//! The stack's journal of deploys (`deploys.jsonl`), a JSON object a line, followed as it grows.

use std::{io::SeekFrom, path::PathBuf, time::Duration};

use serde::Deserialize;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    sync::mpsc,
    time::sleep,
};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Steps that may wait for whoever follows.
const WAITING: usize = 64;

/// A line: a step of a deploy begins or has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Step {
    /// What the deploy is for, such as `rolling to 1.1.0`.
    pub what: String,
    /// Whose turn it is in; empty if it is about the deploy as a whole.
    pub replica: String,
    /// `start`, `smoke`, `canary`, `drain`, …; `deploy` for the whole.
    pub phase: String,
    /// `begun`, or how it ended.
    pub outcome: String,
    /// Why it failed, or what else there is to say.
    pub reason: String,
}

impl Step {
    pub fn is_begin(&self) -> bool {
        self.outcome == "begun"
    }

    /// Whether it is about the deploy as a whole.
    pub fn is_whole(&self) -> bool {
        self.phase == "deploy"
    }
}

/// Tells what is added from now on, for as long as somebody listens.
pub fn follow(path: PathBuf) -> mpsc::Receiver<Step> {
    let (sender, receiver) = mpsc::channel(WAITING);
    // What is in it now is of earlier deploys.
    let mut journal = Journal { at: length(&path), path, rest: Vec::new() };
    tokio::spawn(async move {
        loop {
            // A stack that was never deployed has none yet.
            for step in journal.news().await.unwrap_or_default() {
                if sender.send(step).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = sender.closed() => return,
            }
        }
    });
    receiver
}

fn length(path: &PathBuf) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// How far the file has been read.
struct Journal {
    path: PathBuf,
    at: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Journal {
    /// The steps that were added. A file that became shorter is another one.
    async fn news(&mut self) -> std::io::Result<Vec<Step>> {
        let mut file = File::open(&self.path).await?;
        if file.metadata().await?.len() < self.at {
            (self.at, self.rest) = (0, Vec::new());
        }
        file.seek(SeekFrom::Start(self.at)).await?;
        self.at += file.read_to_end(&mut self.rest).await? as u64;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(Vec::new());
        };
        let lines: Vec<u8> = self.rest.drain(..=end).collect();
        let lines = lines.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    #[tokio::test]
    async fn what_is_added_is_told_once_whole_and_a_new_file_from_its_beginning() {
        let path = std::env::temp_dir().join(format!("bots-journal-{}", std::process::id()));
        let line = |phase| format!("{{\"phase\":\"{phase}\",\"outcome\":\"begun\",\"moved\":0}}\n");
        std::fs::write(&path, line("of an earlier deploy") + &line("and so is this"))
            .expect("a file");
        let mut steps = follow(path.clone());
        let add = |text: &str| {
            let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
            file.write_all(text.as_bytes()).expect("written");
        };
        let whole = line("drain");
        add(&whole[..9]);
        tokio::time::sleep(2 * LOOK_EVERY).await;
        add(&whole[9..]);
        let step = steps.recv().await.expect("a step");
        assert!(step.is_begin() && step.phase == "drain", "{step:?}");
        std::fs::write(&path, line("stop")).expect("another file");
        assert_eq!(steps.recv().await.expect("a step").phase, "stop");
        std::fs::remove_file(path).expect("it was there");
    }
}
