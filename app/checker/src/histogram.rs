/// How often each duration came, to 3 %. Microseconds go in.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    longest: u64,
}

/// Buckets of one power of two.
const STEPS: u64 = 32;
const BITS: u32 = STEPS.trailing_zeros();

impl Histogram {
    pub fn add(&mut self, micros: u64) {
        let bucket = bucket(micros);
        if self.counts.len() <= bucket {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.total += 1;
        self.longest = self.longest.max(micros);
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn longest(&self) -> u64 {
        self.longest
    }

    /// What this share of all is at most.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        let reaches = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        self.counts.iter().position(reaches).map_or(0, upper_bound).min(self.longest)
    }
}

fn bucket(micros: u64) -> usize {
    let power = micros.max(1).ilog2();
    let bucket = match power.checked_sub(BITS) {
        None => micros,
        Some(shift) => (u64::from(shift) + 1) * STEPS + (micros >> shift) % STEPS,
    };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The longest duration of a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let (power, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    match power.checked_sub(1) {
        None => step,
        Some(shift) => ((STEPS + step + 1) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_hold_what_they_say() {
        for micros in (0..10_000).chain([1 << 20, (1 << 40) + 17, u64::MAX >> 1]) {
            let bound = upper_bound(bucket(micros));
            assert!(bound >= micros && bound <= micros + micros / 32 + 1, "{micros}: {bound}");
            assert!(bucket(micros) <= bucket(micros + 1));
        }
    }

    #[test]
    fn quantiles_are_of_what_went_in() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|ms| histogram.add(ms * 1000));
        let median = histogram.quantile(0.5);
        assert!((500_000..=516_000).contains(&median), "{median}");
        assert_eq!(histogram.quantile(1.0), 1_000_000);
        assert_eq!(Histogram::default().quantile(0.99), 0);
    }
}
