//! What is told of a room.

use std::{collections::HashMap, sync::Arc};

use rollcall_protocol::{Access, EntryId, Message, Standing};
use serde::Serialize;
use utoipa::ToSchema;

use super::envelope::Failure;
use crate::{
    app::App,
    delivery::Visitor,
    error::JoinError,
    log::{About, LogError, unix_ms},
    moderation::Actor,
};

/// Unread messages are counted up to this.
const MOST_UNREAD: usize = 100;
/// A room.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoomInfo {
    /// Its name.
    pub name: String,
    /// What it is about; empty if nobody said so.
    pub topic: String,
    /// Who may enter.
    pub access: Access,
    /// Only those speak who moderate it.
    pub frozen: bool,
    /// Nobody speaks.
    pub archived: bool,
    /// So many ms between two messages of one person; 0 for no limit.
    pub slow_ms: u64,
    /// The member who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// What that means for the asking account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub you: Option<Standing>,
    /// How many people are there, about.
    pub present: usize,
    /// When somebody spoke there last, Unix ms, to a minute; absent if that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// The last message there that the asking account has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<EntryId>,
    /// How many came after that; 100 stands for as many or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<usize>,
}

/// A room as somebody sees it in a list; none if it is not for them to see.
///
/// # Errors
/// If the log does not answer.
pub(super) async fn visible(
    app: &App,
    name: String,
    visitor: Visitor<'_>,
) -> Result<Option<RoomInfo>, LogError> {
    seen(app, name, visitor, &HashMap::new(), false).await
}

/// The same, with what they have read.
pub(super) async fn seen(
    app: &App,
    name: String,
    visitor: Visitor<'_>,
    reads: &HashMap<String, EntryId>,
    with_unread: bool,
) -> Result<Option<RoomInfo>, LogError> {
    let (about, present) = app.rooms.look(&name).await?;
    if visitor.barred_from(&name, &about).is_some() {
        return Ok(None);
    }
    let read = reads.get(&name).copied();
    let unread = match read.filter(|_| with_unread) {
        Some(read) => {
            let page = app.rooms.log().read_after(&name, read, MOST_UNREAD).await?;
            let is_message = |entry: &&Message| entry.extra.kind.is_none() && !entry.extra.removed;
            Some(page.entries.iter().filter(is_message).count())
        }
        None => None,
    };
    Ok(Some(RoomInfo { read, unread, ..info(app, name, &about, present) }))
}

/// Whoever asks, as the rooms want to know them.
pub(super) fn visitor(actor: Option<&Actor>) -> Visitor<'_> {
    actor.map_or_else(Visitor::default, |actor| Visitor::seated(&actor.member, actor.has_power))
}

pub(super) fn info(app: &App, name: String, about: &Arc<About>, present: usize) -> RoomInfo {
    let state = about.state();
    RoomInfo {
        at: app.rooms.directory().spoken_in(&name),
        name,
        topic: state.topic,
        access: state.access,
        frozen: state.frozen,
        archived: state.archived,
        slow_ms: state.slow_ms,
        owner: state.owner,
        you: None,
        present,
        read: None,
        unread: None,
    }
}

/// A room as it is now, for somebody who may see it.
///
/// # Errors
/// 403 if it is not for them; 503 if the log does not answer.
pub(super) async fn look(
    app: &App,
    name: String,
    actor: Option<&Actor>,
) -> Result<RoomInfo, Failure> {
    let (about, present) = app.rooms.look(&name).await.map_err(JoinError::from)?;
    if let Some(why) = visitor(actor).barred_from(&name, &about) {
        return Err(JoinError::Barred(why).into());
    }
    let standing = |actor: &Actor| about.standing(&actor.member.member, actor.has_power, unix_ms());
    Ok(RoomInfo { you: actor.map(standing), ..info(app, name, &about, present) })
}
