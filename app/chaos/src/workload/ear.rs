//! What clients that listen by HTTP write down, whichever way they listen.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rollcall_protocol::{EntryId, GapReason, Message};

use super::{Place, Shared, hash};
use crate::history::{Entered, Id, What};

/// Somebody who listens to one room.
pub struct Ear {
    pub shared: Arc<Shared>,
    pub place: Arc<Place>,
    pub name: String,
    pub room: String,
}

impl Ear {
    /// Where it has come to; none before it came.
    pub fn cursor(&self) -> Option<Id> {
        self.place.lock().get(&self.room).copied()
    }

    /// It has come to `cursor`. Where it was before.
    pub fn moves_to(&self, cursor: Id) -> Option<Id> {
        self.place.lock().insert(self.room.clone(), cursor)
    }

    pub fn entered(&self, how: Entered, cursor: Id) {
        let (client, room) = (self.name.clone(), self.room.clone());
        let present = Vec::new();
        self.shared.recorder.record(What::Joined { client, room, how, cursor, present });
    }

    pub fn back_after(&self, silence: Duration) {
        self.shared.live.silent(silence);
        let ms = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        self.shared.recorder.record(What::Silence { client: self.name.clone(), ms });
    }

    /// What it listened to ended in the middle of something, as no drain may end it.
    pub fn cut(&self, how: String) {
        let (client, replica) = (self.name.clone(), "a stream's replica".to_owned());
        self.shared.recorder.record(What::Lost { client, replica, how, abrupt: true });
    }

    pub fn message(&self, message: Message) {
        let received = Instant::now();
        self.shared.live.delivered(&hash(&message.text), Some(received));
        let event = rollcall_client::Event::Message { message, received };
        rollcall_witness::record(&self.shared.recorder, &self.name, &event);
    }

    pub fn gap(&self, after: EntryId, resumes_at: EntryId, reason: GapReason) {
        self.shared.live.gaps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let room = self.room.clone();
        let gap = rollcall_client::Event::Gap { room, after, resumes_at, reason };
        rollcall_witness::record(&self.shared.recorder, &self.name, &gap);
    }
}
