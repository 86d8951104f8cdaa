//! Changes of a room's state, asked for by a request.

use std::time::Duration;

use axum::http::StatusCode;
use rollcall_protocol::EntryId;

use super::envelope::Failure;
use crate::{
    app::App,
    error::JoinError,
    log::{Change, Changed, LogError},
    session::check_text,
};

/// Longest topic, in characters.
const TOPIC_CHARS: usize = 200;
/// A change whose outcome is unknown is tried again for so long: done twice it is the same.
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);

/// Makes a change. The entry that says so, or the room's last one if it was so before.
///
/// # Errors
/// 403, 409 and 503, as what became of it says.
pub async fn changed(app: &App, change: Change) -> Result<EntryId, Failure> {
    match tried(app, &change).await.map_err(JoinError::from)? {
        Changed::Yes(id) => Ok(id),
        Changed::Same => Ok(app.rooms.log().last(&change.room).await.map_err(JoinError::from)?),
        Changed::Forbidden => {
            let detail = "only those who moderate this room may do that";
            Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", detail))
        }
        Changed::Exists => {
            Err(Failure::new(StatusCode::CONFLICT, "room_exists", "this room was made before"))
        }
        Changed::TooMany => {
            let detail = "you have made as many rooms as one can";
            Err(Failure::new(StatusCode::CONFLICT, "too_many_rooms", detail))
        }
        Changed::Full => Err(room_full()),
    }
}

/// 507, of a room.
pub fn room_full() -> Failure {
    let detail = "this room knows of as many people as it can";
    Failure::new(StatusCode::INSUFFICIENT_STORAGE, "room_full", detail)
}

async fn tried(app: &App, change: &Change) -> Result<Changed, LogError> {
    let mut outcome = app.rooms.log().change(change).await;
    for _ in 1..TRIES {
        if !matches!(outcome, Err(LogError::Unknown(_))) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        outcome = app.rooms.log().change(change).await;
        // An earlier try made the room, or somebody else did.
        if matches!(outcome, Ok(Changed::Exists))
            && app.rooms.log().about(&change.room).await?.has(change)
        {
            outcome = app.rooms.log().last(&change.room).await.map(Changed::Yes);
        }
    }
    outcome
}

/// A topic that may be one; empty for none.
///
/// # Errors
/// 400.
pub fn checked_topic(topic: &str) -> Result<String, Failure> {
    let topic = topic.trim();
    let refuse = |detail| Failure::bad("bad_topic", detail);
    if topic.chars().count() > TOPIC_CHARS {
        return Err(refuse(format!("a topic has at most {TOPIC_CHARS} characters")));
    }
    if !topic.is_empty() {
        check_text(topic, 4 * TOPIC_CHARS).map_err(refuse)?;
    }
    if topic.contains(['\n', '\t']) {
        return Err(refuse("a topic is one line".to_owned()));
    }
    Ok(topic.to_owned())
}
