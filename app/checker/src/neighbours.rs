//! Whether other rooms feel a flood.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::histogram::Histogram;

/// So many times the quiet figure is that beside a flood at most.
const FELT: f64 = 2.0;
/// A p99 of fewer deliveries is the noise of a few of them: of a stretch, and of a second.
const ENOUGH_OF_A_STRETCH: u64 = 200;
const ENOUGH_OF_A_SECOND: u64 = 50;
/// Of fewer p99s none is usual.
pub(super) const FEW: u64 = 3;
/// This share of the stretches is no worse than what counts. Half would let every second flood harm others.
const MOST: f64 = 2.0 / 3.0;
const HALF: f64 = 0.5;

/// How late the rooms were that nobody flooded, milliseconds.
///
/// What a flood does, each of them does; a machine that is slow for a minute, or stops for a tenth of a second, makes
/// one of them worse. So several floods are compared with the pauses after them, by the p99 that most stay
/// within: it finds what a flood does to a few deliveries, as its first burst may. The p99 that a second
/// usually has finds what it does all the while.
///
/// One flood and all the quiet of a run, as it was before, cannot be told from two quiet stretches: of those, one was
/// more than twice as late as the other in 8 to 19 of 100. With four of each it was none, and by the second two (ten
/// runs of this harness on two cores, quiet stretches put in the floods' place).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Neighbours {
    /// In the pauses after floods.
    pub quiet: Lateness,
    /// While another room was flooded and nothing else went on.
    pub flood: Lateness,
}

/// Of deliveries at one kind of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Lateness {
    /// Two in three stretches stay within it.
    pub p99_ms: f64,
    /// Median of the p99s of each second.
    pub usual_p99_ms: f64,
}

impl Neighbours {
    /// None if there is too little to tell.
    pub(super) fn of(quiet: &Measured, flood: &Measured) -> Option<Self> {
        Some(Self { quiet: quiet.finish()?, flood: flood.finish()? })
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

/// How late deliveries were, by the stretch of time they were sent in, and by the second.
#[derive(Debug, Default)]
pub(super) struct Measured {
    stretches: Parts,
    seconds: Parts,
}

#[derive(Debug, Default)]
struct Parts(BTreeMap<u64, Histogram>);

impl Parts {
    /// That p99, ms, which this share of those with so many deliveries stay within. None of too few.
    fn p99(&self, enough: u64, share: f64) -> Option<f64> {
        let mut p99s = Histogram::default();
        let full = self.0.values().filter(|it| it.total() >= enough);
        full.for_each(|it| p99s.add(it.quantile(0.99)));
        (p99s.total() >= FEW).then(|| p99s.quantile(share) as f64 / 1000.0)
    }
}

impl Measured {
    /// The `stretch` is one flood, or the pause after one; the times are in microseconds.
    pub fn add(&mut self, stretch: usize, sent: u64, late: u64) {
        self.stretches.0.entry(stretch as u64).or_default().add(late);
        self.seconds.0.entry(sent / 1_000_000).or_default().add(late);
    }

    /// How many there were, whatever was delivered in them.
    pub fn stretches(&self) -> u64 {
        self.stretches.0.len() as u64
    }

    /// None if there is too little to tell.
    fn finish(&self) -> Option<Lateness> {
        Some(Lateness {
            p99_ms: self.stretches.p99(ENOUGH_OF_A_STRETCH, MOST)?,
            usual_p99_ms: self.seconds.p99(ENOUGH_OF_A_SECOND, HALF)?,
        })
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

    const CALM: &[u64] = &[9, 10, 11];
    const BURST: &[u64] = &[9, 90, 11];
    const WORSE: &[u64] = &[15, 17, 19];
    const BAD: &[u64] = &[24, 25, 26];
    const LONG: &[u64] = &[10; 9];

    #[test]
    fn a_flood_may_double_what_is_usual() {
        assert!(!felt(&[CALM; 4], &[WORSE; 4]));
        assert!(felt(&[CALM; 4], &[BAD; 4]));
    }

    #[test]
    fn a_burst_is_found_that_is_over_in_a_second() {
        assert!(felt(&[CALM; 4], &[BURST; 4]));
        assert!(felt(&[CALM; 4], &[BURST, CALM, BURST, CALM]), "of every second flood");
    }

    #[test]
    fn a_slow_moment_of_the_machine_is_neither_a_floods_doing_nor_hides_it() {
        assert!(!felt(&[CALM; 4], &[BURST, CALM, CALM, CALM]));
        assert!(felt(&[BURST, CALM, CALM, CALM], &[BURST; 4]));
    }

    #[test]
    fn a_busy_second_does_not_hide_what_the_flood_does_all_the_while() {
        assert!(felt(&[BURST; 4], &[BAD; 4]));
    }

    #[test]
    fn too_little_tells_nothing() {
        let told = |count, stretches: &[&[u64]]| measured(count, stretches).finish().is_some();
        assert!(told(ENOUGH_OF_A_STRETCH, &[CALM; 3]));
        assert!(!told(ENOUGH_OF_A_STRETCH, &[CALM; 2]), "few stretches");
        assert!(!told(ENOUGH_OF_A_SECOND, &[CALM; 3]), "few deliveries of a stretch");
        assert!(!told(ENOUGH_OF_A_SECOND - 1, &[LONG; 3]), "few deliveries of a second");
    }
}
