//! The clients that take part in a run: pure, and the same for the same seed.

use std::time::Duration;

use rand::{Rng, RngExt, seq::IndexedRandom};

/// Where everybody talks. The last two are quiet: there a message that went missing is not given
/// away by the next one.
pub const ROOMS: [&str; 8] =
    ["north", "south", "east", "west", "attic", "cellar", "library", "chapel"];
/// How many of [`ROOMS`] are lively.
const LIVELY: usize = 6;
/// The room that a flood is poured into. Its listeners never need it for anything else.
pub const FLOODED: &str = "flooded";
/// The room that a crowd comes to, more than are listed.
pub const CROWDED: &str = "crowded";
/// How the rooms begin that somebody wrote to while nobody was in them.
pub const ARCHIVE: &str = "archive-";

/// Whether the workload talks there: its log is part of the history.
#[must_use]
pub fn is_of_workload(room: &str) -> bool {
    ROOMS.contains(&room) || room == FLOODED || room == CROWDED || room.starts_with(ARCHIVE)
}

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Talks in lively rooms, now and then in a quiet one.
    Talker,
    /// Says nothing.
    Listener,
    /// Says nothing, and by turns takes what it gets slowly and fast.
    Slow,
    /// Leaves rooms and enters them again.
    Wanderer,
    /// Comes late, talks, vanishes without a FIN, and is followed by another.
    Ghost,
    /// Comes, talks, says `bye`, and is followed by another.
    Visitor,
    /// A visitor with many others, and only once.
    Crowd,
    /// Drops its connection several times in a row and resumes.
    Burster,
    /// Reads the history of rooms by HTTP.
    Historian,
    /// Sits at the page, in a browser.
    Page,
    /// Talks by HTTP.
    Poster,
    /// Talks by HTTP, and says each thing once more after more than a minute, as if it had never been answered.
    Repeater,
    /// Listens to an event stream.
    Stream,
    /// Listens by long-polling.
    Poller,
}

/// A client, before it starts.
#[derive(Debug, Clone)]
pub struct Character {
    /// Its name, unique in a run.
    pub name: String,
    /// How it behaves.
    pub role: Role,
    /// Its rooms.
    pub rooms: Vec<String>,
    /// When it comes, counted from the start of the workload.
    pub after: Duration,
}

impl Role {
    /// As it stands in a history.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Talker => "talker",
            Self::Listener => "listener",
            Self::Slow => "slow",
            Self::Wanderer => "wanderer",
            Self::Ghost => "ghost",
            Self::Visitor => "visitor",
            Self::Crowd => "crowd",
            Self::Burster => "burster",
            Self::Historian => "historian",
            Self::Page => "page",
            Self::Poster | Self::Repeater => "poster",
            Self::Stream => "stream",
            Self::Poller => "poller",
        }
    }
}

/// The clients of a run: 47 in all of [`ROOMS`], one of them at the page, and two in [`FLOODED`].
pub fn cast(rng: &mut impl Rng) -> Vec<Character> {
    let mut cast = Vec::new();
    for (role, count) in [
        (Role::Talker, 12),
        (Role::Listener, 10),
        (Role::Slow, 3),
        (Role::Wanderer, 4),
        (Role::Ghost, 3),
        (Role::Visitor, 2),
        (Role::Burster, 3),
        (Role::Poster, 2),
        (Role::Stream, 3),
        (Role::Historian, 1),
        (Role::Page, 1),
        (Role::Poller, 2),
    ] {
        cast.extend((1..=count).map(|number| character(rng, role, number)));
    }
    let rooms = vec![ROOMS[0].to_owned()];
    let (name, after) = ("repeater-1".to_owned(), Duration::ZERO);
    cast.push(Character { name, role: Role::Repeater, rooms, after });
    // One who keeps up with a flood, and one who does not.
    for role in [Role::Listener, Role::Slow] {
        let name = format!("flooded-{}", role.name());
        cast.push(Character { name, role, rooms: vec![FLOODED.to_owned()], after: Duration::ZERO });
    }
    cast
}

fn character(rng: &mut impl Rng, role: Role, number: usize) -> Character {
    let pick = |rooms: &[&str], count, rng: &mut _| -> Vec<String> {
        rooms.sample(rng, count).map(|room| (*room).to_owned()).collect()
    };
    let rooms = match role {
        Role::Talker => [pick(&ROOMS[..LIVELY], 2, rng), pick(&ROOMS[LIVELY..], 1, rng)].concat(),
        Role::Poster | Role::Repeater | Role::Stream | Role::Poller => pick(&ROOMS, 1, rng),
        Role::Page => pick(&ROOMS[..LIVELY], 1, rng),
        Role::Historian => pick(&ROOMS, ROOMS.len(), rng),
        Role::Ghost | Role::Visitor => pick(&ROOMS[..LIVELY], 2, rng),
        _ => pick(&ROOMS, 4, rng),
    };
    // A third of the listeners comes late.
    let late = role == Role::Ghost || (role == Role::Listener && number.is_multiple_of(3));
    let after = if late { rng.random_range(5..30) } else { 0 };
    let name = format!("{}-{number}", role.name());
    Character { name, role, rooms, after: Duration::from_secs(after) }
}
