//! Coming into rooms and leaving them, invitations, rooms of two, and how far somebody has read.

use axum::{extract::State, http::StatusCode};
use rollcall_protocol::{Access, EntryId, Member};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    accounts::checked_name,
    auth::Signed,
    changes::{changed, room_full},
    envelope::{Created, Data, Envelope, Failure, Refused},
    extract::{Body, RoomParam, RoomPath, checked_member},
    room_info::{RoomInfo, look},
};
use crate::{
    app::App,
    delivery::{Invited, Visitor},
    error::JoinError,
    log::unix_ms,
    moderation::{Actor, direct_room, secret_hash},
};

/// How a room is entered.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Entrance {
    /// The token of a private room's invitation.
    invite: Option<String>,
}

/// An invitation.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invitation {
    /// The token: everybody who has it may enter. It is told once, and kept nowhere.
    invite: String,
    /// Where the page takes it, below this server's own address.
    url: String,
}

/// With whom somebody wants to talk.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Partner {
    /// Their public ID.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    member: String,
    /// What they are called.
    #[schema(min_length = 1, max_length = 32, format = "display-name")]
    name: String,
}

/// How far somebody has read.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct ReadUpTo {
    /// The last message that they read.
    id: EntryId,
}

/// Comes into a room: it is among the account's rooms from then on.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/membership",
    tag = "rooms",
    params(RoomParam),
    request_body = Entrance,
    responses((status = 200, description = "The room.", body = Envelope<RoomInfo>), Refused)
)]
pub async fn enter(
    State(app): State<App>,
    Signed(actor): Signed,
    RoomPath(room): RoomPath,
    Body(entrance): Body<Entrance>,
) -> Result<Data<RoomInfo>, Failure> {
    let me = &actor.member.member;
    let invited = match &entrance.invite {
        Some(invite) => app.rooms.invited(&room, &actor, invite).await.map_err(JoinError::from)?,
        None => Invited::NeedsNone,
    };
    if invited == Invited::Void {
        let detail = "this invitation is void";
        return Err(Failure::new(StatusCode::FORBIDDEN, "bad_invite", detail));
    }
    let about = app.rooms.log().about(&room).await.map_err(JoinError::from)?;
    let visitor = Visitor::seated(&actor.member, actor.has_power);
    if let Some(why) = visitor.barred_from(&room, &about).filter(|_| invited != Invited::Yes) {
        return Err(JoinError::Barred(why).into());
    }
    let last = app.rooms.log().last(&room).await.map_err(JoinError::from)?;
    // Before they are let in: who is in too many rooms is let into none.
    if !app.memberships.enter(me, &room, last).await.map_err(JoinError::from)? {
        let detail = "you are in as many rooms as one can be";
        return Err(Failure::new(StatusCode::CONFLICT, "too_many_rooms", detail));
    }
    if invited == Invited::Yes && !app.rooms.let_in(&room, &actor).await.map_err(JoinError::from)? {
        app.memberships.leave(me, &room).await.map_err(JoinError::from)?;
        return Err(room_full());
    }
    // Their devices are told once they may be there.
    app.tell_read(me, &room, last).await.map_err(JoinError::from)?;
    Ok(Data(look_anew(&app, room, &actor).await?))
}

async fn look_anew(app: &App, room: String, actor: &Actor) -> Result<RoomInfo, Failure> {
    // What is open here hears of a change a moment later: then it is looked at once more.
    match look(app, room.clone(), Some(actor)).await {
        Err(_) => {
            app.rooms.refresh(&room).await.map_err(JoinError::from)?;
            look(app, room, Some(actor)).await
        }
        info => info,
    }
}

/// Leaves a room for good.
#[utoipa::path(
    delete,
    path = "/api/v1/rooms/{room}/membership",
    tag = "rooms",
    params(RoomParam),
    responses((status = 204, description = "Left."), Refused)
)]
pub async fn leave(
    State(app): State<App>,
    Signed(actor): Signed,
    RoomPath(room): RoomPath,
) -> Result<StatusCode, Failure> {
    let me = &actor.member.member;
    let about = app.rooms.log().about(&room).await.map_err(JoinError::from)?;
    // From a room of two, too: the other cannot bring somebody back who left it.
    if about.access() != Access::Open && about.let_in().any(|member| member == me) {
        changed(&app, actor.go_out(&room)).await?;
    }
    app.memberships.leave(me, &room).await.map_err(JoinError::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new invitation to a private room; the one before is void then.
#[utoipa::path(
    post,
    path = "/api/v1/rooms/{room}/invitations",
    tag = "rooms",
    params(RoomParam),
    responses((status = 201, description = "The invitation.", body = Envelope<Invitation>), Refused)
)]
pub async fn invite(
    State(app): State<App>,
    Signed(actor): Signed,
    RoomPath(room): RoomPath,
) -> Result<Created<Invitation>, Failure> {
    let about = app.rooms.log().about(&room).await.map_err(JoinError::from)?;
    if about.access() != Access::Private {
        let detail = "this room is not private: everybody may enter, or nobody else";
        return Err(Failure::new(StatusCode::CONFLICT, "not_private", detail));
    }
    let invite = format!("{:032x}", rand::random::<u128>());
    changed(&app, actor.invite(&room, secret_hash(&invite))).await?;
    let escaped: String = url::form_urlencoded::byte_serialize(room.as_bytes()).collect();
    let url = format!("/#{}?invite={invite}", escaped.replace('+', "%20"));
    Ok(Created(Invitation { invite, url }))
}

/// The room of the asking account and another person: made if it is not there yet.
#[utoipa::path(
    post,
    path = "/api/v1/directs",
    tag = "rooms",
    request_body = Partner,
    responses((status = 200, description = "The room.", body = Envelope<RoomInfo>), Refused)
)]
pub async fn direct(
    State(app): State<App>,
    Signed(actor): Signed,
    Body(partner): Body<Partner>,
) -> Result<Data<RoomInfo>, Failure> {
    let Partner { member, name } = partner;
    checked_member(&member)?;
    checked_name(&name)?;
    let (me, other) = (&actor.member.member, Member { member, name });
    if *me == other.member {
        let detail = "a room of two is for two";
        return Err(Failure::new(StatusCode::CONFLICT, "bad_member", detail));
    }
    let room = direct_room(me, &other.member);
    let about = app.rooms.log().about(&room).await.map_err(JoinError::from)?;
    if !about.is_made() {
        changed(&app, actor.meet(&room, &other, unix_ms())).await?;
    } else if !about.let_in().any(|member| member == me) {
        changed(&app, actor.come_in(&room)).await?;
    }
    let about = app.rooms.log().about(&room).await.map_err(JoinError::from)?;
    for member in about.let_in().filter(|member| [me, &*other.member].contains(member)) {
        app.has_entered(member, &room, EntryId::ZERO).await.map_err(JoinError::from)?;
    }
    Ok(Data(look_anew(&app, room, &actor).await?))
}

/// Notes how far the asking account has read; its other devices are told.
#[utoipa::path(
    put,
    path = "/api/v1/rooms/{room}/read",
    tag = "rooms",
    params(RoomParam),
    request_body = ReadUpTo,
    responses((status = 204, description = "Noted, if it is further than before."), Refused)
)]
pub async fn read(
    State(app): State<App>,
    Signed(actor): Signed,
    RoomPath(room): RoomPath,
    Body(read): Body<ReadUpTo>,
) -> Result<StatusCode, Failure> {
    app.has_read(&actor.member.member, &room, read.id).await.map_err(JoinError::from)?;
    Ok(StatusCode::NO_CONTENT)
}
