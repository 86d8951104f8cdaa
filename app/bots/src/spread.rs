//! The few figures by which a distribution is told.

use serde::Serialize;

/// Percentiles by nearest rank, so each is a value that was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Spread {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Spread {
    /// From microseconds to milliseconds, to a tenth.
    pub fn of_micros(values: impl IntoIterator<Item = u32>) -> Self {
        let mut values: Vec<u32> = values.into_iter().collect();
        values.sort_unstable();
        let rank = |percent: usize| {
            let index = (values.len() * percent).div_ceil(100).max(1) - 1;
            let micros = values.get(index).copied().unwrap_or(0);
            (f64::from(micros) / 100.0).round() / 10.0
        };
        Self { p50: rank(50), p99: rank(99), max: rank(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn ranks_are_nearest() {
        let spread = Spread::of_micros((1..=200).map(|n| n * 1000));
        assert_eq!(spread, Spread { p50: 100.0, p99: 198.0, max: 200.0 });
        assert_eq!(Spread::of_micros([]), Spread::default());
        assert_eq!(Spread::of_micros([1500]), Spread { p50: 1.5, p99: 1.5, max: 1.5 });
    }
}
