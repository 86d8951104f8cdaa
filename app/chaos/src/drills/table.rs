//! The table of what changes while everybody talks: `tiers.json`, and the same in Markdown.

use std::fmt::{self, Write};

use serde::Serialize;

use super::{Outcome, Row};

const HEAD: [&str; 9] = [
    "change",
    "lost, twice, reordered",
    "failed requests",
    "forced, abrupt",
    "moves per client",
    "silence",
    "slowest send",
    "delivery p99",
    "held",
];

/// The table.
#[derive(Debug, Serialize)]
pub struct Table {
    /// Whether each row is within its bounds.
    pub ok: bool,
    /// Clients that talked, besides the one at the page.
    pub clients: usize,
    /// What the rows showed.
    pub rows: Vec<Line>,
}

/// One of its lines.
#[derive(Debug, Serialize)]
pub struct Line {
    /// What changed.
    pub change: &'static str,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Table {
    /// An empty one; nothing is proven by it.
    #[must_use]
    pub fn new(clients: usize) -> Self {
        Self { ok: false, clients, rows: Vec::new() }
    }

    /// Adds what a row showed.
    pub fn add(&mut self, row: &Row, outcome: Outcome) {
        self.rows.push(Line { change: row.change, outcome });
        self.ok = self.rows.iter().all(|line| line.outcome.passed);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", HEAD.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(HEAD.len()))?;
        self.rows.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { felt, passed, .. } = &self.outcome;
        let mut requests = format!("{} of {}", felt.requests_failed, felt.requests);
        if felt.sends_retried > 0 {
            write!(requests, ", and {} sends retried", felt.sends_retried)?;
        }
        let moves = match felt.most_moves {
            0 => "0".to_owned(),
            most => format!("{most} at most, {:.2} on average", felt.moves_per_client),
        };
        let cells = [
            self.change.to_owned(),
            format!(
                "{}, {}, {} of {}",
                felt.messages_lost, felt.messages_twice, felt.messages_reordered, felt.messages
            ),
            requests,
            format!("{}, {}", felt.forced, felt.abrupt),
            moves,
            format!("{} ms", felt.silence_ms),
            format!("{} ms", felt.slowest_send_ms),
            format!("{} ms", felt.delivery_p99_ms),
            if *passed { "yes" } else { "**no**" }.to_owned(),
        ];
        write!(f, "| {} |", cells.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ROWS, Outcome, Table};

    fn outcome(passed: bool) -> Outcome {
        let mut outcome = Outcome::not_held("x", &anyhow::anyhow!("it broke"));
        (outcome.passed, outcome.felt.requests, outcome.felt.most_moves) = (passed, 900, 1);
        outcome
    }

    #[test]
    fn a_table_holds_if_each_of_its_rows_does() {
        let mut table = Table::new(300);
        assert!(!table.ok, "of nothing nothing is proven");
        table.add(&ROWS[0], outcome(true));
        assert!(table.ok);
        table.add(&ROWS[1], outcome(false));
        table.add(&ROWS[2], outcome(true));
        assert!(!table.ok);
        let told = table.to_string();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines.len(), 5, "{told}");
        assert!(lines.iter().all(|line| line.matches('|').count() == 10), "{told}");
        assert!(lines[2].ends_with("| yes |") && lines[3].ends_with("| **no** |"), "{told}");
        assert!(lines[2].contains("| 0 of 900 |") && lines[3].starts_with("| release: rollback |"));
    }
}
