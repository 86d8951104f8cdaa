//! The connections of each slot, from its replica's admin listener: who is where, and how each slot is.

mod board;
mod stream;

use std::{net::SocketAddr, str::FromStr, time::Duration};

use anyhow::Context;
use tokio::sync::mpsc;

use self::{
    board::Board,
    stream::{Ended, News, follow},
};
use crate::event::What;

/// Slots of a replica, in the order in which they are named.
const SLOTS: [&str; 2] = ["blue", "green"];
/// News of all slots that may wait.
const WAITING: usize = 256;
/// Between two tries to reach a slot in which perhaps nothing runs.
const RETRY: Duration = Duration::from_millis(150);

/// A replica, and where the admin listeners of its slots are: `NAME=BLUE` or `NAME=BLUE,GREEN`, each as `ADDRESS:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its name.
    pub name: String,
    /// Where the admin listeners of its slots are.
    pub slots: Vec<SocketAddr>,
}

impl FromStr for Replica {
    type Err = anyhow::Error;

    fn from_str(told: &str) -> anyhow::Result<Self> {
        let (name, slots) = told.split_once('=').context("a replica is NAME=BLUE,GREEN")?;
        let slots: Vec<SocketAddr> = slots
            .split(',')
            .map(|slot| slot.parse().with_context(|| format!("{slot:?} is no ADDRESS:PORT")))
            .collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(!name.is_empty(), "a replica has a name: NAME=BLUE,GREEN");
        anyhow::ensure!(slots.len() <= SLOTS.len(), "a replica has {} slots at most", SLOTS.len());
        Ok(Self { name: name.to_owned(), slots })
    }
}

/// Tells of all slots of these replicas for as long as somebody listens.
pub async fn watch(replicas: Vec<Replica>, out: mpsc::Sender<What>) {
    let (sender, mut news) = mpsc::channel(WAITING);
    let mut board = Board::new(&replicas);
    for (replica, slots) in replicas.iter().map(|it| &it.slots).enumerate() {
        for (slot, address) in slots.iter().enumerate() {
            tokio::spawn(keep_following((replica, slot), *address, sender.clone()));
        }
    }
    drop(sender);
    let mut events = vec![board.told()];
    loop {
        for event in events {
            if out.send(event).await.is_err() {
                return;
            }
        }
        let Some((place, news)) = news.recv().await else { return };
        events = board.hear(place, news);
    }
}

/// A replica and a slot, as numbers.
type Place = (usize, usize);

/// Follows whatever runs in a slot, one after another.
async fn keep_following(place: Place, address: SocketAddr, out: mpsc::Sender<(Place, News)>) {
    while let Ok(ended) = follow(address, |news| out.send((place, news))).await {
        if ended == Ended::Gone && out.send((place, News::Gone)).await.is_err() {
            return;
        }
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::Replica;

    #[test]
    fn a_replica_is_read_and_what_is_wrong_with_it_is_said() {
        let read = "r1=10.0.0.1:8090,10.0.0.2:8090".parse::<Replica>().expect("a replica");
        assert_eq!((&*read.name, read.slots.len()), ("r1", 2));
        for (told, why) in [
            ("r1", "a replica is NAME=BLUE,GREEN"),
            ("r1=here", "\"here\" is no ADDRESS:PORT"),
            ("=10.0.0.1:1", "a replica has a name: NAME=BLUE,GREEN"),
            ("r1=1.1.1.1:1,1.1.1.1:2,1.1.1.1:3", "a replica has 2 slots at most"),
        ] {
            let refused = told.parse::<Replica>().expect_err("refused");
            assert_eq!(refused.to_string(), why);
        }
    }
}
