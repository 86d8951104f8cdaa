//! History, and sending without a WebSocket.

use std::net::SocketAddr;

use axum::{
    Json,
    extract::{
        ConnectInfo, Path, Query, State,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use rollcall_protocol::{EntryId, ErrorCode, Extra, Message, RejectCode};
use serde::{Deserialize, Serialize};

use super::{client_address, error::Refusal};
use crate::{
    app::App,
    error::JoinError,
    log::{Appended, LogError, NewEntry, unix_ms},
    session::{
        ack, check_name, check_room, check_text, is_client_key, is_number, member_of, number_taken,
        out_of_order, refused_as, reject,
    },
};

const MAX_HISTORY: usize = 200;

#[derive(Deserialize)]
pub struct HistoryQuery {
    #[serde(default = "default_limit")]
    limit: usize,
    before: Option<EntryId>,
}

fn default_limit() -> usize {
    50
}

#[derive(Serialize)]
struct History {
    messages: Vec<Message>,
    head: EntryId,
}

/// `GET /api/v1/rooms/{room}/messages`
pub async fn history(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    room: Result<Path<String>, PathRejection>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (Path(room), Query(query)) = (room?, query?);
    checked(ErrorCode::BadRoom, check_room(&room))?;
    if app.rates.allow_read(client_address(&app, peer, &headers)).is_err() {
        return Err(Refusal::too_many_requests());
    }
    let limit = query.limit.min(MAX_HISTORY);
    let about = app.rooms.about(&room).await.map_err(JoinError::from)?;
    if let Some(why) = about.bars("", false, unix_ms()) {
        return Err(JoinError::Barred(why).into());
    }
    let page = app.rooms.log().history(&room, query.before, limit).await;
    let page = page.map_err(JoinError::from)?;
    Ok(Json(History { messages: page.entries, head: page.last }).into_response())
}

#[derive(Deserialize)]
pub struct SendRequest {
    client: String,
    name: String,
    n: u64,
    text: String,
}

/// `POST /api/v1/rooms/{room}/messages`
pub async fn send(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    room: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Result<Json<SendRequest>, JsonRejection>,
) -> Result<Response, Refusal> {
    let (Path(room), Json(SendRequest { client, name, n, text })) = (room?, body?);
    checked(ErrorCode::BadRoom, check_room(&room))?;
    checked(ErrorCode::BadName, check_name(&name))?;
    if !is_number(n) {
        let detail = "n is from 1 to 2^53 - 1";
        return Err(Refusal::error(StatusCode::BAD_REQUEST, ErrorCode::BadFrame, detail));
    }
    if !is_client_key(&client) {
        let detail = "a client key is 32 lower-case hex digits";
        return Err(Refusal::error(StatusCode::BAD_REQUEST, ErrorCode::BadClient, detail));
    }
    if let Err(detail) = check_text(&text, app.config.limits.text_bytes) {
        return Err(Refusal::rejected(reject(room, n, RejectCode::BadText, detail, None)));
    }
    let address = client_address(&app, peer, &headers);
    let member = member_of(&client);
    if let Err(wait) = app.rates.allow_post(address, &room, &member) {
        let detail = "too fast".to_owned();
        let rejected = reject(room, n, RejectCode::RateLimited, detail, Some(wait));
        return Err(Refusal::rejected(rejected));
    }
    let entry = NewEntry {
        room: room.clone(),
        member,
        name,
        n,
        text,
        extra: Extra::default(),
        has_power: false,
        is_in_room: false,
    };
    // Nobody tells which message of the room its client has seen last.
    match app.rooms.log().append(&entry, Some(EntryId::ZERO)).await {
        Ok(appended) => answer(room, n, appended),
        Err(error) => Err(not_appended(room, n, &error)),
    }
}

fn not_appended(room: String, n: u64, error: &LogError) -> Refusal {
    error.note("a POST");
    let detail = error.told();
    match error {
        LogError::Refused(_) => {
            let (code, retry) = refused_as(error);
            Refusal::rejected(reject(room, n, code, detail.to_owned(), retry))
        }
        // Unlike a socket's session, a request does not wait until the outcome is known.
        LogError::Unknown(_) => {
            Refusal::error(StatusCode::GATEWAY_TIMEOUT, ErrorCode::Unavailable, detail)
        }
    }
}

fn answer(room: String, n: u64, appended: Appended) -> Result<Response, Refusal> {
    match appended {
        Appended::Taken(id) => Ok(Json(ack(room, n, Some(id), false)).into_response()),
        Appended::Duplicate(id) => Ok(Json(ack(room, n, id, true)).into_response()),
        Appended::Expected(expected) => Err(Refusal::rejected(out_of_order(room, n, expected))),
        Appended::NumberTaken { expected } => {
            Err(Refusal::rejected(number_taken(room, n, expected)))
        }
    }
}

fn checked(code: ErrorCode, check: Result<(), String>) -> Result<(), Refusal> {
    check.map_err(|detail| Refusal::error(StatusCode::BAD_REQUEST, code, detail))
}
