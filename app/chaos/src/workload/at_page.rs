//! One of the workload's clients sits at the page.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use rollcall_witness::page::{self, Company, Visit};

use super::{Character, Phase, Place, Shared};
use crate::history::{Id, Op, Recorder, What};

const LENGTH: usize = 40;

/// The workload, and what it waits for of this client.
struct Seat {
    shared: Arc<Shared>,
    place: Arc<Place>,
}

/// Sits there until the run is over. Without a browser the history proves nothing of the page, and says so.
pub async fn sit(shared: Arc<Shared>, character: Character, place: Arc<Place>, seed: u64) {
    let mut phase = shared.watch();
    let over = async move {
        // If nobody leads the run any more, it is over as well.
        let _over = phase.wait_for(|phase| *phase == Phase::Over).await;
    };
    let visit = Visit {
        url: shared.url.clone(),
        name: character.name,
        room: character.rooms[0].clone(),
        rooms: character.rooms.into_iter().map(|room| (room, Id::default())).collect(),
        keys: Vec::new(),
        seed,
    };
    let seat = Seat { shared: shared.clone(), place: place.clone() };
    if let Err(error) = page::sit(Arc::new(seat), visit, over).await {
        shared.recorder.record(What::Incomplete { why: format!("{error:#}") });
    }
    place.pending.store(0, Relaxed);
    place.lock().clear();
}

impl Company for Seat {
    fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    fn invoke(&self, client: &str, room: &str) -> (Op, String) {
        self.shared.invoke(client, room, LENGTH)
    }

    fn is_talking(&self) -> bool {
        *self.shared.watch().borrow() == Phase::Talking
    }

    fn entered(&self) {}

    fn shown(&self, room: &str, id: Id, hash: &str) {
        self.shared.live.delivered(hash, None);
        self.place.lock().insert(room.to_owned(), id);
    }

    fn settled(&self, outcome: &What) {
        let live = &self.shared.live;
        let count = match outcome {
            What::Ok { .. } => &live.ok,
            What::Fail { .. } => &live.fail,
            _ => &live.info,
        };
        count.fetch_add(1, Relaxed);
    }

    fn looked(&self, pending: usize) {
        self.place.pending.store(pending as u64, Relaxed);
    }
}
