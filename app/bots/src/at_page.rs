//! One of the audience sits at the page, in a real browser.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rollcall_checker::history::{Id, Op, Recorder, What};
use rollcall_protocol::EntryId;
use rollcall_witness::page::Company;
use tokio::sync::watch;

use crate::{
    participant::Shared,
    phase::{Phase, Progress},
    voice::Script,
};

/// Its name in the rooms.
pub const NAME: &str = "Reader";

/// What the run needs of it.
pub struct Seat {
    script: Script,
    phase: watch::Receiver<Phase>,
    progress: watch::Sender<Progress>,
    entered: watch::Sender<bool>,
    rooms: Vec<String>,
    /// The newest message that the page shows, by room.
    shown: Mutex<BTreeMap<String, Id>>,
    caught_up: AtomicBool,
}

impl Seat {
    /// A seat in these rooms, and whether it is taken.
    pub fn new(shared: Shared, rooms: Vec<String>) -> (Self, watch::Receiver<bool>) {
        let Shared { script, phase, progress, .. } = shared;
        let (entered, is_taken) = watch::channel(false);
        let (shown, caught_up) = (Mutex::default(), AtomicBool::new(false));
        (Self { script, phase, progress, entered, rooms, shown, caught_up }, is_taken)
    }

    fn has_all(&self, heads: &BTreeMap<String, EntryId>) -> bool {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let is_shown = |room: &String| {
            heads
                .get(room)
                .is_none_or(|head| shown.get(room).is_some_and(|id| *id >= (*head).into()))
        };
        self.rooms.iter().all(is_shown)
    }
}

impl Company for Seat {
    fn recorder(&self) -> &Recorder {
        &self.script.recorder
    }

    fn invoke(&self, client: &str, room: &str) -> (Op, String) {
        self.script.invoke_in_sight(client, room, "I see all of it from here.")
    }

    fn is_talking(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Talk)
    }

    fn entered(&self) {
        self.entered.send_replace(true);
    }

    fn shown(&self, room: &str, id: Id, _hash: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.insert(room.to_owned(), id);
    }

    fn settled(&self, _outcome: &What) {}

    fn looked(&self, pending: usize) {
        let has_all = match &*self.phase.borrow() {
            Phase::Settle(heads) => pending == 0 && self.has_all(heads),
            _ => false,
        };
        if has_all && !self.caught_up.swap(true, Ordering::Relaxed) {
            self.progress.send_modify(|progress| progress.caught_up += 1);
        }
    }
}
