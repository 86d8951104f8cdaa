//! What those who moderate do: people are muted, banned and asked to leave, and all are told something.

use axum::{extract::State, http::StatusCode};
use rollcall_protocol::Member;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    auth::Signed,
    changes::changed,
    envelope::{Data, Envelope, Failure, Refused},
    extract::{Body, RoomParam, RoomPath, Segments, Span, checked_member, checked_room},
};
use crate::{app::App, error::JoinError, log::unix_ms, moderation::Actor, session::check_text};

/// In so many of the newest messages somebody's name is looked for who is not there.
const LOOK_BACK: usize = 200;
/// Rooms that an announcement goes to.
const MOST_ROOMS: usize = 500;
/// After so many rooms in a row of which the log says nothing, no other is told.
const IN_VAIN: usize = 3;
/// Longest announcement, in bytes.
const ANNOUNCEMENT_BYTES: usize = 1000;

/// Who, and where.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only its description is used")]
struct MemberParam {
    /// The room's name.
    #[param(value_type = String, min_length = 1, max_length = 64, format = "room")]
    room: String,
    /// The member's public ID.
    #[param(value_type = String, pattern = "^[0-9a-f]{16}$")]
    member: String,
}

/// Who is asked to leave.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Guest {
    /// The member's public ID.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    member: String,
}

/// What is announced.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Announcement {
    /// The text.
    #[schema(min_length = 1, max_length = 1000, format = "text")]
    text: String,
    /// The room; without it, each room that is listed.
    #[schema(min_length = 1, max_length = 64, format = "room")]
    room: Option<String>,
}

/// How far it went.
#[derive(Debug, Serialize, ToSchema)]
pub struct Announced {
    /// In how many rooms it stands; an error only if in none.
    rooms: usize,
}

type MemberPath = Segments<(String, String)>;

/// Somebody in a room, by the name that they have there, or had when they spoke last.
async fn person(app: &App, room: &str, member: &str) -> Result<Member, Failure> {
    checked_member(member)?;
    let member = member.to_owned();
    let present = app.rooms.presence().snapshot(room).await.map_err(JoinError::from)?;
    if let Some(name) = present.members.get(&member).cloned() {
        return Ok(Member { member, name });
    }
    let page = app.rooms.log().read_before(room, None, LOOK_BACK).await.map_err(JoinError::from)?;
    let spoke = page.entries.into_iter().rfind(|entry| entry.member == member);
    let name = spoke.map_or_else(|| "somebody".to_owned(), |entry| entry.name);
    Ok(Member { member, name })
}

/// Lets somebody not speak in a room.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/mutes/{member}",
    tag = "moderation",
    params(MemberParam),
    request_body = Span,
    responses((status = 204, description = "They are muted."), Refused)
)]
pub async fn mute(
    State(app): State<App>,
    Signed(actor): Signed,
    Segments((room, member)): MemberPath,
    Body(span): Body<Span>,
) -> Result<StatusCode, Failure> {
    checked_room(&room)?;
    let (who, span) = (person(&app, &room, &member).await?, span.checked()?);
    changed(&app, actor.mute(&room, &who, span, unix_ms())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets somebody speak again.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}/mutes/{member}",
    tag = "moderation",
    params(MemberParam),
    responses((status = 204, description = "They may speak."), Refused)
)]
pub async fn unmute(
    State(app): State<App>,
    Signed(actor): Signed,
    Segments((room, member)): MemberPath,
) -> Result<StatusCode, Failure> {
    checked_room(&room)?;
    let who = person(&app, &room, &member).await?;
    changed(&app, actor.unmute(&room, &who)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts somebody out of a room: on every replica their connections leave it, and cannot come back.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/bans/{member}",
    tag = "moderation",
    params(MemberParam),
    request_body = Span,
    responses((status = 204, description = "They are banned."), Refused)
)]
pub async fn ban(
    State(app): State<App>,
    Signed(actor): Signed,
    Segments((room, member)): MemberPath,
    Body(span): Body<Span>,
) -> Result<StatusCode, Failure> {
    checked_room(&room)?;
    let (who, span) = (person(&app, &room, &member).await?, span.checked()?);
    changed(&app, actor.ban(&room, &who, span, unix_ms())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets somebody come back.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}/bans/{member}",
    tag = "moderation",
    params(MemberParam),
    responses((status = 204, description = "They may come back."), Refused)
)]
pub async fn unban(
    State(app): State<App>,
    Signed(actor): Signed,
    Segments((room, member)): MemberPath,
) -> Result<StatusCode, Failure> {
    checked_room(&room)?;
    let who = person(&app, &room, &member).await?;
    changed(&app, actor.unban(&room, &who)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks somebody to leave: their connections leave the room, and may come back after ten seconds.
#[utoipa::path(
    post,
    path = "/api/v1/rooms/{room}/kicks",
    tag = "moderation",
    params(RoomParam),
    request_body = Guest,
    responses((status = 204, description = "They have to leave."), Refused)
)]
pub async fn kick(
    State(app): State<App>,
    Signed(actor): Signed,
    RoomPath(room): RoomPath,
    Body(guest): Body<Guest>,
) -> Result<StatusCode, Failure> {
    let who = person(&app, &room, &guest.member).await?;
    changed(&app, actor.kick(&room, &who, unix_ms())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tells all who are in a room, or in any, something.
#[utoipa::path(
    post,
    path = "/api/v1/announcements",
    tag = "moderation",
    request_body = Announcement,
    responses((status = 200, description = "Where it stands.", body = Envelope<Announced>), Refused)
)]
pub async fn announce(
    State(app): State<App>,
    Signed(actor): Signed,
    Body(Announcement { text, room }): Body<Announcement>,
) -> Result<Data<Announced>, Failure> {
    check_text(&text, ANNOUNCEMENT_BYTES).map_err(|detail| Failure::bad("bad_text", detail))?;
    let rooms = match room {
        Some(room) => {
            checked_room(&room)?;
            vec![room]
        }
        None if !actor.has_power => {
            let detail = "only moderators speak to all rooms";
            return Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", detail));
        }
        None => {
            let latest = app.rooms.directory().latest(0, None, MOST_ROOMS);
            latest.into_iter().map(|(room, _)| room).collect()
        }
    };
    announced(&app, &actor, &rooms, &text).await.map(Data)
}

/// Tells the rooms, one after the other: one that cannot be told keeps it from no other.
///
/// # Errors
/// Why the first could not be told, if none could.
async fn announced(
    app: &App,
    actor: &Actor,
    rooms: &[String],
    text: &str,
) -> Result<Announced, Failure> {
    let (mut told, mut in_vain, mut first) = (0, 0, None);
    for room in rooms {
        match changed(app, actor.announce(room, text, unix_ms())).await {
            Ok(_) => (told, in_vain) = (told + 1, 0),
            Err(failure) => {
                // A log that does not answer for one room after the other is away.
                in_vain += usize::from(failure.status() == StatusCode::SERVICE_UNAVAILABLE);
                first.get_or_insert(failure);
            }
        }
        if in_vain == IN_VAIN {
            break;
        }
    }
    match first {
        Some(failure) if told == 0 => Err(failure),
        _ => Ok(Announced { rooms: told }),
    }
}
