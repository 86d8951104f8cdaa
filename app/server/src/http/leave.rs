//! When a listener that is no WebSocket is asked to go: by a drain, a nudge, or because this replica is isolated. It cannot be
//! told; it ends, and whoever reads it comes back.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    app::App,
    lifecycle::{Asked, Gone, ISOLATED_SPREAD, Lifecycle, Nudge, Phase, Reason, Standing},
};

/// One listener's moments. Dropped, it counts the listener as gone.
pub struct Leave {
    app: App,
    standing: watch::Receiver<Standing>,
    opened: Instant,
    leaves_at: Option<Instant>,
    asked: Asked,
    /// Its moment, if a nudge has asked it to go.
    nudged_at: Option<Instant>,
    /// How it goes, as nudges count it.
    how: Gone,
}

impl Leave {
    /// Of a listener that came just now.
    pub fn new(app: &App) -> Self {
        Self {
            app: app.clone(),
            standing: app.lifecycle.standing(),
            opened: Instant::now(),
            leaves_at: None,
            asked: Asked::default(),
            nudged_at: None,
            how: Gone::Moved,
        }
    }

    /// The replica's standing, now and as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Until there may be something new.
    ///
    /// # Errors
    /// Why to go, once it is this listener's moment.
    pub async fn wait(&mut self, wake: &Notify) -> Result<(), Reason> {
        let standing = *self.standing.borrow_and_update();
        match standing.phase {
            Phase::Draining(drain) if self.leaves_at.is_none() => {
                self.leaves_at = Some(Instant::now() + self.lifecycle().moment(drain.spread));
            }
            Phase::Draining(_) => {}
            Phase::Stopped => return Err(Reason::Drain),
            Phase::Starting | Phase::Ready => {
                self.leaves_at = self.leaves_at.filter(|_| standing.others_serve);
                if standing.others_serve && self.leaves_at.is_none() {
                    self.leaves_at =
                        Some(Instant::now() + self.lifecycle().moment(ISOLATED_SPREAD));
                }
                self.nudge(standing);
            }
        }
        let why = if standing.others_serve { Reason::Isolated } else { Reason::Drain };
        let moments = [(self.leaves_at, why), (self.nudged_at, Reason::Rebalance)];
        let first = moments.into_iter().filter_map(|(at, why)| Some((at?, why)));
        let first = first.min_by_key(|(at, _)| *at);
        let moment = async {
            match first {
                Some((at, why)) => {
                    tokio::time::sleep_until(at).await;
                    why
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wake.notified() => Ok(()),
            _ = self.standing.changed() => Ok(()),
            why = moment => Err(why),
        }
    }

    fn lifecycle(&self) -> &Lifecycle {
        &self.app.lifecycle
    }

    /// Finds out whether a nudge asks this listener to go, and when.
    fn nudge(&mut self, standing: Standing) {
        let lifecycle = &self.app.lifecycle;
        let moment = |nudge: &Nudge| -> Option<Duration> { lifecycle.nudge_moment(nudge) };
        if let Some(moment) = self.asked.ask(standing.nudge, self.opened, moment) {
            self.nudged_at = Some(Instant::now() + moment);
        }
    }

    /// It ends because it was asked to.
    pub fn moved(&self, reason: Reason) {
        self.app.metrics.moved.with_label_values(&[reason.name()]).inc();
        if reason == Reason::Drain {
            self.app.lifecycle.count_moved();
        }
    }

    /// It ends, but neither because it was asked to nor because its reader went.
    pub fn otherwise(&mut self) {
        self.how = Gone::Otherwise;
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.asked.is_asked() {
            self.app.lifecycle.count_nudged(self.how);
        }
    }
}
