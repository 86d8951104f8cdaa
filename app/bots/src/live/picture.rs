//! How it looks: a few lines on a terminal, or one sentence in a log.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str, truncate_str};

use super::board::{Doing, Glance, Line, Row};
use crate::roll_call::Paint;

/// Below this nothing would be seen of it.
pub const NARROWEST: usize = 60;
/// Wider lines are hard to read.
const WIDEST: usize = 100;
/// Of people on a replica.
const BAR: usize = 24;

/// The colour of each release, the oldest first, and its shade for whoever does not see colours.
const OLD: (&str, &str) = ("34", "▓");
const NEW: (&str, &str) = ("32", "█");
const DIM: &str = "2";
const BOLD: &str = "1";
const BAD: &str = "1;31";
const GOOD: &str = "32";

/// So many lines at most, with these replicas.
pub fn height(replicas: usize) -> usize {
    replicas + 9
}

/// The picture, line by line, for a terminal of this width.
pub fn picture(glance: &Glance, width: usize) -> Vec<String> {
    let width = width.min(WIDEST) - 1;
    let mut lines = vec![String::new(), headline(glance, width), String::new()];
    let fullest = glance.replicas.iter().map(|row| row.people.iter().sum()).max().unwrap_or(0);
    // A bar keeps its length while people only change places.
    let usual = glance.here.max(glance.expected) * 3 / 2 / glance.replicas.len().max(1);
    let scale = usual.max(fullest).max(1);
    lines.extend(glance.replicas.iter().map(|row| replica(row, &glance.releases, scale)));
    lines.push(String::new());
    lines.extend(glance.lines.iter().map(said));
    lines.push(String::new());
    lines.push(figures(glance));
    lines.iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
}

/// The same as one line without colours.
pub fn sentence(glance: &Glance) -> String {
    let replicas: Vec<_> =
        glance.replicas.iter().map(|row| in_words(row, &glance.releases)).collect();
    let figures = [
        replicas.join("; "),
        format!("lost {}, twice {}, moved {}", glance.lost, glance.twice, glance.moved),
        format!("p99 {}", delay(glance.p99)),
    ];
    format!("{}  {}", clock(glance.since), figures.join("; "))
}

/// Minutes and seconds.
pub fn clock(since: Duration) -> String {
    let seconds = since.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn headline(glance: &Glance, width: usize) -> String {
    let here = format!("{} of {} are here   {}", glance.here, glance.expected, clock(glance.since));
    let room = width.saturating_sub(measure_text_width(&here) + 4);
    let title = pad_str(&glance.title, room, Alignment::Left, Some("…"));
    format!("  {}  {}", paint(BOLD, &title), paint(DIM, &here))
}

fn replica(row: &Row, releases: &[String], scale: usize) -> String {
    let mut bar = String::new();
    let mut cells = 0;
    for (index, people) in row.people.iter().enumerate() {
        // One person alone is one cell.
        let length = (people * BAR).div_ceil(scale).min(BAR - cells);
        let (colour, shade) = look(index, releases.len());
        bar += &paint(colour, &shade.repeat(length));
        cells += length;
    }
    let rest = paint(DIM, &"·".repeat(BAR - cells));
    let counts: Vec<_> = (row.people.iter().zip(releases).enumerate())
        .filter(|(_, (people, _))| **people > 0)
        .map(|(index, (people, release))| {
            paint(look(index, releases.len()).0, &format!("{release}: {people}"))
        })
        .collect();
    let counts = pad_str(&counts.join("  "), 24, Alignment::Left, None).into_owned();
    format!("  {:<4}{bar}{rest}  {counts}  {}", row.name, doing(&row.doing, Paint::Colours))
}

/// The release before the last is the old one, and what came before looks like it.
fn look(index: usize, releases: usize) -> (&'static str, &'static str) {
    if index > 0 && index + 1 == releases { NEW } else { OLD }
}

fn in_words(row: &Row, releases: &[String]) -> String {
    let counts: Vec<_> = (row.people.iter().zip(releases))
        .filter(|(people, _)| **people > 0)
        .map(|(people, release)| format!("{people} on {release}"))
        .collect();
    let people = if counts.is_empty() { "nobody".to_owned() } else { counts.join(" + ") };
    match doing(&row.doing, Paint::Plain) {
        doing if doing.is_empty() => format!("{} {people}", row.name),
        doing => format!("{} {people}, {doing}", row.name),
    }
}

fn doing(doing: &Doing, paint: Paint) -> String {
    match doing {
        Doing::Nothing => String::new(),
        Doing::Phase(phase) => paint.wrap(BOLD, phase),
        Doing::Drain { left, told } => paint.wrap(BOLD, &format!("drain: {left} of {told} moved")),
        Doing::Failed(why) => paint.wrap(BAD, why),
        Doing::Ended(how) => paint.wrap(GOOD, how),
    }
}

fn said(Line { room, who, words }: &Line) -> String {
    format!(
        "  {}  {} {words}",
        paint(DIM, &format!("#{room:<13}")),
        paint(BOLD, &format!("{who}:"))
    )
}

fn figures(glance: &Glance) -> String {
    let wrong = |count: u64| paint(if count == 0 { GOOD } else { BAD }, &count.to_string());
    let [moved, p99] = [glance.moved.to_string(), delay(glance.p99)].map(|it| paint(BOLD, &it));
    let (lost, twice) = (wrong(glance.lost), wrong(glance.twice));
    format!("  lost {lost}   twice {twice}   moved {moved}   99 of 100 within {p99}")
}

fn delay(p99: Option<Duration>) -> String {
    p99.map_or_else(|| "–".to_owned(), |p99| format!("{:.0} ms", p99.as_secs_f64() * 1e3))
}

fn paint(colour: &str, text: &str) -> String {
    Paint::Colours.wrap(colour, text)
}
