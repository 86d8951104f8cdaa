//! The journal of deploys, a JSON object a line, followed as it grows.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
    sync::mpsc,
};

use crate::event::{End, Phase, Seconds, What};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What is read at a time at most.
const CHUNK: u64 = 1024 * 1024;
/// The phase of lines that are about the deploy as a whole.
const WHOLE: &str = "deploy";
/// The outcome of a step that has only begun.
const BEGUN: &str = "begun";

/// One line.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    what: String,
    #[serde(default)]
    replica: String,
    phase: String,
    outcome: String,
    #[serde(default)]
    reason: String,
    seconds: Option<f64>,
    #[serde(default)]
    moved: u64,
}

/// Tells the steps of deploys for as long as somebody listens: of one that is under way from its beginning.
pub async fn follow(path: PathBuf, out: mpsc::Sender<What>) {
    let mut reading = Reading::default();
    let mut is_first = true;
    loop {
        // A stack that was never deployed has none yet.
        let lines = reading.news(&path).await.unwrap_or_default();
        let phases: Vec<_> = lines.iter().filter_map(|line| read(line)).collect();
        let told = if is_first { under_way(phases) } else { phases };
        is_first = false;
        for phase in told {
            if out.send(What::Phase(phase)).await.is_err() {
                return;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How far the file has been read.
#[derive(Debug, Default)]
struct Reading {
    at: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Reading {
    /// The lines that were added. A file that became shorter is another one.
    async fn news(&mut self, path: &Path) -> io::Result<Vec<String>> {
        let mut file = File::open(path).await?;
        if file.metadata().await?.len() < self.at {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.at)).await?;
        let mut lines = Vec::new();
        loop {
            let mut bytes = Vec::new();
            let read = (&mut file).take(CHUNK).read_to_end(&mut bytes).await?;
            if read == 0 {
                return Ok(lines);
            }
            self.at += read as u64;
            self.rest.extend(bytes);
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }
}

fn read(line: &str) -> Option<Phase> {
    let line: Line = serde_json::from_str(line).ok()?;
    let is_begin = line.outcome == BEGUN;
    Some(Phase {
        is: if is_begin { End::Begin } else { End::End },
        seconds: line.seconds.filter(|_| !is_begin).map(Seconds),
        moved: line.moved,
        outcome: Some(line.outcome).filter(|_| !is_begin),
        words: Some(line.reason).filter(|words| !words.is_empty()),
        what: Some(line.what).filter(|_| line.phase == WHOLE),
        replica: line.replica,
        phase: line.phase,
    })
}

/// Of what a journal has told so far, the deploy that has not ended.
fn under_way(mut phases: Vec<Phase>) -> Vec<Phase> {
    let begins = |phase: &Phase| phase.phase == WHOLE && phase.is == End::Begin;
    match phases.iter().rposition(|phase| phase.phase == WHOLE) {
        Some(last) if begins(&phases[last]) => phases.split_off(last),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(replica: &str, phase: &str, outcome: &str) -> String {
        format!(
            "{{\"deploy\":\"d1\",\"who\":\"me\",\"what\":\"rolling to 1.1.0\",\"release\":\"1.1.0\",\"replica\":\"{replica}\",\
             \"phase\":\"{phase}\",\"seconds\":1.5,\"outcome\":\"{outcome}\",\"reason\":\"\"}}\n"
        )
    }

    #[tokio::test]
    async fn lines_are_told_once_whole_and_a_new_file_from_its_beginning() {
        let path =
            std::env::temp_dir().join(format!("rollcall-stage-{}.jsonl", std::process::id()));
        let mut reading = Reading::default();
        let text = line("r1", "start", BEGUN);
        let (half, rest) = text.split_at(20);
        std::fs::write(&path, half).expect("a file");
        assert!(reading.news(&path).await.expect("read").is_empty());
        std::fs::write(&path, format!("{half}{rest}")).expect("a file");
        let lines = reading.news(&path).await.expect("read");
        let phase = read(&lines[0]).expect("a phase");
        assert_eq!((phase.is, phase.seconds, phase.outcome), (End::Begin, None, None));
        std::fs::write(&path, "{}\n").expect("a file");
        assert_eq!(reading.news(&path).await.expect("read").len(), 1);
        std::fs::remove_file(&path).expect("it was there");
    }

    #[test]
    fn only_a_deploy_that_is_under_way_is_told_at_the_beginning() {
        let read_all = |lines: &[String]| lines.iter().filter_map(|line| read(line)).collect();
        let ended = [line("", WHOLE, BEGUN), line("r1", "start", "ok"), line("", WHOLE, "done")];
        assert!(under_way(read_all(&ended)).is_empty());
        let all = [&ended[..], &[line("", WHOLE, BEGUN), line("r1", "start", BEGUN)]].concat();
        let told = under_way(read_all(&all));
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].what.as_deref(), Some("rolling to 1.1.0"));
    }
}
