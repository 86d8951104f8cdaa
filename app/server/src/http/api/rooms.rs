//! The list of rooms, and what is true of one.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{ConnectInfo, State},
    http::HeaderMap,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use rollcall_protocol::{Access, Member};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    auth::{ClientKeyParam, Maybe, Reading, Signed, has_key, token, too_many_requests},
    changes::{changed, checked_topic},
    envelope::{Created, Data, Envelope, Failure, Refused},
    extract::{Body, Params, RoomParam, RoomPath, checked_room},
    news,
    pages::{RoomsPage, RoomsQuery, page},
    reader::Reader,
    retry,
    room_info::{RoomInfo, info, look},
};
use crate::{
    app::App,
    error::JoinError,
    http::client_address,
    log::unix_ms,
    moderation::{Actor, Wishes, is_direct},
    people::Stay,
};

/// Longest pause of slow mode, ms.
const SLOWEST_MS: u64 = 60 * 60 * 1000;

/// A room that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewRoom {
    /// 1 to 64 characters.
    #[schema(min_length = 1, max_length = 64, format = "room")]
    name: String,
    /// What it is about.
    #[serde(default)]
    #[schema(max_length = 200, format = "topic")]
    topic: String,
    /// Who may enter it.
    #[serde(default)]
    access: NewAccess,
}

/// The access of a room that is to be made. Rooms of two are made by `POST /api/v1/directs`.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewAccess {
    /// Everybody.
    #[default]
    Open,
    /// Whom an invitation let in.
    Private,
}

impl From<NewAccess> for Access {
    fn from(access: NewAccess) -> Self {
        match access {
            NewAccess::Open => Self::Open,
            NewAccess::Private => Self::Private,
        }
    }
}

/// What is to be true of a room; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
pub struct RoomChange {
    /// What it is about; empty to take that away.
    #[schema(max_length = 200, format = "topic")]
    topic: Option<String>,
    /// Only those speak who moderate it.
    frozen: Option<bool>,
    /// Nobody speaks.
    archived: Option<bool>,
    /// So many ms between two messages of one person; 0 for no limit.
    #[schema(maximum = 3_600_000)]
    slow_ms: Option<u64>,
}

/// The rooms. With `Accept: text/event-stream` what changes in the list: an event `room` with each room that is spoken in,
/// once a second at most, and `reload` when the list is to be read anew.
#[utoipa::path(
    get,
    path = "/api/v1/rooms",
    tag = "rooms",
    params(RoomsQuery),
    responses((status = 200, description = "A page of them.", body = Envelope<RoomsPage>), Refused)
)]
pub async fn list(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    actor: Result<Maybe, Failure>,
    query: Result<Params<RoomsQuery>, Failure>,
) -> Result<Response, Failure> {
    if retry::is_event_source(&headers) {
        let opened = async {
            let (Maybe(actor), _) = (actor?, query?);
            let who = follower(&app, &headers, actor).await?;
            news::open(&app, peer, &headers, who)
        };
        return Ok(opened.await.unwrap_or_else(|failure| retry::refuse(&app, &headers, failure)));
    }
    let (Maybe(actor), Params(query)) = (actor?, query?);
    let address = client_address(&app, peer, &headers);
    app.rates.allow_read(address).map_err(too_many_requests)?;
    page(&app, actor, address, query).await.map(IntoResponse::into_response)
}

/// Who follows the list. Somebody with an account is noted as being here: what they follow ends with their session, or when
/// they are banned.
async fn follower(
    app: &App,
    headers: &HeaderMap,
    actor: Option<Actor>,
) -> Result<(Reader, Option<Stay>), Failure> {
    let has_session = token(&app.config, headers).is_some() && !has_key(headers);
    if has_session { Reader::arrive(app, headers).await } else { Ok((Reader::from(actor), None)) }
}

/// Whoever had these would rule what all phones are asked and may say. The page knows them by these names, too
/// (`web/hall`).
const OF_AN_AUDIENCE: [&str; 2] = ["hall", "the-plan"];

/// Makes a room, which the asking account moderates from then on.
#[utoipa::path(
    post,
    path = "/api/v1/rooms",
    tag = "rooms",
    request_body = NewRoom,
    responses((status = 201, description = "The room.", body = Envelope<RoomInfo>), Refused)
)]
pub async fn make(
    State(app): State<App>,
    Signed(actor): Signed,
    Body(new): Body<NewRoom>,
) -> Result<Created<RoomInfo>, Failure> {
    checked_room(&new.name)?;
    if is_direct(&new.name) {
        let detail = "a room of two has such a name: POST /api/v1/directs makes it";
        return Err(Failure::bad("bad_room", detail));
    }
    if app.config.hall && OF_AN_AUDIENCE.contains(&&*new.name) && !actor.has_power {
        let detail = "with an audience here only an operator may have this room";
        return Err(Failure::new(StatusCode::FORBIDDEN, "forbidden", detail));
    }
    let topic = checked_topic(&new.topic)?;
    let change = actor.make(&new.name, new.access.into(), &topic, unix_ms());
    let id = changed(&app, change).await?;
    app.has_entered(&actor.member.member, &new.name, id).await.map_err(JoinError::from)?;
    // Read anew: a replica that has the room open hears of the change a moment later.
    let about = app.rooms.log().about(&new.name).await.map_err(JoinError::from)?;
    Ok(Created(info(&app, new.name, &Arc::new(about), 0)))
}

/// What is true of a room.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}",
    tag = "rooms",
    params(RoomParam, ClientKeyParam),
    responses((status = 200, description = "The room.", body = Envelope<RoomInfo>), Refused)
)]
pub async fn one(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Reading(actor): Reading,
    RoomPath(room): RoomPath,
) -> Result<Data<RoomInfo>, Failure> {
    app.rates.allow_read(client_address(&app, peer, &headers)).map_err(too_many_requests)?;
    Ok(Data(look(&app, room, actor.as_ref()).await?))
}

/// Changes a room. Its people see a notice.
#[utoipa::path(
    patch,
    path = "/api/v1/rooms/{room}",
    tag = "rooms",
    params(RoomParam),
    request_body = RoomChange,
    responses((status = 200, description = "The room as it is now.", body = Envelope<RoomInfo>), Refused)
)]
pub async fn change(
    State(app): State<App>,
    Signed(actor): Signed,
    RoomPath(room): RoomPath,
    Body(wish): Body<RoomChange>,
) -> Result<Data<RoomInfo>, Failure> {
    let topic = wish.topic.map(|topic| checked_topic(&topic)).transpose()?;
    if wish.slow_ms.is_some_and(|ms| ms > SLOWEST_MS) {
        return Err(Failure::bad("bad_body", "slow_ms: at most an hour"));
    }
    let RoomChange { frozen, archived, slow_ms, .. } = wish;
    let Some(change) = actor.wish(&room, &Wishes { topic, frozen, archived, slow_ms }) else {
        // All stays as it is, for those who may see it.
        return Ok(Data(look(&app, room, Some(&actor)).await?));
    };
    changed(&app, change).await?;
    let about = app.rooms.log().about(&room).await.map_err(JoinError::from)?;
    let (_, present) = app.rooms.look(&room).await.map_err(JoinError::from)?;
    let you = about.standing(&actor.member.member, actor.has_power, unix_ms());
    Ok(Data(RoomInfo { you: Some(you), ..info(&app, room, &Arc::new(about), present) }))
}

/// Who is in a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct Members {
    /// How many.
    present: usize,
    /// At most 200 of them.
    members: Vec<Member>,
}

/// Who is in a room now.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/members",
    tag = "rooms",
    params(RoomParam, ClientKeyParam),
    responses((status = 200, description = "They are.", body = Envelope<Members>), Refused)
)]
pub async fn members(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Reading(actor): Reading,
    RoomPath(room): RoomPath,
) -> Result<Data<Members>, Failure> {
    app.rates.allow_read(client_address(&app, peer, &headers)).map_err(too_many_requests)?;
    let _may_see = look(&app, room.clone(), actor.as_ref()).await?;
    let (present, members) = app.rooms.members(&room).await.map_err(JoinError::from)?;
    Ok(Data(Members { present, members }))
}

#[cfg(test)]
mod tests {
    use super::OF_AN_AUDIENCE;

    #[test]
    fn rooms_of_an_audience_are_those_of_its_page() {
        let page =
            [include_str!("../../../web/hall/said.js"), include_str!("../../../web/hall/hall.js")];
        for (page, (name, room)) in page.iter().zip(["HALL", "TALK"].iter().zip(OF_AN_AUDIENCE)) {
            assert!(page.contains(&format!("const {name} = \"{room}\";")), "{name} is {room}");
        }
    }
}
