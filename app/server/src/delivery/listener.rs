//! One connection's listener in one room: its place, and its way out.

use std::sync::{Arc, Mutex, MutexGuard};

use rollcall_protocol::EntryId;

use super::place::{Heard, Place};
use crate::{mutants, room::Batch};

/// The way out of a connection, as a room's hand-over sees it.
pub trait Sink: Send + Sync {
    /// Takes whole frames, or nothing.
    fn offer(&self, frames: &[u8]) -> bool;

    /// The connection is to look after its listeners.
    fn wake(&self);
}

/// A connection that is only woken, and then reads for itself: an event stream.
impl Sink for tokio::sync::Notify {
    fn offer(&self, _frames: &[u8]) -> bool {
        false
    }

    fn wake(&self) {
        self.notify_one();
    }
}

/// One connection's listener in one room.
pub struct Listener {
    /// A std mutex: held while frames go out, so that a hand-over and the connection's own catch-up keep their order. The
    /// room's own lock is never waited for by another listener meanwhile.
    place: Mutex<Place>,
    sink: Arc<dyn Sink>,
}

impl Listener {
    /// A listener that has yet to catch up from `cursor`.
    #[must_use]
    pub fn new(cursor: EntryId, sink: Arc<dyn Sink>) -> Self {
        Self { place: Mutex::new(Place::new(cursor)), sink }
    }

    /// The place, locked.
    pub fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Hands over what continues the cursor; a listener that cannot take it falls behind.
    pub fn hear(&self, batch: &Batch) {
        let mut place = self.place();
        let was_live = place.is_live();
        self.hand_over(&mut place, batch);
        let took_signals =
            batch.signals.is_empty() || (place.is_live() && self.sink.offer(&batch.signals));
        if batch.has_presence && !took_signals {
            place.missed_presence();
        }
        if batch.has_state {
            place.missed_state();
        }
        if (was_live && !place.is_live()) || (place.is_live() && place.has_to_tell()) {
            self.sink.wake();
        }
    }

    fn hand_over(&self, place: &mut Place, batch: &Batch) {
        match place.hear(batch) {
            Heard::Nothing => {}
            Heard::Broken => place.heard(None, false),
            Heard::All => {
                let taken = match mutants::spoiled(batch.frames.len()) {
                    None => self.sink.offer(&batch.messages),
                    Some(order) => self.sink.offer(&batch.in_order(&order)),
                };
                let last = batch.frames.last().map(|frame| frame.id);
                place.heard(last.filter(|_| taken), taken);
            }
            Heard::Some(frames) => {
                let count = frames.len();
                let taken = frames.into_iter().take_while(|frame| self.sink.offer(&frame.wire));
                let taken: Vec<_> = taken.map(|frame| frame.id).collect();
                place.heard(taken.last().copied(), taken.len() == count);
            }
        }
    }
}
