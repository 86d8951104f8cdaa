//! A recording, told again to everybody who asks, each from the beginning and at the pace of its own clock.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::stream::{self, Stream};
use tokio::time::{Instant, sleep_until};

use crate::{
    event::{Event, What},
    recording,
    told::{Now, Told},
};

/// A recording that is shown.
#[derive(Debug, Clone)]
pub struct Replay(Arc<[Event]>);

/// Where one reader is.
struct Reading {
    events: Arc<[Event]>,
    next: usize,
    /// When the recording's beginning was, by our clock. Absent as long as all is told at once.
    began: Option<Instant>,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// If it cannot be shown.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        recording::read(path).map(|events| Self(events.into()))
    }

    /// Where the audience of it could join.
    #[must_use]
    pub fn join(&self) -> Option<String> {
        self.0.iter().find_map(|event| match &event.what {
            What::Stage(stage) => stage.join.clone(),
            _ => None,
        })
    }

    /// Everything up to `at` at once, and no more.
    pub fn frozen(&self, at: u64) -> impl Stream<Item = Told> + use<> {
        let until = self.0.partition_point(|event| event.at <= at);
        let events = self.0.clone();
        let told = (0..until).map(move |index| Told::Event(Box::new(events[index].clone())));
        stream::iter(told.chain([Told::Now(Now { at, frozen: true, replay: true })]))
    }

    /// Everything up to `from` at once, and the rest as it came.
    pub fn played(&self, from: u64) -> impl Stream<Item = Told> + use<> {
        let reading = Reading { events: self.0.clone(), next: 0, began: None };
        stream::unfold(reading, move |reading| reading.tell(from))
    }
}

impl Reading {
    async fn tell(mut self, from: u64) -> Option<(Told, Self)> {
        let event = self.events.get(self.next).cloned();
        let Some(began) = self.began else {
            if let Some(event) = event.filter(|event| event.at <= from) {
                self.next += 1;
                return Some((Told::Event(Box::new(event)), self));
            }
            self.began = Some(Instant::now() - Duration::from_millis(from));
            return Some((Told::Now(Now { at: from, frozen: false, replay: true }), self));
        };
        let Some(event) = event else {
            let is_new = self.next == self.events.len();
            self.next += 1;
            return is_new.then_some((Told::End, self));
        };
        sleep_until(began + Duration::from_millis(event.at)).await;
        self.next += 1;
        Some((Told::Event(Box::new(event)), self))
    }
}
