//! The life of a replica: starting → ready → draining → stopped.

mod nudge;
mod standing;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64, AtomicUsize,
            Ordering::{self, Relaxed},
        },
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tracing::info;

use crate::mutants::{self, Mutant};

use self::nudge::Nudges;
pub use self::{
    nudge::{Asked, Gone, Nudge, NudgeStatus},
    standing::{Drain, ISOLATED_SPREAD, Phase, Reason, Standing, Status},
};

/// The replica's standing, and its count of connections. Clones share them.
#[derive(Clone)]
pub struct Lifecycle(Arc<Inner>);

struct Inner {
    standing: watch::Sender<Standing>,
    /// Asked to stop: the drain under way is the last.
    stopping: AtomicBool,
    /// An operator wants no newcomers here.
    refuses: AtomicBool,
    /// An operator wants this replica to stop.
    asked_to_stop: Notify,
    /// Changes whenever a connection opens or closes.
    connections: watch::Sender<usize>,
    moved: AtomicU64,
    forced: AtomicU64,
    ignored: AtomicU64,
    /// Connections when they were told to go, and how many of them have been given their moment.
    to_move: AtomicUsize,
    given: AtomicUsize,
    nudges: Nudges,
}

impl Lifecycle {
    /// A replica that is starting.
    #[must_use]
    pub fn new() -> Self {
        let standing = Standing {
            phase: Phase::Starting,
            delivers: false,
            isolated: false,
            others_serve: false,
            nudge: None,
        };
        Self(Arc::new(Inner {
            standing: watch::Sender::new(standing),
            stopping: AtomicBool::new(false),
            refuses: AtomicBool::new(false),
            asked_to_stop: Notify::new(),
            connections: watch::Sender::new(0),
            moved: AtomicU64::new(0),
            forced: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            to_move: AtomicUsize::new(0),
            given: AtomicUsize::new(0),
            nudges: Nudges::default(),
        }))
    }

    /// The standing, now and as it changes.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.0.standing.subscribe()
    }

    fn phase(&self) -> Phase {
        self.0.standing.borrow().phase
    }

    /// Whether new connections are welcome.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let standing = *self.0.standing.borrow();
        standing.phase == Phase::Ready && standing.delivers && !self.0.refuses.load(Relaxed)
    }

    /// Takes newcomers, or does not: who is here stays.
    pub fn accept(&self, accepts: bool) {
        self.0.refuses.store(!accepts, Relaxed);
    }

    /// Asks this replica to stop, as SIGTERM does.
    pub fn ask_to_stop(&self) {
        self.0.asked_to_stop.notify_one();
    }

    /// Until somebody asks this replica to stop.
    pub async fn asked_to_stop(&self) {
        self.0.asked_to_stop.notified().await;
    }

    /// Whether the log answers and the feeds are read.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.0.standing.borrow().delivers
    }

    /// Whether the replica is draining or stopped.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(self.phase(), Phase::Draining(_) | Phase::Stopped)
    }

    /// Records whether the replica delivers, and whether it is isolated. The first time it delivers, a starting replica is
    /// ready.
    pub fn delivers(&self, delivers: bool, isolated: bool) {
        let delivers = delivers && !mutants::active(Mutant::NeverReady);
        if isolated && !self.0.standing.borrow().isolated {
            self.begin_moves();
        }
        self.0.standing.send_if_modified(|standing| {
            let before = *standing;
            standing.delivers = delivers;
            standing.isolated = isolated;
            standing.others_serve &= isolated;
            if delivers && standing.phase == Phase::Starting {
                standing.phase = Phase::Ready;
            }
            before != *standing
        });
    }

    /// A client that was told to leave this isolated replica has moved, and closed its connection here.
    pub fn others_serve(&self) {
        if !self.0.standing.borrow().others_serve {
            self.begin_moves();
        }
        self.0.standing.send_if_modified(|standing| {
            standing.isolated && !std::mem::replace(&mut standing.others_serve, true)
        });
    }

    /// Moments are given anew, to the connections that there are now.
    fn begin_moves(&self) {
        let connections = *self.0.connections.borrow();
        self.0.to_move.store(connections, Ordering::Relaxed);
        self.0.given.store(0, Ordering::Relaxed);
    }

    /// Changes the phase by `change`, which says whether it did.
    fn change_phase(&self, change: impl FnOnce(&mut Phase) -> bool) {
        self.0.standing.send_if_modified(|standing| change(&mut standing.phase));
    }

    /// Starts a drain, unless one is under way.
    pub fn drain(&self, spread: Duration, deadline: Duration) {
        let connections = *self.0.connections.borrow();
        self.change_phase(|phase| {
            let starts = matches!(phase, Phase::Starting | Phase::Ready);
            if starts {
                self.begin_moves();
                self.0.moved.store(0, Ordering::Relaxed);
                self.0.forced.store(0, Ordering::Relaxed);
                self.0.ignored.store(0, Ordering::Relaxed);
                *phase = Phase::Draining(Drain { spread, deadline: Instant::now() + deadline });
                info!(connections, ?spread, ?deadline, "draining");
            }
            starts
        });
    }

    /// Starts the last drain. One under way becomes the last, and ends no later than this one would.
    pub fn last_drain(&self, spread: Duration, deadline: Duration) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.drain(spread, deadline);
        let end = Instant::now() + deadline;
        self.change_phase(|phase| match phase {
            Phase::Draining(drain) if drain.deadline > end => {
                drain.deadline = end;
                true
            }
            _ => false,
        });
    }

    /// Ends a drain: new connections are welcome again. Unless it is the last.
    pub fn undrain(&self) {
        if self.0.stopping.load(Ordering::Relaxed) {
            return;
        }
        self.change_phase(|phase| {
            let draining = matches!(phase, Phase::Draining(_));
            if draining {
                *phase = Phase::Ready;
                info!("drain cancelled");
            }
            draining
        });
    }

    /// The last phase.
    pub fn stop(&self) {
        self.change_phase(|phase| std::mem::replace(phase, Phase::Stopped) != Phase::Stopped);
    }

    /// Asks up to `most` connections that were opened at least `age` ago to move, while the replica goes on. Those that an
    /// earlier nudge has asked are not asked again. False unless the replica is in the middle of its life.
    pub fn nudge(&self, spread: Duration, age: Duration, most: usize) -> bool {
        let connections = *self.0.connections.borrow();
        self.0.standing.send_if_modified(|standing| {
            let is_ready = standing.phase == Phase::Ready;
            if is_ready {
                standing.nudge = Some(self.0.nudges.begin(spread, age, most, connections));
            }
            is_ready
        })
    }

    /// One connection's own moment in a nudge. None if that asks enough others.
    #[must_use]
    pub fn nudge_moment(&self, nudge: &Nudge) -> Option<Duration> {
        self.0.nudges.moment(nudge)
    }

    /// Counts a connection that a nudge had asked to move, and that is gone.
    pub fn count_nudged(&self, how: Gone) {
        self.0.nudges.count_gone(how);
    }

    /// What became of all nudges.
    #[must_use]
    pub fn nudge_status(&self) -> NudgeStatus {
        self.0.nudges.status()
    }

    /// One connection's own moment: evenly spread over `spread`, in the order of asking.
    #[must_use]
    pub fn moment(&self, spread: Duration) -> Duration {
        let given = self.0.given.fetch_add(1, Ordering::Relaxed);
        let all = self.0.to_move.load(Ordering::Relaxed).max(1);
        spread * u32::try_from(given % all).unwrap_or(0) / u32::try_from(all).unwrap_or(1)
    }

    /// Counts a connection for as long as the returned guard lives.
    #[must_use]
    pub fn connection(&self) -> ConnectionGuard {
        self.0.connections.send_modify(|count| *count += 1);
        ConnectionGuard(self.clone())
    }

    /// Waits until no connection is left.
    pub async fn no_connections(&self) {
        // The sender lives in `self`, so this does not fail.
        let _ = self.0.connections.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Counts a connection that left after its goaway.
    pub fn count_moved(&self) {
        self.0.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection closed at the deadline.
    pub fn count_forced(&self) {
        self.0.forced.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection closed because it does not obey a goaway.
    pub fn count_ignored(&self) {
        self.0.ignored.fetch_add(1, Ordering::Relaxed);
    }

    /// The state as operators see it.
    #[must_use]
    pub fn status(&self) -> Status {
        let Standing { phase, delivers, isolated, .. } = *self.0.standing.borrow();
        let left = match phase {
            Phase::Draining(drain) => Some(drain.deadline.duration_since(Instant::now())),
            _ => None,
        };
        Status {
            phase: match phase {
                Phase::Starting => "starting",
                Phase::Ready => "ready",
                Phase::Draining(_) => "draining",
                Phase::Stopped => "stopped",
            },
            connections: *self.0.connections.borrow(),
            moved: self.0.moved.load(Ordering::Relaxed),
            forced: self.0.forced.load(Ordering::Relaxed),
            ignored: self.0.ignored.load(Ordering::Relaxed),
            delivers,
            isolated,
            accepting: !self.0.refuses.load(Relaxed),
            deadline_in_ms: left.map(|left| left.as_millis() as u64),
        }
    }
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts one open connection until dropped.
pub struct ConnectionGuard(Lifecycle);

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.0.connections.send_modify(|count| *count -= 1);
    }
}
