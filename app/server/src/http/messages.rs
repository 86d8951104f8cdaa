//! A room's messages: reading them, page by page or as they come, and sending without a WebSocket.

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use rollcall_protocol::{EntryId, ErrorCode, Extra, Kind, Member, Message, RejectCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    api::{
        auth::{self, ClientKeyParam, Reading},
        envelope::{Both, Data, Envelope, Failure, Refused},
        extract::{Body, Params, RoomParam, RoomPath},
        reader::Reader,
    },
    client_address,
    longpoll::{self, Gap, Poll},
};
use crate::{
    accounts::{Arriving, Identity},
    app::App,
    error::JoinError,
    log::{Appended, LogError, NewEntry},
    rates::Counted,
    session::{
        ack, check_name, check_text, is_client_key, is_number, member_of, number_taken,
        out_of_order, refused_as, reject,
    },
};

/// Most messages of a page.
const MOST: u16 = 200;
/// Messages of a page if nobody says how many.
const USUAL: u16 = 50;
/// Longest time that a poll may wait, s: less than what proxies give an answer.
const LONGEST_WAIT: u16 = 30;

/// Messages, by reading and by sending.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, send))
}

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// At most so many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u16>,
    /// The newest that are older than this one. Not together with `after`.
    #[param(inline)]
    before: Option<EntryId>,
    /// The oldest that come after this cursor; `0-0` is before the first one of a room.
    #[param(inline)]
    after: Option<EntryId>,
    /// Half of them before this one, and the rest from it on. Not together with `before` or `after`.
    #[param(inline)]
    around: Option<EntryId>,
    /// If nothing comes after the cursor yet, wait for so many seconds. Only together with `after`.
    #[param(minimum = 0, maximum = 30, default = 0)]
    wait: Option<u16>,
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    /// The messages, oldest first.
    messages: Vec<Message>,
    /// The room's last entry that is known here.
    head: EntryId,
    /// With `after`: the cursor after these messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<EntryId>,
    /// With `after`: what cannot be had, before the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
    /// With `after`: whether nothing more is there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<bool>,
}

/// Reads messages: the newest, those before a message, or those after a cursor, waiting for them if asked to.
#[utoipa::path(
    get,
    path = "/api/v1/rooms/{room}/messages",
    tag = "messages",
    params(RoomParam, PageQuery, ClientKeyParam),
    responses((status = 200, description = "The messages.", body = Envelope<Page>), Refused)
)]
pub async fn read(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    method: Method,
    Reading(actor): Reading,
    RoomPath(room): RoomPath,
    Params(query): Params<PageQuery>,
) -> Result<Response, Failure> {
    let (limit, span) = spanned(query)?;
    let reader = Reader::from(actor);
    match span {
        Span::After(after, wait) => {
            // Whoever asks for the head of an answer does not wait for its body.
            let wait = if method == Method::HEAD { Duration::ZERO } else { wait };
            let poll = Poll { after, limit, wait };
            forward(&app, peer, &headers, &room, &reader, poll).await
        }
        span => backward(&app, peer, &headers, &room, &reader, (span, limit)).await,
    }
}

/// Which messages of a room.
enum Span {
    Newest,
    Before(EntryId),
    Around(EntryId),
    After(EntryId, Duration),
}

/// How many messages, and which.
fn spanned(query: PageQuery) -> Result<(usize, Span), Failure> {
    let PageQuery { limit, before, after, around, wait } = query;
    let refuse = |detail: String| Err(Failure::bad("bad_query", detail));
    let limit = limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return refuse(format!("limit is from 1 to {MOST}"));
    }
    let span = match (before, around, after, wait) {
        (_, _, None, Some(_)) => return refuse("wait is only for after".to_owned()),
        (_, _, _, Some(wait)) if wait > LONGEST_WAIT => {
            return refuse(format!("wait is at most {LONGEST_WAIT}"));
        }
        (None, None, None, None) => Span::Newest,
        (Some(id), None, None, None) => Span::Before(id),
        (None, Some(id), None, None) => Span::Around(id),
        (None, None, Some(id), wait) => {
            Span::After(id, Duration::from_secs(wait.unwrap_or(0).into()))
        }
        _ => return refuse("before, around and after exclude each other".to_owned()),
    };
    Ok((limit.into(), span))
}

/// What comes after a cursor.
async fn forward(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    room: &str,
    reader: &Reader,
    poll: Poll,
) -> Result<Response, Failure> {
    let polled = longpoll::poll(app, peer, headers, room, reader, poll).await?;
    let left = app.rates.left(Counted::Connections, client_address(app, peer, headers));
    let page = Page {
        messages: polled.messages,
        head: polled.head,
        cursor: Some(polled.cursor),
        gap: polled.gap,
        live: Some(polled.live),
    };
    let mut response = (left, Data(page)).into_response();
    if polled.moved.is_some() {
        // The next request is for another replica.
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    Ok(response)
}

/// Messages that were said before now: the newest, or those before or around one.
async fn backward(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    room: &str,
    reader: &Reader,
    (span, limit): (Span, usize),
) -> Result<Response, Failure> {
    #[derive(Serialize)]
    struct Old {
        messages: Vec<Message>,
        head: EntryId,
    }
    let address = client_address(app, peer, headers);
    let allowed = app.rates.allow_read(address);
    let left = app.rates.left(Counted::Reads, address);
    if let Err(wait) = allowed {
        return Err(Failure::too_many(wait, "too many requests from your address").left(&left));
    }
    let about = app.rooms.about(room).await.map_err(JoinError::from)?;
    if let Some(why) = reader.visitor().barred_from(room, &about) {
        return Err(JoinError::Barred(why).into());
    }
    app.rooms.check_there(room).await?;
    let log = app.rooms.log();
    let read = match span {
        Span::Around(id) => log.read_around(room, id, limit).await,
        Span::Before(id) => log.history(room, Some(id), limit).await,
        _ => log.history(room, None, limit).await,
    };
    let read = read.map_err(JoinError::from)?;
    let old = Old { messages: read.entries.clone(), head: read.last };
    let (messages, head) = (read.entries, read.last);
    let data = Page { messages, head, cursor: None, gap: None, live: None };
    Ok((left, Both { data, old }).into_response())
}

/// A message to be sent.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SendRequest {
    /// The client key: a secret.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    client: String,
    /// The name that others see. Not with a token: the account has one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 32, format = "display-name")]
    name: Option<String>,
    /// Its number in this room: 1, 2, 3 …; the same number again is a retry.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    n: u64,
    /// What to say; absent with `remove`.
    #[serde(default)]
    #[schema(min_length = 1, format = "text")]
    text: String,
    /// The message of one's own that gets this text.
    edit: Option<EntryId>,
    /// The message of one's own that is taken away.
    remove: Option<EntryId>,
}

impl SendRequest {
    /// What the entry is about, if it is no message by itself.
    fn extra(&self) -> Extra {
        let (kind, of) = match (self.edit, self.remove) {
            (_, Some(of)) => (Some(Kind::Remove), Some(of)),
            (Some(of), None) => (Some(Kind::Edit), Some(of)),
            (None, None) => (None, None),
        };
        Extra { kind, of, ..Extra::default() }
    }

    /// Whether there is something to say, or a removal says nothing.
    fn check_text(&self, bytes: usize) -> Result<(), String> {
        match self.remove {
            Some(_) if self.text.is_empty() => Ok(()),
            Some(_) => Err("a removal has no text".to_owned()),
            None => check_text(&self.text, bytes),
        }
    }
}

/// A message that is in the room log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Sent {
    /// The room.
    room: String,
    /// Its number.
    n: u64,
    /// Its entry; absent for a duplicate of anything but the sender's last message.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EntryId>,
    /// An earlier try had done it.
    duplicate: bool,
}

/// Sends a message. A 504, a 502, or no answer: nobody knows; send the same number again.
#[utoipa::path(
    post,
    path = "/api/v1/rooms/{room}/messages",
    tag = "messages",
    params(RoomParam),
    request_body = SendRequest,
    responses((status = 200, description = "It is in the room log, once.", body = Envelope<Sent>), Refused)
)]
pub async fn send(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RoomPath(room): RoomPath,
    headers: HeaderMap,
    Body(request): Body<SendRequest>,
) -> Result<Response, Failure> {
    let (checked, extra) = (request.check_text(app.config.limits.text_bytes), request.extra());
    let SendRequest { client, name, n, text, .. } = request;
    let bad = |code, detail| Failure::error(StatusCode::BAD_REQUEST, code, detail);
    let token = auth::token(&app.config, &headers);
    let name = name.unwrap_or_default();
    if token.is_none() {
        check_name(&name).map_err(|detail| bad(ErrorCode::BadName, detail))?;
    }
    if !is_number(n) {
        return Err(bad(ErrorCode::BadFrame, "n is from 1 to 2^53 - 1".to_owned()));
    }
    if !is_client_key(&client) {
        let detail = "a client key is 32 lower-case hex digits".to_owned();
        return Err(bad(ErrorCode::BadClient, detail));
    }
    if let Err(detail) = checked {
        return Err(Failure::rejected(reject(room, n, RejectCode::BadText, detail, None)));
    }
    let address = client_address(&app, peer, &headers);
    // By its device, before anybody is looked up: that is bounded as sending is.
    let device = member_of(&client);
    let allowed = app.rates.allow_post(address, &room, &device);
    let left = app.rates.left(Counted::Posts, address);
    if let Err(wait) = allowed {
        let detail = "too fast".to_owned();
        let rejected = reject(room, n, RejectCode::RateLimited, detail, Some(wait));
        return Err(Failure::rejected(rejected).left(&left));
    }
    let who = app.accounts.identify(&Arriving { name, device: device.clone(), token }).await?;
    let has_power = matches!(&who, Identity::Person(person) if person.has_power());
    let (Member { member, name }, extra) = speaker(who, device, extra);
    let entry =
        NewEntry { room: room.clone(), member, name, n, text, extra, has_power, is_in_room: false };
    // Nobody tells which message of the room its client has seen last.
    match app.rooms.log().append(&entry, Some(EntryId::ZERO)).await {
        Ok(appended) => answer(room, n, appended).map(|sent| (left, sent).into_response()),
        Err(error) => Err(not_appended(room, n, &error)),
    }
}

/// The member that says it, and what is known of them.
fn speaker(who: Identity, device: String, extra: Extra) -> (Member, Extra) {
    match who {
        Identity::Guest { name } => (Member { member: device, name }, extra),
        Identity::Person(person) => {
            let extra = Extra { sender: Some(device), mark: Some(person.role), ..extra };
            (Member { member: person.member, name: person.name }, extra)
        }
    }
}

fn not_appended(room: String, n: u64, error: &LogError) -> Failure {
    error.note("a POST");
    let detail = error.told();
    match error {
        LogError::Refused(_) => {
            let (code, retry) = refused_as(error);
            Failure::rejected(reject(room, n, code, detail.to_owned(), retry))
        }
        // Unlike a socket's session, a request does not wait until the outcome is known.
        LogError::Unknown(_) => {
            Failure::new(StatusCode::GATEWAY_TIMEOUT, "unknown_outcome", detail)
                .also(ErrorCode::Unavailable)
        }
    }
}

fn answer(room: String, n: u64, appended: Appended) -> Result<Response, Failure> {
    let (id, duplicate) = match appended {
        Appended::Taken(id) => (Some(id), false),
        Appended::Duplicate(id) => (id, true),
        Appended::Expected(expected) => {
            return Err(Failure::rejected(out_of_order(room, n, expected)));
        }
        Appended::NumberTaken { expected } => {
            return Err(Failure::rejected(number_taken(room, n, expected)));
        }
    };
    let old = ack(room.clone(), n, id, duplicate);
    Ok(Both { data: Sent { room, n, id, duplicate }, old }.into_response())
}
