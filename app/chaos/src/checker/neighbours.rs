//! Whether other rooms feel a flood.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::histogram::Histogram;

/// So many times the quiet figure is that beside a flood at most.
const FELT: f64 = 2.0;
/// A p99 of fewer deliveries is the noise of a few of them.
const ENOUGH: u64 = 500;
/// The same, of the deliveries of one second.
const ENOUGH_OF_A_SECOND: u64 = 50;
/// A median of fewer seconds is the noise of one: then the p99 of all stands for it.
const SECONDS: u64 = 3;

/// How late the rooms were that nobody flooded, milliseconds.
///
/// The p99 of all deliveries finds what a flood does to some of them, as its first burst may. A busy
/// machine spoils it on either side, so that it may hide what a flood does all the while: that is for
/// the p99 that a second usually has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Neighbours {
    /// While nothing went on.
    pub quiet: Lateness,
    /// While another room was flooded and nothing else went on.
    pub flood: Lateness,
}

/// Of deliveries at one kind of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Lateness {
    /// p99 of all.
    pub p99_ms: f64,
    /// Median of the p99s of each second.
    pub usual_p99_ms: f64,
}

impl Neighbours {
    /// Whether that is too much.
    pub(super) fn feel_it(&self) -> bool {
        let Self { quiet, flood } = self;
        flood.p99_ms > FELT * quiet.p99_ms || flood.usual_p99_ms > FELT * quiet.usual_p99_ms
    }
}

impl fmt::Display for Neighbours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { quiet, flood } = self;
        let of =
            |it: &Lateness| format!("{:.1} ms, of a second {:.1} ms", it.p99_ms, it.usual_p99_ms);
        write!(f, "p99 beside a flood {}; quiet {}", of(flood), of(quiet))
    }
}

/// How late deliveries were, together and by the second of the sending.
#[derive(Debug, Default)]
pub(super) struct Measured {
    all: Histogram,
    seconds: BTreeMap<u64, Histogram>,
}

impl Measured {
    /// Both in microseconds.
    pub fn add(&mut self, sent: u64, late: u64) {
        self.all.add(late);
        self.seconds.entry(sent / 1_000_000).or_default().add(late);
    }

    /// None if there is too little to tell.
    pub fn finish(&self) -> Option<Lateness> {
        let mut seconds = Histogram::default();
        let full = self.seconds.values().filter(|it| it.total() >= ENOUGH_OF_A_SECOND);
        full.for_each(|it| seconds.add(it.quantile(0.99)));
        let p99 = self.all.quantile(0.99);
        let usual = if seconds.total() >= SECONDS { seconds.quantile(0.5) } else { p99 };
        let ms = |micros| micros as f64 / 1000.0;
        let enough = self.all.total() >= ENOUGH;
        enough.then(|| Lateness { p99_ms: ms(p99), usual_p99_ms: ms(usual) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many deliveries a second, so many ms late.
    fn measured(count: u64, late: &[u64]) -> Option<Lateness> {
        let mut measured = Measured::default();
        for (second, ms) in (0..).zip(late) {
            (0..count).for_each(|_| measured.add(second * 1_000_000, ms * 1000));
        }
        measured.finish()
    }

    fn felt(quiet: &[u64], flood: &[u64]) -> bool {
        let of = |late| measured(200, late).expect("enough");
        Neighbours { quiet: of(quiet), flood: of(flood) }.feel_it()
    }

    #[test]
    fn a_flood_may_double_what_is_usual() {
        assert!(!felt(&[9, 10, 11], &[15, 17, 19]));
        assert!(felt(&[9, 10, 11], &[24, 25, 26]));
    }

    #[test]
    fn a_burst_is_found_that_is_over_in_a_second() {
        assert!(felt(&[9, 10, 11, 9, 10], &[300, 10, 11, 9, 10]));
    }

    #[test]
    fn a_busy_second_does_not_hide_what_the_flood_does_all_the_while() {
        assert!(felt(&[9, 300, 11], &[25, 26, 30]));
    }

    #[test]
    fn too_little_tells_nothing() {
        assert!(measured(ENOUGH / 4, &[10; 3]).is_none(), "few deliveries");
        let few_seconds = measured(ENOUGH, &[1, 30]).expect("enough");
        assert_eq!(few_seconds.usual_p99_ms, few_seconds.p99_ms);
        let thin = measured(ENOUGH_OF_A_SECOND - 1, &[&[1; 50][..], &[30; 50]].concat());
        assert!(thin.is_some_and(|it| it.usual_p99_ms == it.p99_ms), "seconds of a few");
    }
}
