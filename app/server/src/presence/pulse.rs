//! This replica's lease, and what its renewals say of the store. Pure.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::entry::Renewed;

/// How long an incarnation is believed alive without a renewal, where a member without a connection is for `member`. Such a
/// member may come back at once. Clients of a replica that stands still have to notice first, which takes them 2.5
/// heartbeats, and until then nobody may be told that they are gone. With a renewal every quarter of `member`, they have at
/// least 17/12 of it.
pub(crate) fn incarnation_lease(member: Duration) -> Duration {
    member * 5 / 3
}

/// The lease of one incarnation, and how long the store has been well.
///
/// Nobody is declared gone before every living replica had the chance to renew what it holds: not until this replica's
/// own renewals have all come off for a lease, by a clock that did not jump.
pub(super) struct Pulse {
    lease: Duration,
    /// What this replica is called.
    replica: String,
    /// The name under which it holds members now: the replica's, and something that no other process has.
    holder: String,
    /// It was renewed before, so it must be there.
    is_known: bool,
    /// When it was renewed last.
    renewed: Option<Instant>,
    /// Since when every renewal came off.
    steady: Option<Instant>,
    /// What the store's clock said last, ms, and when.
    clock: Option<(u64, Instant)>,
    /// The incarnations that lived at the last renewal.
    living: BTreeSet<String>,
}

/// What a renewal showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// All is as it was.
    Steady,
    /// The store was away, or its clock was set: it may have lost what it was told.
    Doubtful,
    /// The lease was lost, with all that was held. This replica has a new name, to be renewed at once.
    Lost,
}

impl Pulse {
    pub fn new(replica: &str, lease: Duration) -> Self {
        let holder = new_name(replica);
        Self {
            lease,
            replica: replica.to_owned(),
            holder,
            is_known: false,
            renewed: None,
            steady: None,
            clock: None,
            living: BTreeSet::new(),
        }
    }

    /// The name under which members are held now.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The incarnations that lived at the last renewal.
    pub fn living(&self) -> &BTreeSet<String> {
        &self.living
    }

    /// Whether it was renewed after `since`.
    pub fn is_renewed_since(&self, since: Instant) -> bool {
        self.renewed.is_some_and(|renewed| renewed >= since)
    }

    /// Whether others may take it for dead before long.
    pub fn is_stale(&self) -> bool {
        self.renewed.is_none_or(|renewed| renewed.elapsed() > self.lease / 2)
    }

    /// What the store's clock should say now, ms, if it may end what ran out by it.
    pub fn asks(&self) -> Option<u64> {
        let steady = self.steady.is_some_and(|since| since.elapsed() >= self.lease);
        self.clock().filter(|_| steady && !self.is_stale())
    }

    fn clock(&self) -> Option<u64> {
        self.clock.map(|(said, at)| said + at.elapsed().as_millis() as u64)
    }

    /// The store answered `now` to what it was asked when its clock should have said `asked`. False if it cannot have
    /// done so at once.
    pub fn answered(&mut self, asked: u64, now: u64) -> bool {
        let at_once = now.abs_diff(asked) < self.lease.as_millis() as u64 / 4;
        if !at_once {
            self.doubt();
        }
        at_once
    }

    /// The store showed that it lost something, or did not answer.
    pub fn doubt(&mut self) {
        self.steady = None;
    }

    /// A renewal came off, that was asked at `asked`.
    pub fn renewed(&mut self, asked: Instant, renewal: Renewed) -> Beat {
        let Some(living) = renewal.living else {
            self.holder = new_name(&self.replica);
            self.is_known = false;
            self.renewed = None;
            self.doubt();
            return Beat::Lost;
        };
        if let Some((said, at)) = self.clock {
            let expected = said + asked.duration_since(at).as_millis() as u64;
            self.answered(expected, renewal.now);
        }
        let was_steady = self.steady.is_some();
        let answered = Instant::now();
        self.is_known = true;
        self.living = living;
        self.clock = Some((renewal.now, answered));
        self.renewed = Some(answered);
        self.steady.get_or_insert(answered);
        if was_steady { Beat::Steady } else { Beat::Doubtful }
    }
}

/// A name that no other process has, and this one never had.
fn new_name(replica: &str) -> String {
    use std::hash::{BuildHasher, RandomState};
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    let replica: String = replica.chars().map(plain).collect();
    // Its keys are the standard library's source of randomness.
    let random = [(); 2].map(|()| RandomState::new().hash_one(0));
    format!("on-{replica}-{:016x}{:016x}", random[0], random[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(12);

    fn renew(pulse: &mut Pulse, now: u64) -> Beat {
        let living = BTreeSet::from([pulse.holder().to_owned()]);
        pulse.renewed(Instant::now(), Renewed { now, living: Some(living) })
    }

    /// Renews every quarter of a lease, for so many; the store's clock is `ahead` of the time that passed, ms.
    async fn quarters(pulse: &mut Pulse, began: Instant, ahead: u64, count: usize) {
        for _ in 0..count {
            tokio::time::advance(LEASE / 4).await;
            renew(pulse, ahead + began.elapsed().as_millis() as u64);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_ended_before_a_lease_without_failure() {
        let (mut pulse, began) = (Pulse::new("r1", LEASE), Instant::now());
        assert_eq!(renew(&mut pulse, 0), Beat::Doubtful);
        quarters(&mut pulse, began, 0, 3).await;
        assert_eq!(pulse.asks(), None);
        quarters(&mut pulse, began, 0, 1).await;
        assert_eq!(pulse.asks(), Some(12_000));
        pulse.doubt();
        quarters(&mut pulse, began, 0, 4).await;
        assert_eq!(pulse.asks(), None, "steady for three quarters");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_is_noticed_in_either_direction() {
        for (before, after) in [(0, 5_000), (5_000, 0)] {
            let (mut pulse, began) = (Pulse::new("r1", LEASE), Instant::now());
            renew(&mut pulse, before);
            quarters(&mut pulse, began, before, 4).await;
            assert!(pulse.asks().is_some());
            quarters(&mut pulse, began, after, 1).await;
            assert_eq!(pulse.asks(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_did_not_renew_lately_ends_nothing() {
        let (mut pulse, began) = (Pulse::new("r1", LEASE), Instant::now());
        renew(&mut pulse, 0);
        quarters(&mut pulse, began, 0, 4).await;
        tokio::time::advance(LEASE / 2 + Duration::from_millis(1)).await;
        assert_eq!(pulse.asks(), None);
    }

    #[test]
    fn a_lost_lease_changes_the_name() {
        let mut pulse = Pulse::new("r1\n~", LEASE);
        let old = pulse.holder().to_owned();
        let beat = pulse.renewed(Instant::now(), Renewed { now: 0, living: None });
        assert_eq!(beat, Beat::Lost);
        assert_ne!(pulse.holder(), old);
        assert!(pulse.holder().starts_with("on-r1---"), "{}", pulse.holder());
    }
}
