//! Recordings: one event a line, the stage's first line saying which version.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::event::{Event, VERSION, What};

/// A recording has at most so many bytes: an hour with 2,000 people is a tenth of it.
const BYTES: u64 = 512 * 1024 * 1024;

/// Reads a recording.
///
/// # Errors
///
/// If there is none, or it is not one of this version, each said in one line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Event>> {
    let shown = path.display();
    let file = File::open(path).with_context(|| format!("cannot read the recording {shown}"))?;
    let length = file.metadata().with_context(|| format!("cannot read {shown}"))?.len();
    ensure!(length <= BYTES, "{shown} has {length} bytes; a recording has at most {BYTES}");
    parse(BufReader::new(file))
        .with_context(|| format!("{shown} is no recording that can be shown"))
}

/// The version alone, of whatever there is in the first line.
#[derive(Deserialize)]
struct First {
    event: String,
    v: u32,
}

fn parse(lines: impl BufRead) -> anyhow::Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    for (number, line) in lines.lines().enumerate() {
        let line = line.with_context(|| format!("line {}", number + 1))?;
        if events.is_empty() {
            check_version(&line)?;
        }
        let event: Event =
            serde_json::from_str(&line).with_context(|| format!("line {}", number + 1))?;
        let last = events.last().map_or(0, |last| last.at);
        ensure!(event.at >= last, "line {}: at {} after {last}", number + 1, event.at);
        events.push(event);
    }
    match events.first() {
        Some(Event { what: What::Stage(_), .. }) => Ok(events),
        _ => bail!("it is empty"),
    }
}

fn check_version(line: &str) -> anyhow::Result<()> {
    let first: Option<First> = serde_json::from_str(line).ok();
    let Some(First { v, .. }) = first.filter(|first| first.event == "stage") else {
        bail!("line 1: a recording begins with the event \"stage\" and its version");
    };
    ensure!(v == VERSION, "it is of version {v}, and this program shows version {VERSION}");
    Ok(())
}

/// Writes a recording, each event as it comes.
#[derive(Debug)]
pub struct Recorder {
    file: BufWriter<File>,
    bytes: u64,
}

impl Recorder {
    /// Begins one. What was in the file is gone.
    ///
    /// # Errors
    ///
    /// If the file cannot be made.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path);
        let file = file.with_context(|| format!("cannot record into {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file), bytes: 0 })
    }

    /// Adds an event. It is in the file at once: whoever ends the stage loses nothing.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or nobody could read it afterwards.
    pub fn add(&mut self, event: &Event) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        self.bytes += line.len() as u64;
        ensure!(self.bytes <= BYTES, "a recording has at most {BYTES} bytes");
        self.file.write_all(&line)?;
        Ok(self.file.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{BYTES, Recorder, parse};

    const FIRST: &str = r#"{"at":0,"event":"stage","v":3,"room":"lobby"}"#;

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text.as_bytes()).expect_err("refused"))
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let lines = [
            FIRST,
            r#"{"at":5,"event":"replicas","replicas":[{"name":"r1","slots":[{"slot":"blue","release":"1.0.0","state":"up"}]}]}"#,
            r#"{"at":90,"event":"connections","list":[{"is":"goaway","replica":"r1","slot":"blue","number":3,"in_ms":40}]}"#,
            r#"{"at":91,"event":"phase","replica":"r1","phase":"smoke","is":"end","seconds":1.25,"outcome":"ok"}"#,
            r#"{"at":99,"event":"act","act":"roll","is":"begin","words":"Rolling"}"#,
            r#"{"at":99,"event":"verdict","ok":true,"clients":3,"absent":0,"messages":9,"deliveries":27,"lost":0,"doubled":0,"reordered":0,"moves":3}"#,
        ];
        let events = parse(lines.join("\n").as_bytes()).expect("a recording");
        let written: Vec<_> =
            events.iter().map(|it| serde_json::to_string(it).expect("JSON")).collect();
        assert_eq!(written, lines);
    }

    #[test]
    fn no_more_is_written_than_can_be_read() {
        let path =
            std::env::temp_dir().join(format!("rollcall-stage-{}.jsonl", std::process::id()));
        let mut recorder = Recorder::create(&path).expect("a file");
        let event = parse(FIRST.as_bytes()).expect("a recording").remove(0);
        recorder.add(&event).expect("it fits");
        let length = fs::metadata(&path).expect("a file").len();
        recorder.bytes = BYTES - length;
        recorder.add(&event).expect("it just fits");
        assert!(recorder.add(&event).is_err());
        assert_eq!(fs::metadata(&path).expect("a file").len(), 2 * length);
        fs::remove_file(&path).expect("a file");
        let mut full = Recorder::create(Path::new("/dev/full")).expect("a device");
        assert!(full.add(&event).is_err());
    }

    #[test]
    fn each_fault_is_one_plain_line() {
        let faults = [
            ("", "it is empty"),
            ("{", "line 1: a recording begins with"),
            (
                r#"{"at":0,"event":"stage","v":1,"old":1}"#,
                "it is of version 1, and this program shows version 3",
            ),
            (
                &format!("{FIRST}\n{{\"at\":1,\"event\":\"nothing\"}}"),
                "line 2: unknown variant `nothing`",
            ),
            (&format!("{FIRST}\n{FIRST}\n\n"), "line 3"),
            (
                &format!("{FIRST}\n{{\"at\":7,\"event\":\"replicas\",\"replicas\":[]}}\n{FIRST}"),
                "line 3: at 0 after 7",
            ),
        ];
        for (text, words) in faults {
            let told = refusal(text);
            assert!(told.starts_with(words) && !told.contains('\n'), "{text:?}: {told}");
        }
    }
}
