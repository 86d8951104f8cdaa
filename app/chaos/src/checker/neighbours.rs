//! Whether other rooms feel a flood.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::histogram::Histogram;

/// So many times the quiet figure is that beside a flood at most.
const FELT: f64 = 2.0;
/// A p99 of fewer deliveries is the noise of a few of them.
const ENOUGH: u64 = 500;
/// The same, where it is one p99 of several: of a stretch, and of a second.
const ENOUGH_OF_A_STRETCH: u64 = 200;
const ENOUGH_OF_A_SECOND: u64 = 50;
/// Of fewer p99s none is usual: then that of all deliveries stands for it.
const FEW: u64 = 3;
/// This share of the stretches is no worse than what counts. Half would let every second flood harm others.
const MOST: f64 = 2.0 / 3.0;
const HALF: f64 = 0.5;

/// How late the rooms were that nobody flooded, milliseconds.
///
/// What a flood does, each of them does. So where there were several, that p99 counts which most of
/// them stay within, beside that of quiet stretches: a machine that is slow for a minute makes one flood or
/// some stretches worse, and most of neither. It finds what a flood does to a few deliveries, as its first
/// burst may. The p99 that a second usually has finds what it does all the while.
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
    /// Two in three stretches stay within it. That of all deliveries where either kind had too few stretches.
    pub p99_ms: f64,
    /// Median of the p99s of each second.
    pub usual_p99_ms: f64,
}

impl Neighbours {
    /// None if there is too little to tell.
    pub(super) fn of(quiet: &Measured, flood: &Measured) -> Option<Self> {
        let repeated =
            [quiet, flood].iter().all(|it| it.stretches.p99s(ENOUGH_OF_A_STRETCH).total() >= FEW);
        let lateness = |it: &Measured| it.finish(repeated);
        Some(Self { quiet: lateness(quiet)?, flood: lateness(flood)? })
    }

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

/// How late deliveries were: together, by the stretch of time they were sent in, and by the second.
#[derive(Debug, Default)]
pub(super) struct Measured {
    all: Histogram,
    stretches: Parts,
    seconds: Parts,
}

#[derive(Debug, Default)]
struct Parts(BTreeMap<u64, Histogram>);

impl Parts {
    /// Of those with so many deliveries.
    fn p99s(&self, enough: u64) -> Histogram {
        let mut p99s = Histogram::default();
        let full = self.0.values().filter(|it| it.total() >= enough);
        full.for_each(|it| p99s.add(it.quantile(0.99)));
        p99s
    }
}

impl Measured {
    /// The `stretch` is one flood, or the quiet between two faults; the times are in microseconds.
    pub fn add(&mut self, stretch: usize, sent: u64, late: u64) {
        self.all.add(late);
        self.stretches.0.entry(stretch as u64).or_default().add(late);
        self.seconds.0.entry(sent / 1_000_000).or_default().add(late);
    }

    /// None if there is too little to tell.
    fn finish(&self, repeated: bool) -> Option<Lateness> {
        let all = self.all.quantile(0.99);
        let (stretches, seconds) =
            (self.stretches.p99s(ENOUGH_OF_A_STRETCH), self.seconds.p99s(ENOUGH_OF_A_SECOND));
        let p99 = if repeated { stretches.quantile(MOST) } else { all };
        let usual = if seconds.total() >= FEW { seconds.quantile(HALF) } else { all };
        let ms = |micros| micros as f64 / 1000.0;
        let enough = self.all.total() >= ENOUGH;
        enough.then(|| Lateness { p99_ms: ms(p99), usual_p99_ms: ms(usual) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many deliveries a second, so many ms late, in stretches.
    fn measured(count: u64, stretches: &[&[u64]]) -> Measured {
        let mut measured = Measured::default();
        let late = stretches.iter().enumerate();
        let late = late.flat_map(|(stretch, late)| late.iter().map(move |ms| (stretch, ms)));
        for (second, (stretch, ms)) in (0..).zip(late) {
            (0..count).for_each(|_| measured.add(stretch, second * 1_000_000, ms * 1000));
        }
        measured
    }

    fn felt(quiet: &[&[u64]], flood: &[&[u64]]) -> bool {
        let of = |late| measured(200, late);
        Neighbours::of(&of(quiet), &of(flood)).expect("enough").feel_it()
    }

    #[test]
    fn a_flood_may_double_what_is_usual() {
        assert!(!felt(&[&[9, 10, 11]], &[&[15, 17, 19]]));
        assert!(felt(&[&[9, 10, 11]], &[&[24, 25, 26]]));
    }

    #[test]
    fn a_burst_is_found_that_is_over_in_a_second() {
        assert!(felt(&[&[9, 10, 11, 9, 10]], &[&[300, 10, 11, 9, 10]]));
    }

    #[test]
    fn a_busy_second_does_not_hide_what_the_flood_does_all_the_while() {
        assert!(felt(&[&[9, 300, 11]], &[&[25, 26, 30]]));
    }

    const CALM: &[u64] = &[9, 10, 11];
    const SLOW: &[u64] = &[9, 90, 11];

    #[test]
    fn what_most_floods_do_is_found_and_one_slow_minute_of_the_machine_is_not_theirs() {
        assert!(felt(&[CALM, CALM, CALM], &[SLOW, SLOW, CALM]));
        assert!(felt(&[CALM, CALM, CALM], &[SLOW, SLOW, CALM, CALM]), "half are too many");
        assert!(felt(&[CALM, CALM, SLOW], &[SLOW, SLOW, CALM]), "nor does one hide it");
        assert!(!felt(&[CALM, CALM, CALM], &[SLOW, CALM, CALM]));
        assert!(felt(&[CALM, CALM, CALM], &[SLOW, CALM]), "of two, each counts");
    }

    #[test]
    fn too_little_tells_nothing() {
        let lateness = |count, late| measured(count, &[late]).finish(false);
        assert!(lateness(ENOUGH / 4, &[10; 3]).is_none(), "few deliveries");
        let few_seconds = lateness(ENOUGH, &[1, 30]).expect("enough");
        assert_eq!(few_seconds.usual_p99_ms, few_seconds.p99_ms);
        let thin = lateness(ENOUGH_OF_A_SECOND - 1, &[&[1; 50][..], &[30; 50]].concat());
        assert!(thin.is_some_and(|it| it.usual_p99_ms == it.p99_ms), "seconds of a few");
    }
}
