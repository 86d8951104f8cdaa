//! Whether other rooms feel a flood.

use std::collections::BTreeMap;

use serde::Serialize;

/// So many times the quiet figure is that beside a flood at most.
const FELT: f64 = 2.0;
/// A p99 of fewer deliveries is the noise of a few of them.
const ENOUGH: usize = 50;
/// A median of fewer seconds is the noise of one.
const SECONDS: usize = 3;

/// How late the rooms were that nobody flooded. Each second has a p99 of its own, and the median of those
/// counts: a flood that is felt is felt all the while, whereas whoever else works on the machine comes
/// and goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Neighbours {
    /// While nothing went on, milliseconds.
    pub quiet_ms: f64,
    /// While another room was flooded and nothing else went on, milliseconds.
    pub flood_ms: f64,
}

impl Neighbours {
    /// Whether that is too much.
    pub(super) fn feel_it(&self) -> bool {
        self.flood_ms > FELT * self.quiet_ms
    }
}

/// The second of the sending → how late each delivery was, microseconds.
type Seconds = BTreeMap<u64, Vec<u64>>;

#[derive(Debug, Default)]
pub(super) struct Measured {
    quiet: Seconds,
    flood: Seconds,
}

impl Measured {
    pub fn quiet(&mut self, sent: u64, late: u64) {
        self.quiet.entry(sent / 1_000_000).or_default().push(late);
    }

    pub fn beside_flood(&mut self, sent: u64, late: u64) {
        self.flood.entry(sent / 1_000_000).or_default().push(late);
    }

    /// None if there was no flood, or too little to tell.
    pub fn finish(self) -> Option<Neighbours> {
        Some(Neighbours { quiet_ms: usual_p99(self.quiet)?, flood_ms: usual_p99(self.flood)? })
    }
}

fn usual_p99(seconds: Seconds) -> Option<f64> {
    let enough = seconds.into_values().filter(|it| it.len() >= ENOUGH);
    let mut p99s: Vec<u64> = enough.map(|it| at(it, 0.99)).collect();
    p99s.sort_unstable();
    (p99s.len() >= SECONDS).then(|| at(p99s, 0.5) as f64 / 1000.0)
}

/// The value that this share is at most.
fn at(mut values: Vec<u64>, share: f64) -> u64 {
    values.sort_unstable();
    values[((values.len() as f64 * share).ceil() as usize).saturating_sub(1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred deliveries a second, so many ms late.
    fn seconds(late: &[u64]) -> Seconds {
        (0..).zip(late.iter().map(|ms| vec![ms * 1000; 100])).collect()
    }

    fn measured(quiet: &[u64], flood: &[u64]) -> Option<Neighbours> {
        Measured { quiet: seconds(quiet), flood: seconds(flood) }.finish()
    }

    #[test]
    fn a_busy_second_of_the_machine_is_not_the_floods() {
        let it = measured(&[9, 10, 11], &[10, 300, 11]).expect("enough");
        assert_eq!(it, Neighbours { quiet_ms: 10.0, flood_ms: 11.0 });
        assert!(!it.feel_it());
    }

    #[test]
    fn nor_does_one_hide_what_the_flood_does() {
        assert!(measured(&[9, 300, 11], &[25, 10, 30]).expect("enough").feel_it());
    }

    #[test]
    fn one_in_a_hundred_is_beyond_the_p99_and_two_are_not() {
        let among = |late: usize| at([vec![1; 100 - late], vec![300; late]].concat(), 0.99);
        assert_eq!((among(1), among(2)), (1, 300));
    }

    #[test]
    fn too_little_tells_nothing() {
        assert_eq!(measured(&[10, 10, 10], &[300, 300]), None);
        assert_eq!(measured(&[10, 10, 10], &[]), None);
        let few = seconds(&[300; 5]).into_iter().map(|(at, it)| (at, it[..ENOUGH - 1].to_vec()));
        assert_eq!(usual_p99(few.collect()), None);
    }
}
