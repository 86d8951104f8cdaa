//! The cast file: scripted characters who talk to each other, room by room, in turns, and answer what happens.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use anyhow::{anyhow, bail};
use serde::Deserialize;
use toml::Spanned;

use crate::acts::Act;

/// The cast file: what is said where, by whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    #[serde(rename = "room", default)]
    pub rooms: Vec<Scene>,
    #[serde(rename = "on", default)]
    parts: Vec<Spanned<Part>>,
}

/// One room's dialogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    pub name: String,
    pub turns: Vec<Turn>,
}

/// What a room says when something happens, and then goes on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub act: Act,
    pub room: String,
    pub turns: Vec<Turn>,
}

/// One line.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    pub who: String,
    pub say: String,
    /// From hearing the line before to saying this one, or rather from this one to the next.
    pub pause_ms: u64,
}

impl Cast {
    /// The cast that comes with the program.
    pub fn built_in() -> anyhow::Result<Self> {
        Self::parse(include_str!("../casts/heist.toml"))
    }

    /// Reads a cast file.
    ///
    /// # Errors
    ///
    /// If it is none: in one line, with the place of what is wrong.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let place = |span: Option<Range<usize>>| place(text, span.map_or(0, |span| span.start));
        let cast: Self = toml::from_str(text).map_err(|error| {
            let words = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
            anyhow!("{}: {words}", place(error.span()))
        })?;
        if cast.rooms.is_empty() {
            bail!("{}: a cast needs a [[room]]", place(None));
        }
        for scene in &cast.rooms {
            if scene.turns.is_empty() {
                let at = text.find(&scene.name).unwrap_or(0);
                bail!("{}: room {} has no turns", place(Some(at..at)), scene.name);
            }
        }
        for part in &cast.parts {
            let Part { room, turns, .. } = part.get_ref();
            if turns.is_empty() {
                bail!("{}: this [[on]] has no turns", place(Some(part.span())));
            }
            if !cast.rooms.iter().any(|scene| scene.name == *room) {
                bail!(
                    "{}: this [[on]] is for {room}, which is no [[room]] here",
                    place(Some(part.span()))
                );
            }
        }
        Ok(cast)
    }

    /// What is said in a room when something happens.
    pub fn parts_in(&self, room: &str) -> Vec<Part> {
        let parts = self.parts.iter().map(Spanned::get_ref);
        parts.filter(|part| part.room == room).cloned().collect()
    }

    /// Every character with the rooms in which they speak.
    pub fn characters(&self) -> BTreeMap<String, Vec<String>> {
        let mut characters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let scenes = self.rooms.iter().map(|scene| (&scene.name, &scene.turns));
        let parts = self.parts.iter().map(Spanned::get_ref);
        for (room, turns) in scenes.chain(parts.map(|part| (&part.room, &part.turns))) {
            for turn in turns {
                characters.entry(turn.who.clone()).or_default().insert(room.clone());
            }
        }
        characters.into_iter().map(|(who, rooms)| (who, rooms.into_iter().collect())).collect()
    }
}

/// Where in the file that is.
fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTS: [Act; 8] = [
        Act::RollBegins,
        Act::RollEnds,
        Act::WayBack,
        Act::ReleaseRefused,
        Act::ReplicaKilled,
        Act::RedisAway,
        Act::RedisBack,
        Act::Moved,
    ];

    #[test]
    fn each_cast_talks_in_rooms_of_its_own_and_answers_whatever_happens() {
        let casts = ["heist", "ship", "orchestra"].map(|name| {
            let path = format!("{}/casts/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).expect("a cast");
            (name, Cast::parse(&text).expect(name))
        });
        let mut rooms = BTreeSet::new();
        for (name, cast) in casts {
            let lines: usize = cast.rooms.iter().map(|scene| scene.turns.len()).sum();
            assert!(cast.characters().len() >= 5 && lines >= 40, "{name}: {lines} lines");
            for scene in &cast.rooms {
                assert!(rooms.insert(scene.name.clone()), "two casts in {}", scene.name);
            }
            let answers = |act| cast.parts.iter().any(|part| part.get_ref().act == act);
            assert!(ACTS.into_iter().all(answers), "{name}");
            let turns = cast.rooms.iter().flat_map(|scene| &scene.turns);
            let parts = cast.parts.iter().flat_map(|part| &part.get_ref().turns);
            for Turn { who, say, pause_ms } in turns.chain(parts) {
                assert!(say.chars().count() <= 110 && who.chars().count() <= 12, "{who}: {say}");
                assert!((500..=3000).contains(pause_ms), "{who}: {say}");
            }
        }
    }

    #[test]
    fn a_bad_cast_file_is_refused_in_one_line_that_says_where() {
        let room = "[[room]]\nname = 'x'\nturns = [{ who = 'A', say = 'b', pause_ms = 500 }]\n";
        let on = |act: &str, place: &str, turns: &str| {
            format!("{room}[[on]]\nact = '{act}'\nroom = '{place}'\nturns = [{turns}]\n")
        };
        let turn = "{ who = 'A', say = 'b', pause_ms = 500 }";
        let faults = [
            (String::new(), "line 1, column 1: a cast needs a [[room]]"),
            (
                "[[room]]\nname = 'x'\nturns = []".to_owned(),
                "line 2, column 9: room x has no turns",
            ),
            ("[[room]]\nname = 'x'\nturn = 1".to_owned(), "line 3, column 1: unknown field `turn`"),
            ("[[room]]\n  name = 'x".to_owned(), "line 2, column 12: "),
            (on("rol-begins", "x", turn), "line 5, column 7: unknown variant `rol-begins`"),
            (
                on("roll-begins", "y", turn),
                "line 4, column 1: this [[on]] is for y, which is no [[room]]",
            ),
            (on("roll-begins", "x", ""), "line 4, column 1: this [[on]] has no turns"),
        ];
        for (text, told) in faults {
            let error = format!("{:#}", Cast::parse(&text).expect_err("refused"));
            assert!(error.starts_with(told) && !error.contains('\n'), "{text}\n{error}");
        }
        assert!(Cast::parse(&on("roll-begins", "x", turn)).is_ok());
    }
}
