//! A room's dialogue as it is played: line by line, each once the one before was heard, until something happens.

use std::{collections::HashMap, ops::ControlFlow, time::Duration};

use tokio::{
    sync::{broadcast, watch},
    time::{sleep, timeout},
};

use crate::{
    acts::{Act, Happening},
    cast::{Part, Scene, Turn},
    participant::Heard,
    phase::{Phase, quiet},
    voice::Voice,
};

/// How long a line may take to be heard before the show goes on without it. The verdict, not
/// the cast, says whether it was lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// What happened earlier is no news.
const NEWS: Duration = Duration::from_secs(8);

/// A character on stage.
#[derive(Clone)]
pub struct Character {
    pub voice: Voice,
    pub heard: watch::Receiver<Heard>,
}

/// A room's dialogue, and who plays it.
pub struct Play {
    scene: Scene,
    parts: Vec<Part>,
    characters: HashMap<String, Character>,
    happenings: broadcast::Receiver<Happening>,
    /// How often each act has been answered: a room with several answers gives them in turn.
    answered: HashMap<Act, usize>,
    said: u64,
}

impl Play {
    pub fn new(
        scene: Scene,
        parts: Vec<Part>,
        characters: HashMap<String, Character>,
        happenings: broadcast::Receiver<Happening>,
    ) -> Self {
        Self { scene, parts, characters, happenings, answered: HashMap::new(), said: 0 }
    }

    /// Plays it in a loop until the phase says to be quiet. Returns how much was said.
    pub async fn play(mut self, mut phase: watch::Receiver<Phase>) -> u64 {
        let turns = self.scene.turns.clone();
        let pairs = turns.iter().cycle().zip(turns.iter().cycle().skip(1));
        for (turn, next) in pairs {
            if self.line(turn, &next.who, &mut phase).await.is_break() {
                break;
            }
            let part = tokio::select! {
                () = sleep(Duration::from_millis(turn.pause_ms)) => continue,
                part = self.cue() => part,
                () = quiet(&mut phase) => break,
            };
            if self.part(&part, &next.who, &mut phase).await.is_break() {
                break;
            }
        }
        self.said
    }

    /// Waits for something that this room has an answer to.
    async fn cue(&mut self) -> Part {
        loop {
            match self.happenings.recv().await {
                Ok(happening) => {
                    if let Some(part) = self.answer(&happening) {
                        return part;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    }

    fn answer(&mut self, Happening { act, who, at }: &Happening) -> Option<Part> {
        // A move is told by the character that was moved.
        let is_of = |part: &Part| who.as_ref().is_none_or(|who| part.turns[0].who == *who);
        let parts = self.parts.iter().filter(|part| part.act == *act && is_of(part));
        let parts: Vec<_> = parts.collect();
        if at.elapsed() > NEWS || parts.is_empty() {
            return None;
        }
        let times = self.answered.entry(*act).or_default();
        let part = parts[*times % parts.len()].clone();
        *times += 1;
        Some(part)
    }

    async fn part(
        &mut self,
        part: &Part,
        after: &str,
        phase: &mut watch::Receiver<Phase>,
    ) -> ControlFlow<()> {
        let next = part.turns.iter().skip(1).map(|turn| turn.who.as_str()).chain([after]);
        for (turn, next) in part.turns.iter().zip(next) {
            self.line(turn, next, phase).await?;
            tokio::select! {
                () = sleep(Duration::from_millis(turn.pause_ms)) => {}
                () = quiet(phase) => return ControlFlow::Break(()),
            }
        }
        ControlFlow::Continue(())
    }

    /// Has a line said, and waits until who speaks next has heard it.
    async fn line(
        &mut self,
        turn: &Turn,
        next: &str,
        phase: &mut watch::Receiver<Phase>,
    ) -> ControlFlow<()> {
        let room = &self.scene.name;
        let (Some(speaker), Some(listener)) =
            (self.characters.get(&turn.who), self.characters.get(next))
        else {
            return ControlFlow::Break(());
        };
        // A full outbox is the only refusal that passes; the others end with the client.
        if let Some(ticket) = speaker.voice.say(room, &turn.say).await {
            self.said += 1;
            speaker.voice.script.board.line(room, &turn.who, &turn.say);
            let key = (room.clone(), speaker.voice.sender.clone());
            tokio::select! {
                () = hear(listener, &key, ticket) => {}
                () = quiet(phase) => return ControlFlow::Break(()),
            }
        }
        // The next speaker is seen thinking; if nobody serves it, nobody needs to see it.
        let _seen = listener.voice.handle.typing(room).await;
        ControlFlow::Continue(())
    }
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
    use std::time::Instant;

    use super::*;
    use crate::{acts::Acts, cast::Cast};

    const CAST: &str = r#"
        [[room]]
        name = "den"
        turns = [{ who = "Ann", say = "as always", pause_ms = 500 }]
        [[on]]
        act = "roll-begins"
        room = "den"
        turns = [{ who = "Ann", say = "first", pause_ms = 500 }]
        [[on]]
        act = "roll-begins"
        room = "den"
        turns = [{ who = "Ben", say = "second", pause_ms = 500 }]
        [[on]]
        act = "moved"
        room = "den"
        turns = [{ who = "Ben", say = "I moved", pause_ms = 500 }]
    "#;

    #[test]
    fn a_room_gives_its_answers_by_turns_and_who_moved_tells_it() {
        let cast = Cast::parse(CAST).expect("a cast");
        let (scene, parts) = (cast.rooms[0].clone(), cast.parts_in("den"));
        let mut play = Play::new(scene, parts, HashMap::new(), Acts::default().subscribe());
        let mut answer = |act, who: Option<&str>, at| {
            let who = who.map(str::to_owned);
            play.answer(&Happening { act, who, at }).map(|part| part.turns[0].say.clone())
        };
        let now = Instant::now();
        for words in ["first", "second", "first"] {
            assert_eq!(answer(Act::RollBegins, None, now).as_deref(), Some(words));
        }
        assert_eq!(answer(Act::Moved, Some("Ben"), now).as_deref(), Some("I moved"));
        assert_eq!(answer(Act::Moved, Some("Ann"), now), None, "she has nothing to say of it");
        assert_eq!(answer(Act::RedisAway, None, now), None);
        if let Some(earlier) = now.checked_sub(2 * NEWS) {
            assert_eq!(answer(Act::RollBegins, None, earlier), None, "it is no news");
        }
    }
}
