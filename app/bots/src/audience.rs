//! The audience: listens in several rooms, and says something now and then.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{
    phase::{Phase, quiet},
    voice::Voice,
};

/// Rooms of the audience's own, beside those of the cast.
pub const ROOMS: [&str; 3] = ["balcony", "foyer", "bar"];

const REMARKS: [&str; 12] = [
    "Did you see that?",
    "Shh, the good part is coming.",
    "Is it always this calm?",
    "I have counted every line so far.",
    "Who keeps swapping the vans?",
    "My popcorn is live in all rooms.",
    "I think we just moved seats. Did we move seats?",
    "Same seat, new chair.",
    "The pigeon did it.",
    "One more time, from the last word.",
    "I never saw the curtain close.",
    "Still here!",
];

/// The rooms of audience member `index`: two different ones, all equally full.
pub fn rooms_of(index: usize, rooms: &[String]) -> Vec<String> {
    let first = index % rooms.len();
    let step = 1 + (index / rooms.len()) % (rooms.len() - 1).max(1);
    let second = (first + step) % rooms.len();
    let mut chosen = vec![rooms[first].clone()];
    if second != first {
        chosen.push(rooms[second].clone());
    }
    chosen
}

/// Someone in the audience and where they may speak.
pub struct Seat {
    pub voice: Voice,
    pub rooms: Vec<String>,
}

/// Adds these people's public IDs to a file, one a line.
pub fn make_known<'a>(file: &Path, ids: impl Iterator<Item = &'a str>) -> io::Result<()> {
    let lines: String = ids.flat_map(|id| [id, "\n"]).collect();
    OpenOptions::new().create(true).append(true).open(file)?.write_all(lines.as_bytes())
}

/// Lets random people say random things, `rate` per second in all, until the phase says to be
/// quiet. Returns how much was said.
pub async fn chatter(
    seats: Vec<Seat>,
    rate: f64,
    seed: u64,
    mut phase: watch::Receiver<Phase>,
) -> u64 {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut said = 0;
    if seats.is_empty() || rate <= 0.0 {
        return said;
    }
    let mut pace = interval(Duration::from_secs_f64(1.0 / rate));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _tick = pace.tick() => {}
            () = quiet(&mut phase) => return said,
        }
        let seat = &seats[rng.random_range(0..seats.len())];
        let room = &seat.rooms[rng.random_range(0..seat.rooms.len())];
        let remark = REMARKS[rng.random_range(0..REMARKS.len())];
        said += u64::from(seat.voice.say(room, remark).await.is_some());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn rooms_fill_evenly() {
        let rooms: Vec<_> = (0..6).map(|n| format!("room {n}")).collect();
        let mut count = BTreeMap::new();
        for index in 0..300 {
            let chosen = rooms_of(index, &rooms);
            assert!(chosen.len() == 2 && chosen[0] != chosen[1]);
            chosen.into_iter().for_each(|room| *count.entry(room).or_insert(0) += 1);
        }
        assert!(count.values().all(|n| *n == 100), "{count:?}");
    }

    #[test]
    fn those_who_are_known_stay_known_when_others_come() {
        let file = std::env::temp_dir().join(format!("rollcall-guests-{}", std::process::id()));
        make_known(&file, ["a", "b"].into_iter()).expect("written");
        make_known(&file, ["c"].into_iter()).expect("written");
        assert_eq!(std::fs::read_to_string(&file).expect("read"), "a\nb\nc\n");
        std::fs::remove_file(&file).expect("removed");
    }

    #[test]
    fn one_room_is_enough() {
        assert_eq!(rooms_of(3, &["only".to_owned()]), ["only"]);
    }
}
