//! One connection's place in one room.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use rollcall_protocol::EntryId;
use tokio::sync::Notify;

use super::ring::Frame;
use crate::{mutants, socket::Outlet};

/// What a room has to tell, gathered for all its listeners at once.
pub struct Batch {
    /// New messages, an unbroken run.
    pub frames: Vec<Frame>,
    /// Their bytes in one piece: one write for whoever has everything before.
    pub messages: Bytes,
    /// Presence and typing frames.
    pub signals: Bytes,
    /// Whether `signals` has presence in it, which a listener cannot do without.
    pub has_presence: bool,
}

impl Batch {
    /// The messages with these places, in this order: a mutant's.
    fn in_order(&self, places: &[usize]) -> Vec<u8> {
        places.iter().flat_map(|place| self.frames[*place].wire.iter().copied()).collect()
    }
}

/// One connection's place in one room.
pub struct Listener {
    place: Mutex<Place>,
    out: Out,
}

/// How frames reach the connection.
pub enum Out {
    /// The room writes them to the socket.
    Direct(Arc<Outlet>),
    /// The room wakes a task, which reads them from the ring.
    Wake(Arc<Notify>),
}

/// Where a listener is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// The last entry that was handed to the connection.
    pub cursor: EntryId,
    /// The log was read to its end at this cursor, or at one before it.
    at_log_end: bool,
    /// Nothing made the listener check again since it needed the page that is being read.
    page_counts: bool,
    /// Catch-up is done: the room hands over what comes next.
    pub live: bool,
    /// A presence frame had to be skipped: the connection needs the whole list.
    pub presence_stale: bool,
}

impl Place {
    /// A page of the log was handed over up to `cursor`, perhaps the log's end.
    ///
    /// If the listener had to check again meanwhile, the page may be older than what the ring has
    /// forgotten since, so its end proves nothing.
    pub fn reached(&mut self, cursor: EntryId, at_log_end: bool) {
        self.cursor = cursor;
        self.at_log_end = at_log_end && self.page_counts;
    }

    pub(super) fn is_at_log_end(&self) -> bool {
        self.at_log_end
    }

    pub(super) fn needs_page(&mut self) {
        self.page_counts = true;
    }
}

impl Listener {
    /// A listener that has yet to catch up from `cursor`.
    #[must_use]
    pub fn new(cursor: EntryId, out: Out) -> Self {
        let place = Place { cursor, ..Place::default() };
        Self { place: Mutex::new(place), out }
    }

    /// The place, locked. Taken after the room's own lock, never before it.
    pub fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Ends live delivery: the connection must compare its cursor with the log.
    pub fn recheck(&self) {
        let mut place = self.place();
        place.live = false;
        place.at_log_end = false;
        place.page_counts = false;
        drop(place);
        self.wake();
    }

    /// Wakes the connection's task.
    pub fn wake(&self) {
        match &self.out {
            Out::Direct(outlet) => outlet.wake.notify_one(),
            Out::Wake(notify) => notify.notify_one(),
        }
    }

    /// Hands over what continues the cursor; a listener that cannot take it falls behind.
    pub fn hear(&self, batch: &Batch) {
        let Out::Direct(outlet) = &self.out else { return self.wake() };
        let mut place = self.place();
        if place.live && !hand_over(&mut place, outlet, batch) {
            place.live = false;
            outlet.wake.notify_one();
        }
        let heard = batch.signals.is_empty() || (place.live && outlet.offer(&batch.signals));
        place.presence_stale |= batch.has_presence && !heard;
    }
}

fn hand_over(place: &mut Place, outlet: &Outlet, batch: &Batch) -> bool {
    let (Some(first), Some(last)) = (batch.frames.first(), batch.frames.last()) else {
        return true;
    };
    if first.prev == place.cursor {
        let taken = match mutants::spoiled(batch.frames.len()) {
            None => outlet.offer(&batch.messages),
            Some(order) => outlet.offer(&batch.in_order(&order)),
        };
        if taken {
            place.cursor = last.id;
        }
        return taken;
    }
    // It went live in the middle of this batch.
    for frame in &batch.frames {
        if frame.id <= place.cursor {
            continue;
        }
        let continues = frame.prev == place.cursor || mutants::chain_unchecked();
        if !continues || !outlet.offer(&frame.wire) {
            return false;
        }
        place.cursor = frame.id;
    }
    true
}
