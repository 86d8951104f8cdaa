//! Recordings: one event a line, the stage's first line saying which version.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use anyhow::{Context, anyhow, bail, ensure};
use serde::Deserialize;

use crate::event::{Event, VERSION, What};

/// A recording has at most so many bytes: an hour with 2,000 people is a tenth of it.
const BYTES: u64 = 512 * 1024 * 1024;
/// What is wrong with a line is said in at most so many characters.
const SAID: usize = 200;

/// Reads a recording. A last line that is not whole is left out: the disk was full, or the stage was killed.
///
/// # Errors
///
/// If there is none, or it is not one of this version, each said in one line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Event>> {
    let shown = path.display();
    let cannot = || format!("cannot read the recording {shown}");
    // A pipe would be waited for as soon as it is opened, and a device has no end.
    let found = fs::metadata(path).with_context(cannot)?;
    ensure!(found.is_file(), "{shown} is no recording: it is no regular file");
    let length = found.len();
    ensure!(length <= BYTES, "{shown} has {length} bytes; a recording has at most {BYTES}");
    let file = File::open(path).with_context(cannot)?;
    let told = parse(BufReader::new(file.take(BYTES)));
    let (events, is_torn) =
        told.with_context(|| format!("{shown} is no recording that can be shown"))?;
    if is_torn {
        eprintln!("rollcall-stage: the last line of {shown} is not whole, and is left out");
    }
    Ok(events)
}

/// The version alone, of whatever there is in the first line.
#[derive(Deserialize)]
struct First {
    event: String,
    v: u32,
}

/// The events, and whether the last line was not whole.
fn parse(mut lines: impl BufRead) -> anyhow::Result<(Vec<Event>, bool)> {
    let mut events: Vec<Event> = Vec::new();
    let (mut line, mut is_torn) = (Vec::new(), false);
    for number in 1.. {
        line.clear();
        if lines.read_until(b'\n', &mut line).with_context(|| format!("line {number}"))? == 0 {
            break;
        }
        if events.is_empty() {
            check_version(&line)?;
        }
        let event: Event = match serde_json::from_slice(line.trim_ascii_end()) {
            Ok(event) => event,
            Err(_) if line.last() != Some(&b'\n') && !events.is_empty() => {
                is_torn = true;
                break;
            }
            Err(error) => return Err(anyhow!("line {number}: {}", in_one_line(&error))),
        };
        let last = events.last().map_or(0, |last| last.at);
        ensure!(event.at >= last, "line {number}: at {} after {last}", event.at);
        events.push(event);
    }
    match events.first() {
        Some(Event { what: What::Stage(_), .. }) => Ok((events, is_torn)),
        _ => bail!("it is empty"),
    }
}

/// What is wrong with a line, whatever is in the line: an error repeats names as they are.
fn in_one_line(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let plain = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let mut told: String = said.chars().take(SAID).map(plain).collect();
    if said.chars().nth(SAID).is_some() {
        told.push('…');
    }
    told
}

fn check_version(line: &[u8]) -> anyhow::Result<()> {
    let first: Option<First> = serde_json::from_slice(line).ok();
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
        let (events, _) = parse(lines.join("\n").as_bytes()).expect("a recording");
        let written: Vec<_> =
            events.iter().map(|it| serde_json::to_string(it).expect("JSON")).collect();
        assert_eq!(written, lines);
    }

    #[test]
    fn no_more_is_written_than_can_be_read() {
        let path =
            std::env::temp_dir().join(format!("rollcall-stage-{}.jsonl", std::process::id()));
        let mut recorder = Recorder::create(&path).expect("a file");
        let event = parse(FIRST.as_bytes()).expect("a recording").0.remove(0);
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
                &format!("{FIRST}\n{{\"at\":1,\"event\":\"nothing\"}}\n"),
                "line 2: unknown variant `nothing`",
            ),
            (
                &format!("{FIRST}\n{{\"at\":1,\"event\":\"a\\n\\u001b[2J\"}}\n"),
                "line 2: unknown variant `a\u{fffd}\u{fffd}[2J`",
            ),
            (
                &format!("{FIRST}\n{{\"at\":1,\"event\":\"{}\"}}\n", "ä".repeat(3_000_000)),
                "line 2: unknown variant `ää",
            ),
            (&format!("{FIRST}\n{{\"at\":\n{FIRST}"), "line 2: EOF while parsing"),
            (&format!("{FIRST}\n{FIRST}\n\n"), "line 3"),
            (
                &format!("{FIRST}\n{{\"at\":7,\"event\":\"replicas\",\"replicas\":[]}}\n{FIRST}"),
                "line 3: at 0 after 7",
            ),
        ];
        for (text, words) in faults {
            let told = refusal(text);
            let is_plain = told.chars().count() < 250 && !told.contains(char::is_control);
            assert!(told.starts_with(words) && is_plain, "{told}");
        }
    }

    #[test]
    fn a_last_line_that_is_not_whole_is_left_out() {
        let whole = format!("{FIRST}\n{FIRST}");
        let (events, is_torn) = parse(whole.as_bytes()).expect("a recording");
        assert!(events.len() == 2 && !is_torn, "it has all but the end of its line");
        for length in FIRST.len() + 2..whole.len() {
            let (events, is_torn) = parse(&whole.as_bytes()[..length]).expect("a recording");
            assert!(events.len() == 1 && is_torn, "{length}");
        }
        // In the middle of a letter.
        let torn = [FIRST.as_bytes(), b"\n{\"at\":1,\"room\":\"\xc3"].concat();
        assert!(parse(&*torn).expect("a recording").1);
        assert!(parse(&FIRST.as_bytes()[..20]).is_err(), "there is no whole line");
    }
}
