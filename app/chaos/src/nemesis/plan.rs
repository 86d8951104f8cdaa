//! When what breaks: a pure function of a seed.

use std::{collections::VecDeque, iter::repeat_n, time::Duration};

use rand::{
    RngExt, SeedableRng,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use super::fault::{About, Fault, Part};
use crate::cluster::REPLICAS;

/// What a step is given to do, undo and recover, besides its faults' own time.
const RECOVERY: Duration = Duration::from_secs(4);

/// Least time between one fault's end and the next one's beginning.
const PEACE: Duration = Duration::from_secs(3);
/// One flood tells how the machine was just then. These, each with a pause after it, tell what a flood does.
const FLOODS: usize = 4;
/// These last a minute once, too, where a plan has the time: longer than a lease, a heartbeat and every timeout.
const LASTING: [Fault; 6] = [
    Fault::ReplicaKill,
    Fault::ReplicaPause,
    Fault::RedisKill,
    Fault::RedisPauseLong,
    Fault::RedisCutDrop,
    Fault::HaproxyCutDrop,
];
const LASTS: Duration = Duration::from_secs(60);
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

/// Steps for `length`: first each of `faults` alone, in any order, and a flood several times; those of [`LASTING`] for
/// longer; then pairs, and now and then a deploy. Where there is no time for each alone, those that can be one of a pair
/// are from the beginning, and the others are as short as they may be. Clocks that are set come once, last of all: by the
/// order of IDs the checker tells what a loss can have taken.
#[must_use]
pub fn plan(seed: u64, length: Duration, every: Duration, faults: &[Fault]) -> Vec<Step> {
    let mut rng = StdRng::seed_from_u64(seed);
    let (clocks, others): (Vec<Fault>, Vec<Fault>) =
        faults.iter().partition(|fault| fault.sets_a_clock());
    if others.is_empty() || clocks.is_empty() {
        return first_then_pairs(&mut rng, length, every, faults);
    }
    let last: Vec<Vec<Strike>> =
        clocks.iter().map(|fault| vec![strike(&mut rng, fault.about(), &REPLICAS)]).collect();
    let last_takes: Duration = last.iter().map(|strikes| takes(strikes, every)).sum();
    let mut steps = first_then_pairs(&mut rng, length.saturating_sub(last_takes), every, &others);
    for strikes in last {
        let Some(before) = steps.last() else { break };
        let (number, at) = (before.number + 1, before.at + takes(&before.strikes, every));
        steps.push(Step { number, at, strikes });
    }
    steps
}

fn first_then_pairs(
    rng: &mut StdRng,
    length: Duration,
    every: Duration,
    faults: &[Fault],
) -> Vec<Step> {
    let mut first = alone(rng, faults);
    let total = |steps: &[Vec<Strike>]| steps.iter().map(|it| takes(it, every)).sum::<Duration>();
    // One fault again and again has no time that it lacks.
    if faults.len() > 1 && total(&first) > length {
        first.iter_mut().flatten().for_each(Strike::shorten);
        first = squeezed(first, |steps| total(steps) <= length);
    }
    let lasting = LASTING.iter().filter(|fault| faults.contains(fault));
    let lasting: Vec<Vec<Strike>> = lasting
        .map(|it| vec![Strike { hold: LASTS, ..strike(rng, it.about(), &REPLICAS) }])
        .collect();
    let mut first = first.into_iter().chain(lasting);
    schedule(length, every, || first.next().unwrap_or_else(|| pair(rng, faults)))
}

/// Each alone, in any order.
fn alone(rng: &mut StdRng, faults: &[Fault]) -> Vec<Vec<Strike>> {
    let mut alone: Vec<&About> = faults.iter().map(|fault| fault.about()).collect();
    alone.shuffle(rng);
    let times = |about: &About| if about.fault == Fault::Flood { FLOODS } else { 1 };
    let alone = alone.into_iter().flat_map(|about| repeat_n(about, times(about)));
    alone.map(|about| vec![strike(rng, about, &REPLICAS)]).collect()
}

/// The same strikes with one after the other put beside an earlier one that it fits, until they are `short` enough or none
/// fits any more. A flood tells what it does only if it is alone.
fn squeezed(steps: Vec<Vec<Strike>>, short: impl Fn(&[Vec<Strike>]) -> bool) -> Vec<Vec<Strike>> {
    let mut waiting: VecDeque<Vec<Strike>> = steps.into();
    let mut done: Vec<Vec<Strike>> = Vec::new();
    while let Some(mut step) = waiting.pop_front() {
        let all: Vec<Vec<Strike>> = done.iter().chain([&step]).chain(&waiting).cloned().collect();
        let beside = waiting.iter().position(|it| are_a_pair(&step, it)).filter(|_| !short(&all));
        step.extend(beside.and_then(|place| waiting.remove(place)).into_iter().flatten());
        done.push(step);
    }
    done
}

fn are_a_pair(a: &[Strike], b: &[Strike]) -> bool {
    let ([a], [b]) = (a, b) else { return false };
    let (part, other) = (a.fault.about().part, b.fault.about().part);
    let is_flood = a.fault == Fault::Flood || b.fault == Fault::Flood;
    let two_replicas = part == Part::Replica && a.replica != b.replica;
    !is_flood
        && part.can_be_one_of_two()
        && other.can_be_one_of_two()
        && (part != other || two_replicas)
}

/// A length that a plan of these needs at least, lest it be without a single step.
#[must_use]
pub fn least(every: Duration, faults: &[Fault]) -> Duration {
    let alone = |fault: &Fault| {
        let about = fault.about();
        let hold = Duration::from_secs(*about.seconds.end());
        let strikes = vec![Strike { fault: *fault, replica: REPLICAS[0], hold }];
        takes(&strikes, every)
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
        at += takes(&step.strikes, every);
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
}

impl Strike {
    /// As short as its fault may be, if it is one that is measured.
    fn shorten(&mut self) {
        let about = self.fault.about();
        if about.part == Part::Witnessed {
            self.hold = Duration::from_secs(*about.seconds.start());
        }
    }
}

/// The time of a step, in whole intervals.
fn takes(strikes: &[Strike], every: Duration) -> Duration {
    let step = Step { number: 0, at: Duration::ZERO, strikes: strikes.to_vec() };
    let own = |strike: &Strike| strike.hold + strike.fault.besides();
    let longest = strikes.iter().map(own).max().unwrap_or_default();
    let longest = longest + RECOVERY.max(step.peace());
    let intervals = longest.as_millis().div_ceil(every.as_millis().max(1));
    every * u32::try_from(intervals).unwrap_or(u32::MAX)
}

fn strike(rng: &mut StdRng, about: &About, replicas: &[&'static str]) -> Strike {
    let replica = replicas.choose(rng).copied().unwrap_or(REPLICAS[0]);
    // What is measured is measured for as long as it may be; a plan that lacks the time shortens it.
    let hold = match about.part {
        Part::Witnessed => *about.seconds.end(),
        _ => rng.random_range(about.seconds.clone()),
    };
    let hold = Duration::from_secs(hold);
    Strike { fault: about.fault, replica, hold }
}

/// Two faults of different parts, or of two replicas. A single one where no two fit, as beside a deploy.
fn pair(rng: &mut StdRng, faults: &[Fault]) -> Vec<Strike> {
    // What is measured takes minutes: now and then.
    let short: Vec<Fault> =
        faults.iter().copied().filter(|it| it.about().part != Part::Witnessed).collect();
    let firsts = if short.is_empty() || rng.random_ratio(1, 20) { faults } else { &short };
    let Some(first) = firsts.choose(rng) else { return Vec::new() };
    let first = strike(rng, first.about(), &REPLICAS);
    let part = first.fault.about().part;
    if !part.can_be_one_of_two() {
        return vec![first];
    }
    let fits = |about: &&About| match about.part {
        other if !other.can_be_one_of_two() => false,
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

    use super::{super::fault::FAULTS, FLOODS, Fault, Part, least, plan, repeated};

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
    fn a_quarter_of_an_hour_hits_every_fault_whatever_the_seed() {
        for seed in 0..200 {
            let steps = plan(seed, Duration::from_secs(900), EVERY, &all());
            let hit: BTreeSet<Fault> =
                steps.iter().flat_map(|step| &step.strikes).map(|strike| strike.fault).collect();
            assert_eq!(hit.len(), FAULTS.len(), "seed {seed}");
            let end = steps.last().map(|step| step.at).expect("steps");
            assert!(end <= Duration::from_secs(900), "seed {seed}: {end:?}");
        }
    }

    #[test]
    fn with_time_enough_every_fault_is_hit_alone_and_some_last_a_minute() {
        for seed in 0..200 {
            let steps = plan(seed, Duration::from_secs(1_800), EVERY, &all());
            let lasts = |step: &&super::Step| step.strikes[0].hold == super::LASTS;
            let lasting: BTreeSet<Fault> =
                steps.iter().filter(lasts).map(|step| step.strikes[0].fault).collect();
            assert!(super::LASTING.iter().all(|fault| lasting.contains(fault)), "seed {seed}");
            let alone = steps.iter().filter(|step| step.strikes.len() == 1);
            let hit: BTreeSet<Fault> = alone.map(|step| step.strikes[0].fault).collect();
            assert_eq!(hit.len(), FAULTS.len(), "seed {seed}");
        }
    }

    #[test]
    fn each_clock_jumps_once_and_nothing_is_lost_after_that() {
        let is_jump =
            |step: &super::Step| step.strikes.iter().any(|strike| strike.fault.sets_a_clock());
        for minutes in [4, 15, 60] {
            let steps = plan(minutes, Duration::from_secs(60 * minutes), EVERY, &all());
            let (before, jumps) = steps.split_at(steps.len() - 2);
            assert!(jumps.iter().all(is_jump) && !before.iter().any(is_jump));
            assert_ne!(jumps[0].strikes[0].fault, jumps[1].strikes[0].fault);
            assert!(jumps[1].at <= Duration::from_secs(60 * minutes), "{:?}", jumps[1].at);
        }
        let alone = plan(7, Duration::from_secs(60), EVERY, &[Fault::RedisClockJump]);
        assert!(alone.len() > 3 && alone.iter().all(is_jump));
    }

    #[test]
    fn floods_come_one_after_another_with_a_pause_after_each() {
        let steps = plan(7, Duration::from_secs(1_200), Duration::from_secs(5), &all());
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
            assert!(part.can_be_one_of_two() && other.can_be_one_of_two(), "{step:?}");
            assert!(part != other || (part == Part::Replica && a.replica != b.replica), "{step:?}");
        }
    }
}
