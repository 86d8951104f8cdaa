//! When what breaks: a pure function of a seed.

use std::{iter::repeat_n, time::Duration};

use rand::{
    RngExt, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use super::fault::{About, Fault, Part};
use crate::cluster::REPLICAS;

/// What a step is given to do, undo and recover, besides its faults' own time.
const RECOVERY: Duration = Duration::from_secs(4);
/// What a roll of three replicas takes, about.
const ROLL: Duration = Duration::from_secs(45);

/// Least time between one fault's end and the next one's beginning.
const PEACE: Duration = Duration::from_secs(3);
/// One flood tells how the machine was just then. These, each with a pause after it, tell what a flood does.
const FLOODS: usize = 4;
/// Its aftermath, and about as long as it lasted.
const AFTER_FLOOD: Duration = Duration::from_secs(12);

/// One fault at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// Which.
    pub fault: Fault,
    /// The replica that it hits, or that is killed in the middle of a roll; others ignore it.
    pub replica: &'static str,
    /// How long it lasts.
    pub hold: Duration,
}

/// What happens at one time: one fault, or two at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// From 1.
    pub number: u32,
    /// From the first client's start. Steps before it may take longer than planned; it waits.
    pub at: Duration,
    /// One or two.
    pub strikes: Vec<Strike>,
}

/// Steps for `length`: first each of `faults` alone, in any order, and a flood several times; then pairs, and now and
/// then a deploy. A clock that jumps comes once, last of all: what is lost after it can have higher IDs than what comes
/// then, and by the order of IDs the checker tells what a loss can have taken.
#[must_use]
pub fn plan(seed: u64, length: Duration, every: Duration, faults: &[Fault]) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    let others: Vec<Fault> =
        faults.iter().copied().filter(|fault| *fault != Fault::RedisClockJump).collect();
    if others.is_empty() || others.len() == faults.len() {
        return alone_then_pairs(&mut rng, length, every, faults);
    }
    let strikes = vec![strike(&mut rng, Fault::RedisClockJump.about(), &REPLICAS)];
    let mut last = Step { number: 1, at: every, strikes };
    let until = length.saturating_sub(last.takes(every));
    let mut steps = alone_then_pairs(&mut rng, until, every, &others);
    if let Some(before) = steps.last() {
        (last.number, last.at) = (before.number + 1, before.at + before.takes(every));
        steps.push(last);
    }
    steps
}

fn alone_then_pairs(
    rng: &mut StdRng,
    length: Duration,
    every: Duration,
    faults: &[Fault],
) -> Vec<Step> {
    let mut alone: Vec<&About> = faults.iter().map(|fault| fault.about()).collect();
    alone.shuffle(rng);
    let times = |about: &About| if about.fault == Fault::Flood { FLOODS } else { 1 };
    let mut alone = alone.into_iter().flat_map(|about| repeat_n(about, times(about)));
    schedule(length, every, || match alone.next() {
        Some(about) => vec![strike(rng, about, &REPLICAS)],
        None => pair(rng, faults),
    })
}

/// A length that a plan of these needs at least, lest it be without a single step.
#[must_use]
pub fn least(every: Duration, faults: &[Fault]) -> Duration {
    let alone = |fault: &Fault| {
        let about = fault.about();
        let hold = Duration::from_secs(*about.seconds.end());
        let strikes = vec![Strike { fault: *fault, replica: REPLICAS[0], hold }];
        Step { number: 1, at: every, strikes }.takes(every)
    };
    faults.iter().map(alone).max().unwrap_or_default()
}

/// Steps for `length`: these again and again, each all its faults at once. None if there are no steps.
#[must_use]
pub fn repeated(seed: u64, length: Duration, every: Duration, steps: &[&[Fault]]) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut steps = steps.iter().cycle().peekable();
    if steps.peek().is_none() {
        return Vec::new();
    }
    schedule(length, every, || {
        let faults = steps.next().into_iter().copied().flatten();
        faults.map(|fault| strike(&mut rng, fault.about(), &REPLICAS)).collect()
    })
}

fn schedule(length: Duration, every: Duration, mut next: impl FnMut() -> Vec<Strike>) -> Vec<Step> {
    let (mut at, mut steps) = (every, Vec::new());
    for number in 1.. {
        let step = Step { number, at, strikes: next() };
        at += step.takes(every);
        if at > length + every {
            break;
        }
        steps.push(step);
    }
    steps
}

impl Step {
    /// Least time between its end and the next one's beginning, also when steps take longer than planned.
    #[must_use]
    pub fn peace(&self) -> Duration {
        let is_flood = |strike: &Strike| strike.fault == Fault::Flood;
        if self.strikes.iter().any(is_flood) { AFTER_FLOOD } else { PEACE }
    }

    /// Its time, in whole intervals.
    fn takes(&self, every: Duration) -> Duration {
        let own = |strike: &Strike| match strike.fault.about().part {
            Part::Deploy => ROLL,
            _ => strike.hold,
        };
        let longest = self.strikes.iter().map(own).max().unwrap_or_default();
        let longest = longest + RECOVERY.max(self.peace());
        let intervals = longest.as_millis().div_ceil(every.as_millis().max(1));
        every * u32::try_from(intervals).unwrap_or(u32::MAX)
    }
}

fn strike(rng: &mut StdRng, about: &About, replicas: &[&'static str]) -> Strike {
    let replica = replicas.choose(rng).copied().unwrap_or(REPLICAS[0]);
    let hold = Duration::from_secs(rng.random_range(about.seconds.clone()));
    Strike { fault: about.fault, replica, hold }
}

/// Two faults of different parts, or of two replicas. A single one where no two fit, as beside a deploy.
fn pair(rng: &mut StdRng, faults: &[Fault]) -> Vec<Strike> {
    let Some(first) = faults.choose(rng) else { return Vec::new() };
    let first = strike(rng, first.about(), &REPLICAS);
    let part = first.fault.about().part;
    if part == Part::Deploy {
        return vec![first];
    }
    let fits = |about: &&About| match about.part {
        Part::Deploy => false,
        Part::Replica if part == Part::Replica => about.fault != first.fault,
        other => other != part,
    };
    let second: Vec<&About> = faults.iter().map(|fault| fault.about()).filter(fits).collect();
    let others: Vec<&'static str> =
        REPLICAS.into_iter().filter(|replica| *replica != first.replica).collect();
    let second = second.choose(rng).map(|about| strike(rng, about, &others));
    [Some(first), second].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::{super::FAULTS, FLOODS, Fault, Part, least, plan, repeated};

    const EVERY: Duration = Duration::from_secs(10);

    fn all() -> Vec<Fault> {
        FAULTS.iter().map(|about| about.fault).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_plan_and_another_seed_another() {
        let minutes = Duration::from_secs(600);
        assert_eq!(plan(7, minutes, EVERY, &all()), plan(7, minutes, EVERY, &all()));
        assert_ne!(plan(7, minutes, EVERY, &all()), plan(8, minutes, EVERY, &all()));
    }

    #[test]
    fn ten_minutes_hit_every_fault_alone_whatever_the_seed() {
        for seed in 0..200 {
            let steps = plan(seed, Duration::from_secs(600), EVERY, &all());
            let alone = steps.iter().filter(|step| step.strikes.len() == 1);
            let hit: BTreeSet<Fault> = alone.map(|step| step.strikes[0].fault).collect();
            assert_eq!(hit.len(), FAULTS.len(), "seed {seed}");
        }
    }

    #[test]
    fn a_clock_jumps_once_and_nothing_is_lost_after_that() {
        let is_jump = |step: &super::Step| {
            step.strikes.iter().any(|strike| strike.fault == Fault::RedisClockJump)
        };
        for minutes in [2, 10, 60] {
            let steps = plan(minutes, Duration::from_secs(60 * minutes), EVERY, &all());
            let jumps: Vec<_> = steps.iter().filter(|step| is_jump(step)).collect();
            assert_eq!(jumps, [steps.last().expect("steps")]);
            assert!(jumps[0].at <= Duration::from_secs(60 * minutes), "{:?}", jumps[0].at);
        }
        let alone = plan(7, Duration::from_secs(60), EVERY, &[Fault::RedisClockJump]);
        assert!(alone.len() > 3 && alone.iter().all(is_jump));
    }

    #[test]
    fn floods_come_one_after_another_with_a_pause_after_each() {
        let steps = plan(7, Duration::from_secs(600), Duration::from_secs(5), &all());
        let is_flood = |step: &super::Step| step.strikes[0].fault == Fault::Flood;
        let first = steps.iter().position(is_flood).expect("a flood");
        for pair in steps[first..=first + FLOODS].windows(2) {
            assert!(is_flood(&pair[0]));
            let pause = pair[1].at - pair[0].at - pair[0].strikes[0].hold;
            assert!(pause >= pair[0].peace(), "{pause:?}");
        }
    }

    #[test]
    fn the_least_length_is_enough_for_each_fault_and_less_may_not_be() {
        for about in FAULTS {
            let least = least(EVERY, &[about.fault]);
            for seed in 0..20 {
                assert_ne!(plan(seed, least, EVERY, &[about.fault]), [], "{}", about.name);
            }
        }
        assert_eq!(plan(1, Duration::from_secs(48), EVERY, &[Fault::Roll]), []);
    }

    #[test]
    fn given_steps_come_again_and_again_with_all_their_faults() {
        let steps: &[&[Fault]] = &[&[Fault::RedisCutDrop, Fault::Flood], &[Fault::RedisTrim]];
        let planned = repeated(5, Duration::from_secs(100), EVERY, steps);
        assert!(planned.len() >= 4, "{}", planned.len());
        for (step, wanted) in planned.iter().zip(steps.iter().cycle()) {
            let faults: Vec<Fault> = step.strikes.iter().map(|strike| strike.fault).collect();
            assert_eq!(faults, *wanted);
        }
        assert_eq!(repeated(5, Duration::from_secs(100), EVERY, &[]), []);
    }

    #[test]
    fn an_hour_has_many_rolls_whatever_the_seed() {
        for seed in 0..50 {
            let steps = plan(seed, Duration::from_secs(3_600), EVERY, &all());
            let is_roll = |step: &&super::Step| step.strikes[0].fault.about().part == Part::Deploy;
            let rolls = steps.iter().filter(is_roll).count();
            assert!(rolls >= 5, "{rolls} with seed {seed}");
        }
    }

    #[test]
    fn two_faults_at_once_do_not_hit_the_same_thing() {
        let steps = plan(3, Duration::from_secs(7_200), EVERY, &all());
        let pairs: Vec<_> = steps.iter().filter(|step| step.strikes.len() == 2).collect();
        assert!(pairs.len() > 200, "{}", pairs.len());
        for step in pairs {
            let [a, b] = &step.strikes[..] else { panic!("two") };
            let (part, other) = (a.fault.about().part, b.fault.about().part);
            assert!(part != Part::Deploy && other != Part::Deploy, "{step:?}");
            assert!(part != other || (part == Part::Replica && a.replica != b.replica), "{step:?}");
        }
    }
}
