//! How a connection's end is brought about: drains, moments, isolation, deadlines.

use std::time::Duration;

use rollcall_protocol::{CloseCode, LogStatus, ServerFrame};
use tokio::time::Instant;

use super::connection::Connection;
use crate::lifecycle::{Drain, Phase, Standing};

/// Connections of an isolated replica are told to move at moments spread over this time at most.
const ISOLATED_SPREAD: Duration = Duration::from_secs(1);
/// What `goaway` says of a deadline where there is none: the server does not close then.
const NO_DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// What this connection has been told about leaving.
#[derive(Debug, Default)]
pub(super) struct Parting {
    drain: Option<Drain>,
    /// When a client that does not obey a goaway is closed.
    closes_at: Option<Instant>,
    isolated: bool,
    /// Whether the log was last said to be away.
    log_away: bool,
    pub forced: bool,
}

impl Parting {
    /// The next moment at which this connection is to be ended.
    pub fn deadline(&self) -> Option<Instant> {
        let drain = self.drain.filter(|_| !self.forced).map(|drain| drain.deadline);
        [drain, self.closes_at].into_iter().flatten().min()
    }

    /// Whether it was told to leave by a drain.
    pub fn is_told(&self) -> bool {
        self.drain.is_some()
    }
}

impl Connection {
    pub(super) fn standing_changed(&mut self, standing: Standing) {
        self.tell_status(standing.delivers);
        match standing.phase {
            Phase::Draining(drain) if self.parting.drain.is_none() => self.begin_drain(drain),
            // Its deadline may have come nearer.
            Phase::Draining(drain) => self.parting.drain = Some(drain),
            Phase::Stopped => self.force(),
            Phase::Starting | Phase::Ready => {
                self.parting.drain = None;
                self.parting.closes_at = None;
                self.tell_isolation(standing.isolated);
            }
        }
    }

    /// Says whether the log answers, if that has changed for this client.
    pub(super) fn tell_status(&mut self, delivers: bool) {
        if self.session.me().is_none() || self.parting.log_away != delivers {
            return;
        }
        self.parting.log_away = !delivers;
        let log = if delivers { LogStatus::Up } else { LogStatus::Away };
        self.reply(&ServerFrame::Status { log });
    }

    fn begin_drain(&mut self, drain: Drain) {
        self.parting.drain = Some(drain);
        if self.session.me().is_none() {
            self.close = Some((CloseCode::Restart, "this replica goes away"));
            return;
        }
        let moment = self.app.lifecycle.moment(drain.spread);
        if !self.session.moves() {
            self.parting.closes_at = Some(Instant::now() + moment + self.app.config.goaway_grace);
        }
        self.reply(&goaway(moment, drain.deadline.duration_since(Instant::now()), "drain"));
    }

    /// A client of a replica that does not deliver is better off elsewhere. If it finds no other, it stays.
    fn tell_isolation(&mut self, isolated: bool) {
        if std::mem::replace(&mut self.parting.isolated, isolated)
            || !isolated
            || self.session.me().is_none()
        {
            return;
        }
        let spread = self.app.config.drain_spread.min(ISOLATED_SPREAD);
        self.reply(&goaway(self.app.lifecycle.moment(spread), NO_DEADLINE, "isolated"));
    }

    /// Ends what was told to leave and has not left in time. False if nothing was due.
    pub(super) fn part(&mut self, now: Instant) -> bool {
        if self.parting.drain.is_some_and(|drain| drain.deadline <= now) {
            self.force();
            return true;
        }
        let ignored = self.parting.closes_at.take_if(|at| *at <= now).is_some();
        if ignored && self.close.is_none() {
            self.parting.forced = true;
            self.app.lifecycle.count_ignored();
            self.app.metrics.ignored_goaways.inc();
            self.close = Some((CloseCode::Restart, "this replica goes away"));
        }
        ignored
    }

    fn force(&mut self) {
        if !self.parting.forced && !self.is_closing() {
            self.parting.forced = true;
            self.app.lifecycle.count_forced();
            self.app.metrics.forced_closes.inc();
        }
        self.close = Some((CloseCode::Restart, "this replica goes away"));
    }
}

fn goaway(moment: Duration, deadline: Duration, reason: &str) -> ServerFrame {
    ServerFrame::Goaway {
        in_ms: moment.as_millis() as u64,
        deadline_ms: deadline.as_millis() as u64,
        reason: reason.to_owned(),
    }
}
