//! What ends a connection: a deadline, a drain, a client that says nothing or takes nothing.

use std::time::Duration;

use rollcall_protocol::{CloseCode, ServerFrame};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode::Normal};

use super::Connection;
use crate::{
    http::ws::parting::{Guest, Parted},
    lifecycle::{Gone, Phase, Reason, Standing},
    mutants,
};

/// Time to say hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// A drain ends a connection.
const GOES_AWAY: (CloseCode, &str) = (CloseCode::Restart, "this replica goes away");
/// A nudge ends a connection whose client does not move by itself.
const MOVES: (CloseCode, &str) = (CloseCode::Restart, "connect again");

impl Connection {
    /// The next moment at which something must be looked at.
    pub(super) fn deadline(&self) -> Instant {
        let far = self.heard + 10 * self.app.config.heartbeat;
        let hello = self.session.me().is_none().then(|| self.opened + HELLO_TIMEOUT);
        let reads = Some(self.read_from).filter(|from| *from > Instant::now());
        self.closing_until
            .or([hello, self.parting.deadline(), reads].into_iter().flatten().min())
            .unwrap_or(far)
    }

    /// Ends what should have ended by now. False if there is nothing left to wait for.
    pub(super) fn deadline_passed(&mut self) -> bool {
        let now = Instant::now();
        if self.closing_until.is_some_and(|until| until <= now) {
            return false;
        }
        match self.parting.due(now) {
            Some(Parted::Forced) => self.force(),
            Some(Parted::Ignored(reason)) => self.ignored(reason),
            None if self.session.me().is_none() && now - self.opened >= HELLO_TIMEOUT => {
                self.close = Some((CloseCode::HelloTimeout, "no hello"));
            }
            None => {}
        }
        true
    }

    pub(super) fn standing_changed(&mut self, standing: Standing) -> bool {
        if standing.phase == Phase::Stopped && self.closing_until.is_none() && self.parting.end() {
            self.force();
        } else if self.session.me().is_some() {
            let lifecycle = &self.app.lifecycle;
            let guest = Guest {
                opened: self.opened,
                moves: self.session.moves(),
                grace: self.app.config.goaway_grace,
                spread: self.app.config.drain_spread,
            };
            let moment = |spread| lifecycle.moment(spread);
            let mut told = self.parting.standing_changed(standing, guest, moment);
            told.extend(self.parting.nudge(standing, guest, |nudge| lifecycle.nudge_moment(nudge)));
            if mutants::leaves_untold() {
                told.clear();
            }
            told.iter().for_each(|frame| self.voice.reply(frame));
            self.note_goaway(&told);
        } else if matches!(standing.phase, Phase::Draining(_)) {
            self.close = Some(GOES_AWAY);
        }
        true
    }

    fn note_goaway(&self, told: &[ServerFrame]) {
        for frame in told {
            if let (ServerFrame::Goaway { in_ms, .. }, Some(entry)) = (frame, &self.entry) {
                entry.goes(Instant::now() + Duration::from_millis(*in_ms));
            }
        }
    }

    /// Done here, without a `bye`: it was told to go, and others have taken it.
    pub(super) fn closed_by_client(&self, frame: Option<CloseFrame>) {
        let is_done = frame.is_some_and(|frame| frame.code == Normal);
        if is_done && self.session.moves() && self.parting.is_sent_elsewhere() {
            self.app.lifecycle.others_serve();
        }
    }

    /// Its client does not obey a goaway, and comes back at once.
    fn ignored(&mut self, reason: Reason) {
        self.app.metrics.ignored_goaways.inc();
        if reason == Reason::Rebalance {
            self.nudged = Gone::Ignored;
            self.close = Some(MOVES);
        } else {
            self.app.lifecycle.count_ignored();
            self.close = Some(GOES_AWAY);
        }
    }

    fn force(&mut self) {
        self.app.lifecycle.count_forced();
        self.app.metrics.forced_closes.inc();
        if let Some(entry) = &self.entry {
            entry.forced();
        }
        self.close = Some(GOES_AWAY);
    }

    /// Whether the client is still there, and reads what it is sent.
    pub(super) fn is_alive(&mut self) -> bool {
        let now = Instant::now();
        let stalled = self.voice.outlet.stalled_since();
        if stalled.is_some_and(|since| now - since > self.app.config.limits.stall) {
            self.app.metrics.stalled_closes.inc();
            return false;
        }
        if self.voice.outlet.is_closed() && self.closing_until.is_none() {
            return false;
        }
        // A client that is not read cannot be heard, and is not silent for that; nor when it is read again, before it was.
        let is_unread = !self.may_read();
        if std::mem::replace(&mut self.was_unread, is_unread) || is_unread {
            self.heard = now;
        }
        if self.session.me().is_some() && now - self.heard > self.app.config.heartbeat * 5 / 2 {
            // It may take its time to answer the close, but not with its lease renewed meanwhile.
            self.visits.detach();
            self.close = Some((CloseCode::TryAgainLater, "silent"));
        }
        true
    }

    /// The connection has ended: counts it for whatever it was told to leave for.
    pub(super) fn count_parting(&self) {
        let moved_for = self.parting.moved_for();
        if let Some(reason) = moved_for {
            self.app.metrics.moved.with_label_values(&[reason.name()]).inc();
        }
        if moved_for == Some(Reason::Drain) {
            self.app.lifecycle.count_moved();
        }
        if self.parting.is_nudged() {
            let moved = moved_for.map_or(self.nudged, |_| Gone::Moved);
            self.app.lifecycle.count_nudged(moved);
        }
    }
}
