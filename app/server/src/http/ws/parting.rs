//! How a connection's end comes about: drains, moments, isolation, deadlines. No I/O.

use std::time::Duration;

use rollcall_protocol::{LogStatus, ServerFrame};
use tokio::time::Instant;

use crate::lifecycle::{Asked, Drain, ISOLATED_SPREAD, Nudge, Phase, Reason, Standing};

/// What `goaway` says of a deadline where there is none: the server does not close then.
const NO_DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// What this connection has been told about leaving.
#[derive(Debug, Default)]
pub(super) struct Parting {
    drain: Option<Drain>,
    /// When a client that does not obey a goaway is closed.
    closes_at: Option<Instant>,
    isolated: bool,
    asked: Asked,
    /// When a client that does not obey a nudge's goaway is closed.
    nudged_until: Option<Instant>,
    /// Whether the log was last said to be away.
    log_away: bool,
    over: bool,
}

/// How a connection is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parted {
    /// At the drain's deadline.
    Forced,
    /// After its own moment, since its client does not obey a goaway.
    Ignored(Reason),
}

/// A client, as far as leaving goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guest {
    /// When it came.
    pub opened: Instant,
    /// It says that it obeys a goaway.
    pub moves: bool,
    /// If it does not, it is closed this long after its moment.
    pub grace: Duration,
    /// The spread of a drain that has none of its own.
    pub spread: Duration,
}

impl Parting {
    /// The next moment at which this connection is to be ended.
    pub fn deadline(&self) -> Option<Instant> {
        let drain = self.drain.filter(|_| !self.over).map(|drain| drain.deadline);
        [drain, self.closes_at, self.nudged_until].into_iter().flatten().min()
    }

    /// Why its client was told to leave, if it then left by itself.
    pub fn moved_for(&self) -> Option<Reason> {
        match self {
            Self { over: true, .. } => None,
            Self { drain: Some(_), .. } => Some(Reason::Drain),
            Self { asked, .. } if asked.is_asked() => Some(Reason::Rebalance),
            Self { isolated, .. } => isolated.then_some(Reason::Isolated),
        }
    }

    /// Whether a nudge has asked its client to move.
    pub fn is_nudged(&self) -> bool {
        self.asked.is_asked()
    }

    /// The replica's standing has changed: what a client that has said `hello` is told. `moment` gives it its own within a
    /// spread.
    pub fn standing_changed(
        &mut self,
        standing: Standing,
        guest: Guest,
        moment: impl FnOnce(Duration) -> Duration,
    ) -> Vec<ServerFrame> {
        let mut told: Vec<_> = self.status(standing.delivers).into_iter().collect();
        match standing.phase {
            Phase::Draining(drain) if self.drain.is_none() => {
                let moment = moment(drain.spread);
                let now = Instant::now();
                self.closes_at = (!guest.moves).then(|| now + moment + guest.grace);
                told.push(goaway(moment, drain.deadline.duration_since(now), Reason::Drain));
                self.drain = Some(drain);
            }
            // Its deadline may have come nearer.
            Phase::Draining(drain) => self.drain = Some(drain),
            Phase::Stopped => {}
            Phase::Starting | Phase::Ready => {
                if self.drain.take().is_some() {
                    self.closes_at = None;
                }
                told.extend(self.isolation(standing, guest, moment));
            }
        }
        told
    }

    /// A client of a replica that does not deliver is better off elsewhere. If it finds no other, it stays; and one that
    /// obeys no goaway stays until it is known that others would take it.
    fn isolation(
        &mut self,
        standing: Standing,
        guest: Guest,
        moment: impl FnOnce(Duration) -> Duration,
    ) -> Option<ServerFrame> {
        let was_isolated = std::mem::replace(&mut self.isolated, standing.isolated);
        let is_told = standing.isolated && !was_isolated;
        let goes = standing.others_serve && !guest.moves;
        self.closes_at = self.closes_at.filter(|_| goes);
        if !is_told && (!goes || self.closes_at.is_some()) {
            return None;
        }
        let moment = moment(guest.spread.min(ISOLATED_SPREAD));
        if goes {
            self.closes_at = Some(Instant::now() + moment + guest.grace);
        }
        is_told.then(|| goaway(moment, NO_DEADLINE, Reason::Isolated))
    }

    /// Whether its client was told to go because the replica is isolated.
    pub fn is_sent_elsewhere(&self) -> bool {
        self.isolated
    }

    /// What a client that has said `hello` is told because of a nudge: once, however many follow. `moment` gives it its own
    /// in the nudge, or none if that does not ask it.
    pub fn nudge(
        &mut self,
        standing: Standing,
        guest: Guest,
        moment: impl FnOnce(&Nudge) -> Option<Duration>,
    ) -> Option<ServerFrame> {
        let nudge = standing.nudge.filter(|_| standing.phase == Phase::Ready);
        let moment = self.asked.ask(nudge, guest.opened, moment)?;
        self.nudged_until = (!guest.moves).then(|| Instant::now() + moment + guest.grace);
        Some(goaway(moment, NO_DEADLINE, Reason::Rebalance))
    }

    /// What is to be told of the log, if that has changed for this client.
    pub fn status(&mut self, delivers: bool) -> Option<ServerFrame> {
        let was_away = std::mem::replace(&mut self.log_away, !delivers);
        let log = if delivers { LogStatus::Up } else { LogStatus::Away };
        (was_away == delivers).then_some(ServerFrame::Status { log })
    }

    /// How the connection is to be ended now, once.
    pub fn due(&mut self, now: Instant) -> Option<Parted> {
        if self.over {
            return None;
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let parted = if is_due(self.drain.map(|drain| drain.deadline)) {
            Parted::Forced
        } else if is_due(self.closes_at) {
            Parted::Ignored(self.drain.map_or(Reason::Isolated, |_| Reason::Drain))
        } else if is_due(self.nudged_until) {
            Parted::Ignored(Reason::Rebalance)
        } else {
            return None;
        };
        self.end();
        Some(parted)
    }

    /// The replica stops: whatever is left is ended. False if this connection is being ended already.
    pub fn end(&mut self) -> bool {
        self.closes_at = None;
        self.nudged_until = None;
        !std::mem::replace(&mut self.over, true)
    }
}

fn goaway(moment: Duration, deadline: Duration, reason: Reason) -> ServerFrame {
    ServerFrame::Goaway {
        in_ms: moment.as_millis() as u64,
        deadline_ms: deadline.as_millis() as u64,
        reason: reason.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::Lifecycle;

    const MOMENT: Duration = Duration::from_secs(1);

    fn guest(moves: bool) -> Guest {
        let (grace, spread) = (Duration::from_millis(500), Duration::from_secs(3));
        Guest { opened: Instant::now(), moves, grace, spread }
    }

    fn standing(phase: Phase, delivers: bool, isolated: bool) -> Standing {
        Standing { phase, delivers, isolated, others_serve: false, nudge: None }
    }

    fn drain() -> Phase {
        let deadline = Instant::now() + Duration::from_secs(20);
        Phase::Draining(Drain { spread: Duration::from_secs(2), deadline })
    }

    fn reasons(told: &[ServerFrame]) -> Vec<&str> {
        told.iter()
            .map(|frame| match frame {
                ServerFrame::Goaway { reason, .. } => reason.as_str(),
                ServerFrame::Status { log: LogStatus::Up } => "up",
                ServerFrame::Status { .. } => "away",
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Fault S1: a replica that was cut off from Redis kept its clients, deaf and mute.
    #[tokio::test(start_paused = true)]
    async fn s1_an_isolated_replica_sends_its_clients_away_once_and_keeps_those_that_stay() {
        let mut parting = Parting::default();
        let mut tell = |standing| {
            let told = parting.standing_changed(standing, guest(true), |spread| spread);
            assert_eq!(parting.deadline(), None, "nobody is closed for it");
            reasons(&told).join(" ")
        };
        assert_eq!(tell(standing(Phase::Ready, false, false)), "away");
        assert_eq!(tell(standing(Phase::Ready, false, true)), "isolated");
        assert_eq!(tell(standing(Phase::Ready, false, true)), "", "once");
        assert_eq!(tell(standing(Phase::Ready, true, false)), "up");
        assert_eq!(
            tell(standing(Phase::Ready, false, true)),
            "away isolated",
            "and anew the next time"
        );
    }

    /// A replica that was cut off from Redis kept clients that obey no goaway, deaf and mute, for as long as that lasted.
    #[tokio::test(start_paused = true)]
    async fn s1_a_client_that_obeys_no_goaway_goes_when_others_serve() {
        let mut parting = Parting::default();
        let mut isolated = standing(Phase::Ready, false, true);
        let tell = |parting: &mut Parting, standing| {
            let told = parting.standing_changed(standing, guest(false), |_| MOMENT);
            reasons(&told).join(" ")
        };
        assert_eq!(tell(&mut parting, isolated), "away isolated");
        assert_eq!(parting.deadline(), None, "perhaps nobody delivers, and it would find no other");
        isolated.others_serve = true;
        assert_eq!(tell(&mut parting, isolated), "");
        let closes_at = Instant::now() + MOMENT + guest(false).grace;
        assert_eq!(tell(&mut parting, isolated), "");
        assert_eq!(parting.deadline(), Some(closes_at), "at its own moment");
        assert_eq!(tell(&mut parting, standing(Phase::Ready, true, false)), "up");
        assert_eq!(parting.deadline(), None, "or not at all, if the log is back before");
        assert_eq!(tell(&mut parting, isolated), "away isolated");
        let due = parting.deadline().and_then(|at| parting.due(at));
        assert_eq!(due, Some(Parted::Ignored(Reason::Isolated)));
    }

    /// Fault S27: clients that ignore a goaway stretched a roll to its deadline.
    #[tokio::test(start_paused = true)]
    async fn s27_a_client_that_does_not_obey_is_closed_after_its_own_moment() {
        let obeys_not = guest(false);
        let mut parting = Parting::default();
        let told = parting.standing_changed(standing(drain(), true, false), obeys_not, |_| MOMENT);
        assert_eq!(reasons(&told), ["drain"]);
        assert_eq!(parting.due(Instant::now() + MOMENT), None);
        let closes_at = Instant::now() + MOMENT + obeys_not.grace;
        assert_eq!(parting.deadline(), Some(closes_at));
        assert_eq!(parting.due(closes_at), Some(Parted::Ignored(Reason::Drain)));
        assert_eq!(parting.due(closes_at), None, "once");
        assert_eq!(parting.moved_for(), None, "counted apart");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_obeys_has_until_the_deadline() {
        let mut parting = Parting::default();
        parting.standing_changed(standing(drain(), true, false), guest(true), |_| MOMENT);
        let deadline = parting.deadline().expect("that of the drain");
        assert_eq!(parting.due(deadline - Duration::from_millis(1)), None);
        assert_eq!(parting.moved_for(), Some(Reason::Drain), "if it goes now");
        assert_eq!(parting.due(deadline), Some(Parted::Forced));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_is_cancelled_lets_everybody_stay() {
        let mut parting = Parting::default();
        let obeys_not = guest(false);
        parting.standing_changed(standing(drain(), true, false), obeys_not, |_| MOMENT);
        parting.standing_changed(standing(Phase::Ready, true, false), obeys_not, |_| MOMENT);
        assert_eq!(parting.deadline(), None);
        assert_eq!(parting.moved_for(), None);
    }

    /// A nudge of everybody who was here by now.
    fn nudged(life: &Lifecycle) -> Standing {
        assert!(life.nudge(Duration::ZERO, Duration::ZERO, usize::MAX));
        *life.standing().borrow()
    }

    /// Fault O3: after a reload of HAProxy its old worker kept its clients until they were cut.
    #[tokio::test(start_paused = true)]
    async fn o3_a_nudge_asks_a_connection_once_and_closes_none_that_obeys() {
        let life = Lifecycle::new();
        life.delivers(true, false);
        let mut parting = Parting::default();
        let was_here = guest(true);
        let mut tell = |standing, guest| {
            parting.nudge(standing, guest, |nudge| life.nudge_moment(nudge)).into_iter().collect()
        };
        let told: Vec<_> = tell(nudged(&life), was_here);
        assert_eq!(reasons(&told), ["rebalance"]);
        let again: Vec<_> = tell(nudged(&life), was_here);
        assert!(again.is_empty(), "asked twice");
        assert_eq!(parting.deadline(), None);
        assert_eq!(parting.moved_for(), Some(Reason::Rebalance), "if it goes now");
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudge_does_not_ask_those_who_came_after_it() {
        let life = Lifecycle::new();
        life.delivers(true, false);
        let standing = nudged(&life);
        tokio::time::advance(Duration::from_millis(1)).await;
        let told =
            Parting::default().nudge(standing, guest(true), |nudge| life.nudge_moment(nudge));
        assert_eq!(told, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudged_client_that_does_not_obey_is_closed_and_a_cancelled_drain_does_not_forget_that()
     {
        let life = Lifecycle::new();
        life.delivers(true, false);
        let obeys_not = guest(false);
        let mut parting = Parting::default();
        parting.nudge(nudged(&life), obeys_not, |nudge| life.nudge_moment(nudge));
        let closes_at = Instant::now() + obeys_not.grace;
        parting.standing_changed(standing(drain(), true, false), obeys_not, |_| MOMENT);
        parting.standing_changed(standing(Phase::Ready, true, false), obeys_not, |_| MOMENT);
        assert_eq!(parting.deadline(), Some(closes_at));
        assert_eq!(parting.due(closes_at), Some(Parted::Ignored(Reason::Rebalance)));
        assert_eq!(parting.deadline(), None, "once");
    }
}
