//! The cast: scripted characters who talk to each other, room by room, in turns.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    participant::Heard,
    phase::{Phase, quiet},
    voice::Voice,
};

/// How long a line may take to be heard before the show goes on without it. The verdict, not
/// the cast, says whether it was lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// The cast file: what is said where, by whom.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cast {
    #[serde(rename = "room")]
    pub rooms: Vec<Scene>,
}

/// One room's dialogue.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    pub name: String,
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
        Self::parse(include_str!("cast.toml"))
    }

    /// Reads a cast file.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let cast: Self = toml::from_str(text).context("this is no cast file")?;
        ensure!(!cast.rooms.is_empty(), "a cast needs a room");
        for scene in &cast.rooms {
            ensure!(!scene.turns.is_empty(), "room {} has no turns", scene.name);
        }
        Ok(cast)
    }

    /// Every character with the rooms in which they speak.
    pub fn characters(&self) -> BTreeMap<String, Vec<String>> {
        let mut characters: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for scene in &self.rooms {
            for turn in &scene.turns {
                characters.entry(turn.who.clone()).or_default().insert(scene.name.clone());
            }
        }
        characters.into_iter().map(|(who, rooms)| (who, rooms.into_iter().collect())).collect()
    }
}

/// A character on stage.
#[derive(Clone)]
pub struct Character {
    pub voice: Voice,
    pub heard: watch::Receiver<Heard>,
}

/// Plays a scene in a loop until the phase says to be quiet. Returns how much was said.
pub async fn play(
    scene: Scene,
    characters: HashMap<String, Character>,
    mut phase: watch::Receiver<Phase>,
) -> u64 {
    let mut said = 0;
    let turns = scene.turns.iter().cycle().zip(scene.turns.iter().cycle().skip(1));
    for (turn, next) in turns {
        let (Some(speaker), Some(listener)) =
            (characters.get(&turn.who), characters.get(&next.who))
        else {
            break;
        };
        // A full outbox is the only refusal that passes; the others end with the client.
        if let Some(ticket) = speaker.voice.say(&scene.name, &turn.say).await {
            said += 1;
            let key = (scene.name.clone(), speaker.voice.sender.clone());
            tokio::select! {
                () = hear(listener, &key, ticket) => {}
                () = quiet(&mut phase) => break,
            }
        }
        // The next speaker is seen thinking; if nobody serves it, nobody needs to see it.
        let _seen = listener.voice.handle.typing(&scene.name).await;
        tokio::select! {
            () = sleep(Duration::from_millis(turn.pause_ms)) => {}
            () = quiet(&mut phase) => break,
        }
    }
    said
}

async fn hear(listener: &Character, key: &(String, String), ticket: u64) {
    let mut heard = listener.heard.clone();
    let arrived = heard.wait_for(|heard| heard.get(key).is_some_and(|n| *n >= ticket));
    if timeout(PATIENCE, arrived).await.is_err() {
        tracing::warn!(room = key.0, device = key.1, ticket, "a line was not heard");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_cast_is_a_crew() {
        let cast = Cast::built_in().expect("the built-in cast");
        let lines: usize = cast.rooms.iter().map(|scene| scene.turns.len()).sum();
        assert!(cast.rooms.len() >= 3 && cast.characters().len() >= 6 && lines >= 60, "{lines}");
    }

    #[test]
    fn a_bad_cast_file_is_refused() {
        for text in ["", "[[room]]\nname = 'x'\nturns = []", "[[room]]\nname = 'x'\nturn = 1"] {
            assert!(Cast::parse(text).is_err(), "{text:?}");
        }
    }
}
