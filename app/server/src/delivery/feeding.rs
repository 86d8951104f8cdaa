//! From the feeds into the rooms, and what makes up for what the feeds did not tell.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use rollcall_protocol::{Kind, Member};
use tokio::sync::mpsc;
use tracing::warn;

use super::rooms::{OpenRoom, Rooms};
use crate::{
    log::{FeedEvent, LogError, splice},
    mutants,
};

/// Rooms compared with their logs at once.
const ROOMS_AT_ONCE: usize = 16;
/// Entries read to bridge a break; with more missing, listeners read the log themselves.
const REPAIR_PAGE: usize = 256;
/// Feed events that wait for the rooms; then the feeds wait.
const FEED_QUEUE: usize = 256;
/// When to try again what could not be compared.
const RETRY: Duration = Duration::from_millis(500);

impl Rooms {
    /// Follows the feeds until cancelled by dropping.
    pub async fn follow_feeds(&self) {
        let (sender, mut events) = mpsc::channel(FEED_QUEUE);
        let deliver = async {
            while let Some(event) = events.recv().await {
                self.deliver(event);
            }
        };
        tokio::join!(self.log().follow(sender), deliver);
    }

    /// Never waits: what takes time in one room must not hold up the others.
    fn deliver(&self, event: FeedEvent) {
        match event {
            FeedEvent::Read => self.inner.parts.health.feeds_read(),
            _ if mutants::is_deaf() => {}
            FeedEvent::Message(_) if mutants::drops_feed_entry() => {}
            FeedEvent::Message(mut message) => {
                if mutants::wrong_name() {
                    message.name = "Nobody".to_owned();
                }
                self.directory().spoke(&message.room, message.id.ms);
                if let Some(open) = self.find(&message.room) {
                    let is_notice = message.extra.kind == Some(Kind::Notice);
                    let room = is_notice.then(|| message.room.clone());
                    open.room.push(message);
                    room.iter().for_each(|room| self.state_changed(room));
                }
            }
            FeedEvent::Presence { at, room, event, member, name } => {
                if let Some(open) = self.find(&room) {
                    open.room.presence(at, event, Member { member, name });
                }
            }
            FeedEvent::Typing { room, member, name } => {
                if let Some(open) = self.find(&room) {
                    open.room.typing(member, name);
                }
            }
            FeedEvent::Control(control) => self.people().hear(&control),
            FeedEvent::Unread { room } => self.suspect(&room),
            FeedEvent::Missed => {
                self.directory().forget_order();
                self.people().doubt();
                self.suspect_all();
            }
        }
    }

    /// Compares suspect rooms with their logs and leases until cancelled by dropping. A room that cannot be read is tried
    /// again for as long as it is open, and keeps no other waiting.
    pub async fn repair_suspects(&self) {
        loop {
            self.inner.suspicion.notified().await;
            while self.repair_once().await > 0 {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Tries each suspect room once. How many are left.
    async fn repair_once(&self) -> usize {
        let is_due = |open: &Arc<OpenRoom>| {
            open.is_suspect.load(Relaxed) || open.about_is_stale.load(Relaxed)
        };
        let suspects = self.all().into_iter().filter(is_due);
        stream::iter(suspects)
            .map(|open| async move {
                match self.repair(&open).await {
                    Ok(true) => 0,
                    Ok(false) => 1,
                    Err(error) => {
                        warn!(%error, "room not yet compared with its log");
                        1
                    }
                }
            })
            .buffer_unordered(ROOMS_AT_ONCE)
            .fold(0, async |all, one| all + one)
            .await
    }

    /// False if the feed has overtaken what was read: it is to be done once more.
    async fn repair(&self, open: &Arc<OpenRoom>) -> Result<bool, LogError> {
        if open.about_is_stale.swap(false, Relaxed) {
            let about = self.log().about(&open.room.name).await;
            let about = about.inspect_err(|_| open.about_is_stale.store(true, Relaxed))?;
            open.room.set_about(about);
        }
        if !open.is_suspect.load(Relaxed) {
            return Ok(true);
        }
        // Before anything is read, so that a new suspicion is not taken for this one.
        open.is_suspect.store(false, Relaxed);
        let repaired = self.repair_now(open).await;
        if !matches!(repaired, Ok(true)) {
            open.is_suspect.store(true, Relaxed);
        }
        repaired
    }

    async fn repair_now(&self, open: &OpenRoom) -> Result<bool, LogError> {
        let mut settled = true;
        if open.loaded.initialized() {
            settled = self.compare_presence(&open.room).await?;
        }
        self.bridge(open).await?;
        Ok(settled)
    }

    /// Continues the ring from its newest entry with what the log has after it, or starts anew where the log ends.
    pub(super) async fn bridge(&self, open: &OpenRoom) -> Result<(), LogError> {
        let room = &open.room;
        let newest = room.newest();
        let from = newest.unwrap_or_default();
        let page = self.log().read_after(&room.name, from, REPAIR_PAGE).await?;
        let continues = newest.is_some_and(|newest| splice::gap(newest, &page).is_none());
        if continues && page.is_at_log_end() {
            page.entries.into_iter().for_each(|message| room.push(message));
        } else {
            room.rewind(page.last);
        }
        Ok(())
    }
}
