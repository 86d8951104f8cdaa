//! What goes on while nothing happens: the lease is renewed, the store told what it has yet to be told, what ran out ended.

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use super::{Presence, ROOMS_AT_ONCE, local::MEMBERS_A_CALL, pulse::Beat};
use crate::log::LogError;

impl Presence {
    /// Renews the lease, tells the store what it has yet to be told, and ends what ran out of this replica's members,
    /// until cancelled by dropping.
    pub async fn keep(&self) {
        // Side by side: whatever is slow must not cost the lease.
        tokio::join!(self.keep_lease(), self.keep_members());
    }

    async fn keep_lease(&self) {
        let mut failing = false;
        loop {
            let renewed = self.renew().await;
            match &renewed {
                Err(error) if !failing => warn!(%error, "presence: the lease cannot be renewed"),
                _ => {}
            }
            failing = renewed.is_err();
            // After a failure others may be waiting for this one before they end what it holds.
            let parts = if failing { 16 } else { 4 };
            tokio::time::sleep(self.0.lease / parts).await;
        }
    }

    async fn keep_members(&self) {
        let mut ticks = tokio::time::interval(self.0.lease / 4);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.reap_overdue().await,
                () = self.0.owed.notified() => {}
            }
            self.tell_owed().await;
        }
    }

    /// Renews the lease, or waits for the renewal that is under way.
    pub(super) async fn renew(&self) -> Result<(), LogError> {
        let since = Instant::now();
        let mut last = self.0.renewing.lock().await;
        if let Some((_, failed)) = last.as_ref().filter(|(ended, _)| *ended >= since) {
            return failed.clone().map_or(Ok(()), Err);
        }
        let outcome = match self.renew_once().await {
            Ok(Beat::Lost) => self.renew_once().await.map(drop),
            other => other.map(drop),
        };
        *last = Some((Instant::now(), outcome.clone().err()));
        outcome
    }

    async fn renew_once(&self) -> Result<Beat, LogError> {
        let (holder, asks, is_known) = {
            let pulse = self.pulse();
            (pulse.holder().to_owned(), pulse.asks(), pulse.is_known())
        };
        let asked = Instant::now();
        let renewal = self.0.store.renew(&holder, asks, is_known).await;
        let renewal = renewal.inspect_err(|_| self.pulse().doubt())?;
        let beat = self.pulse().renewed(asked, renewal);
        if beat == Beat::Doubtful {
            self.local().begin_epoch();
            self.0.owed.notify_one();
        }
        Ok(beat)
    }

    /// Ends members whose connections closed a lease ago.
    async fn reap_overdue(&self) {
        let now = Instant::now();
        let overdue = self.local().overdue(now);
        stream::iter(overdue)
            .for_each_concurrent(ROOMS_AT_ONCE, async |(room, members)| {
                for members in members.chunks(MEMBERS_A_CALL) {
                    // What fails is overdue at the next time, too.
                    if matches!(self.reap(&room, &[], members).await, Ok(true)) {
                        self.local().reaped(&room, members, now);
                    }
                }
            })
            .await;
    }
}
