//! What a client of the workload does, and when.

use std::{sync::atomic::Ordering::Relaxed, time::Duration};

use rand::{RngExt, seq::IndexedRandom};
use rollcall_client::{Change, Handle, SendError};
use tokio::time::Instant;

use super::Participant;
use crate::{
    history::{Op, What},
    workload::Role,
};

/// Of what a talker does, one in so many changes something that it said.
const CHANGES_IN: u32 = 10;

impl Participant {
    pub(super) fn next_act(&mut self) -> Instant {
        let (least, most) = match self.character.role {
            Role::Talker | Role::Visitor => (400, 2_000),
            Role::Crowd => (4_000, 16_000),
            Role::Ghost => (300, 900),
            Role::Wanderer => (2_000, 6_000),
            _ => (1 << 40, (1 << 40) + 1),
        };
        Instant::now() + Duration::from_millis(self.rng.random_range(least..most))
    }

    pub(super) async fn act(&mut self, handle: &Handle) {
        match self.character.role {
            Role::Talker if self.rng.random_ratio(1, CHANGES_IN) && !self.own.is_empty() => {
                self.change(handle, 40).await;
            }
            Role::Talker | Role::Ghost | Role::Visitor | Role::Crowd => {
                self.speak(handle, 40).await
            }
            Role::Wanderer => self.wander(handle).await,
            _ => {}
        }
    }

    async fn speak(&mut self, handle: &Handle, length: usize) {
        // A talker's last room is a quiet one: every eighth message at most goes there.
        let lively = self.character.rooms.len().max(2) - 1;
        let rooms = match self.character.role {
            Role::Talker if !self.rng.random_ratio(1, 8) => &self.character.rooms[..lively],
            _ => &self.character.rooms[..],
        };
        let Some(room) = rooms.choose(&mut self.rng).cloned() else { return };
        let (op, text) = self.shared.invoke(&self.name, &room, length);
        let queued = handle.send(&room, text).await;
        self.invoked(op, room, queued);
    }

    /// Edits something that it has said, or takes it away; then it is left alone, since what was removed once cannot be again.
    async fn change(&mut self, handle: &Handle, length: usize) {
        let which = self.rng.random_range(0..self.own.len());
        let Some((room, of)) = self.own.remove(which) else { return };
        let change = match self.rng.random_ratio(1, 3) {
            true => Change::Remove(of),
            false => Change::Edit(of),
        };
        let (op, text) = self.shared.invoke_change(&self.name, &room, change, length);
        let queued = match change {
            Change::Remove(of) => handle.remove(&room, of).await,
            Change::Edit(of) => handle.edit(&room, of, text).await,
        };
        self.invoked(op, room, queued);
    }

    /// What the library said to an operation.
    fn invoked(&mut self, op: Op, room: String, queued: Result<u64, SendError>) {
        match queued {
            Ok(ticket) => {
                self.pending.insert((room, ticket), op);
                self.count_pending();
            }
            Err(SendError::Ended) => {
                let why = "the client has ended".to_owned();
                self.shared.recorder.record(What::Info { op, why });
                self.shared.live.info.fetch_add(1, Relaxed);
            }
            // It never left this process.
            Err(_) => {
                self.shared.recorder.record(What::Fail { op, code: "not-queued".to_owned() });
                self.shared.live.fail.fetch_add(1, Relaxed);
            }
        }
    }

    /// Leaves a room, or enters the one it left.
    async fn wander(&mut self, handle: &Handle) {
        if self.left.is_some() {
            return self.enter_again(handle).await;
        }
        let Some(room) = self.character.rooms.choose(&mut self.rng).cloned() else { return };
        let client = self.name.clone();
        self.shared.recorder.record(What::Leave { client, room: room.clone() });
        self.place.lock().remove(&room);
        let _ended = handle.leave(&room).await;
        self.left = Some(room);
    }

    pub(super) async fn enter_again(&mut self, handle: &Handle) {
        if let Some(room) = self.left.take() {
            let client = self.name.clone();
            self.shared.recorder.record(What::Join { client, room: room.clone() });
            let _ended = handle.join(&room, None).await;
        }
    }
}
