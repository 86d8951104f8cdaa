//! A stack's journal of deploys (`deploys.jsonl` in its directory), a JSON object a line, followed as it grows.

use std::{
    io::{self, SeekFrom},
    path::PathBuf,
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    time::sleep,
};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is read at a time at most.
const CHUNK: u64 = 1024 * 1024;

/// A line: a step of a deploy begins or has ended.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
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
    /// How long it took.
    pub seconds: Option<f64>,
    /// Clients that it moved.
    pub moved: u64,
    /// Clients that it closed because they had not moved by the deadline.
    pub forced: u64,
}

impl Step {
    /// Whether it has only begun.
    #[must_use]
    pub fn is_begin(&self) -> bool {
        self.outcome == "begun"
    }

    /// Whether it is about the deploy as a whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.phase == "deploy"
    }
}

/// A journal, and how far it has been read.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    at: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Journal {
    /// From its beginning. There need be none yet.
    #[must_use]
    pub fn whole(path: PathBuf) -> Self {
        Self { path, at: 0, rest: Vec::new() }
    }

    /// From now on: what is in it already is of earlier deploys.
    #[must_use]
    pub fn from_now(path: PathBuf) -> Self {
        let at = std::fs::metadata(&path).map_or(0, |file| file.len());
        Self { path, at, rest: Vec::new() }
    }

    /// Waits for steps that were not told before. If it is dropped before that, some may not be told any more.
    pub async fn next(&mut self) -> Vec<Step> {
        loop {
            let steps = self.news().await;
            if !steps.is_empty() {
                return steps;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The steps that were added since. What is no step is passed over.
    pub async fn news(&mut self) -> Vec<Step> {
        // A stack that was never deployed has no journal yet.
        let lines = self.lines().await.unwrap_or_default();
        let steps = lines.iter().filter_map(|line| serde_json::from_slice::<Step>(line).ok());
        steps.filter(|step| !step.phase.is_empty()).collect()
    }

    /// The lines that were added. A file that became shorter is another one.
    async fn lines(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut file = File::open(&self.path).await?;
        if file.metadata().await?.len() < self.at {
            (self.at, self.rest) = (0, Vec::new());
        }
        file.seek(SeekFrom::Start(self.at)).await?;
        let mut lines = Vec::new();
        loop {
            let read = (&mut file).take(CHUNK).read_to_end(&mut self.rest).await?;
            if read == 0 {
                return Ok(lines);
            }
            self.at += read as u64;
            let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let whole: Vec<u8> = self.rest.drain(..end).collect();
            let found = whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines.extend(found.map(<[u8]>::to_vec));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write};

    use super::*;

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("rollcall-journal-{name}-{}", std::process::id()))
    }

    fn line(phase: &str) -> String {
        format!(
            "{{\"deploy\":\"d1\",\"phase\":\"{phase}\",\"outcome\":\"begun\",\"seconds\":1.5}}\n"
        )
    }

    #[tokio::test]
    async fn what_is_added_is_told_once_whole_and_a_new_file_from_its_beginning() {
        let path = path("added");
        std::fs::write(&path, line("of an earlier deploy")).expect("a file");
        let mut journal = Journal::from_now(path.clone());
        let add = |text: &str| {
            let mut file = OpenOptions::new().append(true).open(&path).expect("it is there");
            file.write_all(text.as_bytes()).expect("written");
        };
        let whole = line("drain");
        add(&whole[..9]);
        assert_eq!(journal.news().await, []);
        add(&(whole[9..].to_owned() + "no step\n{}\n\n"));
        let steps = journal.next().await;
        assert_eq!((steps.len(), &*steps[0].phase, steps[0].seconds), (1, "drain", Some(1.5)));
        assert!(steps[0].is_begin() && !steps[0].is_whole());
        std::fs::write(&path, line("stop")).expect("another file");
        assert_eq!(journal.next().await[0].phase, "stop");
        std::fs::remove_file(path).expect("it was there");
    }

    #[tokio::test]
    async fn one_that_is_longer_than_is_read_at_a_time_is_told_whole() {
        let path = path("long");
        let mut journal = Journal::whole(path.clone());
        assert_eq!(journal.news().await, [], "there is none yet");
        let count = usize::try_from(CHUNK).expect("small") * 2 / line("drain").len();
        std::fs::write(&path, line("drain").repeat(count)).expect("a file");
        assert_eq!(journal.news().await.len(), count);
        std::fs::remove_file(path).expect("it was there");
    }
}
