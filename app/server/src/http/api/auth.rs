//! Who asks: by the token of a session or a bot, by the cookie of one, or by the operator's key.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
};
use rollcall_protocol::{ErrorCode, Mark, Member};
use utoipa::IntoParams;

use super::envelope::Failure;
use crate::{
    accounts::{AccountError, Arriving, NotIdentified, OPERATOR, Person, Token},
    app::App,
    config::Config,
    http::{client_address, origin},
    moderation::Actor,
    session::{is_client_key, member_of},
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// A guest's client key. In a header, since addresses get into logs.
const CLIENT_KEY: HeaderName = HeaderName::from_static("x-client-key");
/// The session's cookie. With this prefix a browser takes it from this very host alone, and over TLS alone.
const COOKIE: &str = "__Host-rollcall";
/// Its name where there is no TLS.
const PLAIN_COOKIE: &str = "rollcall";
/// The public ID of an operator's programs.
const OPERATOR_MEMBER: &str = "0000000000000000";

/// Somebody with an account, or an operator's program, who does something: that is counted.
pub struct Signed(pub Actor);

/// The same, or nobody that is known.
pub struct Maybe(pub Option<Actor>);

/// The same, or a guest by their client key, who may only read.
pub struct Reading(pub Option<Actor>);

/// What stands for a guest's client key: for descriptions.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "only its description is used")]
pub struct ClientKeyParam {
    /// A guest's client key, for private rooms that they were let into. With a token it says nothing.
    #[param(rename = "X-Client-Key", value_type = String, required = false, pattern = "^[0-9a-f]{32}$")]
    key: Option<String>,
}

/// Somebody with an account.
pub struct Holder(pub Person);

/// An operator's program, which has the key.
pub struct Operator;

impl FromRequestParts<App> for Maybe {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        if has_key(&parts.headers) {
            check_key(app, parts)?;
            return Ok(Self(Some(operator())));
        }
        let Some(token) = token(&app.config, &parts.headers) else { return Ok(Self(None)) };
        Ok(Self(Some(actor(look(app, parts, &token).await?))))
    }
}

impl FromRequestParts<App> for Reading {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let guest = guest(&parts.headers)?;
        let Maybe(actor) = Maybe::from_request_parts(parts, app).await?;
        let (None, Some(member)) = (&actor, guest) else { return Ok(Self(actor)) };
        // They may be banned since they were let into a room.
        let (name, token) = (String::new(), None);
        app.accounts.identify(&Arriving { name, device: member.clone(), token }).await?;
        let member = Member { member, name: String::new() };
        Ok(Self(Some(Actor { member, mark: None, has_power: false })))
    }
}

impl FromRequestParts<App> for Signed {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Maybe(actor) = Maybe::from_request_parts(parts, app).await?;
        let actor = actor.ok_or_else(not_signed_in)?;
        if let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            let address = client_address(app, *peer, &parts.headers);
            let allowed = app.rates.allow_deed(address, &actor.member.member);
            allowed.map_err(too_many_requests)?;
        }
        Ok(Self(actor))
    }
}

impl FromRequestParts<App> for Holder {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let token = token(&app.config, &parts.headers).ok_or_else(not_signed_in)?;
        look(app, parts, &token).await.map(Self)
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        check_key(app, parts).map(|()| Self)
    }
}

async fn look(app: &App, parts: &Parts, token: &Token) -> Result<Person, Failure> {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = address {
        let address = client_address(app, *peer, &parts.headers);
        app.rates.allow_read(address).map_err(too_many_requests)?;
    }
    Ok(app.accounts.person(token).await?)
}

fn actor(person: Person) -> Actor {
    let (has_power, mark) = (person.has_power(), Some(person.role));
    Actor { member: Member { member: person.member, name: person.name }, mark, has_power }
}

fn operator() -> Actor {
    let member = Member { member: OPERATOR_MEMBER.to_owned(), name: OPERATOR.to_owned() };
    Actor { member, mark: Some(Mark::Moderator), has_power: true }
}

/// Without a key there is no such call; with a wrong one, or too many wrong ones, it is not done.
fn check_key(app: &App, parts: &Parts) -> Result<(), Failure> {
    let Some(key) = &app.key else {
        return Err(Failure::new(StatusCode::NOT_FOUND, "not_found", "this server has no key"));
    };
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let address =
        address.map(|ConnectInfo(peer)| client_address(app, *peer, &parts.headers).to_string());
    let who = format!("key {}", address.unwrap_or_default());
    app.rates.allow_password(&who).map_err(too_many_requests)?;
    if parts.headers.get(API_KEY).is_some_and(|claimed| key.is(claimed.as_bytes())) {
        return Ok(());
    }
    app.rates.wrong_password(&who);
    let detail = "the header X-API-Key has the key of this server";
    Err(Failure::new(StatusCode::UNAUTHORIZED, "bad_key", detail))
}

/// Whether a request claims to be of an operator's program.
pub fn has_key(headers: &HeaderMap) -> bool {
    headers.contains_key(API_KEY)
}

/// The public ID of a guest whose client key a request has.
///
/// # Errors
/// 400, `bad_client`.
pub fn guest(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let Some(key) = headers.get(CLIENT_KEY) else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| is_client_key(key));
    let detail = "X-Client-Key: a client key is 32 lower-case hex digits";
    let bad = || Failure::error(StatusCode::BAD_REQUEST, ErrorCode::BadClient, detail.to_owned());
    key.map(|key| Some(member_of(key))).ok_or_else(bad)
}

/// The token that a request has: as a bearer's, or as its cookie, which counts only if the page is this server's own.
pub fn token(config: &Config, headers: &HeaderMap) -> Option<Token> {
    bearer(headers).or_else(|| cookie(config, headers))
}

fn bearer(headers: &HeaderMap) -> Option<Token> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::claimed(token.trim()))
}

/// The token of the session's cookie. A browser sends that whichever page asks.
pub fn cookie(config: &Config, headers: &HeaderMap) -> Option<Token> {
    if !origin::is_own(config, headers) {
        return None;
    }
    let name = cookie_name(config, headers);
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|one| one.split_once('='));
    let (_, token) = pairs.find(|(its, _)| its.trim() == name)?;
    Some(Token::claimed(token.trim()))
}

fn cookie_name(config: &Config, headers: &HeaderMap) -> &'static str {
    if origin::is_tls(config, headers) { COOKIE } else { PLAIN_COOKIE }
}

/// Has a browser keep a token for so many seconds; 0 has it forget one.
pub fn set_cookie(
    config: &Config,
    headers: &HeaderMap,
    token: &str,
    seconds: u64,
) -> Option<(HeaderName, HeaderValue)> {
    let name = cookie_name(config, headers);
    let secure = if origin::is_tls(config, headers) { "; Secure" } else { "" };
    let cookie =
        format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    let mut value = HeaderValue::from_str(&cookie).ok()?;
    value.set_sensitive(true);
    Some((header::SET_COOKIE, value))
}

/// Refuses what a page of another origin has a browser send.
pub fn check_origin(config: &Config, headers: &HeaderMap) -> Result<(), Failure> {
    if origin::is_allowed(config, headers) {
        return Ok(());
    }
    Err(Failure::new(StatusCode::FORBIDDEN, "foreign_origin", "this page may not ask for that"))
}

/// 429, of an address or an account.
pub fn too_many_requests(wait: std::time::Duration) -> Failure {
    Failure::too_many(wait, "too many requests: wait a moment")
}

pub fn not_signed_in() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "not_signed_in", "sign in first")
}

impl From<NotIdentified> for Failure {
    fn from(why: NotIdentified) -> Self {
        let (status, code) = match why {
            NotIdentified::BadToken => (StatusCode::UNAUTHORIZED, ErrorCode::BadToken),
            NotIdentified::Banned => (StatusCode::FORBIDDEN, ErrorCode::Banned),
            NotIdentified::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable),
        };
        Self::error(status, code, why.to_string())
    }
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        if let AccountError::Log(error) = &error {
            error.note("a call about accounts");
        }
        let (status, code) = match &error {
            AccountError::Taken => (StatusCode::CONFLICT, "name_taken"),
            AccountError::Reserved => (StatusCode::BAD_REQUEST, "bad_name"),
            AccountError::BadPassword => (StatusCode::BAD_REQUEST, "bad_password"),
            AccountError::Wrong => (StatusCode::UNAUTHORIZED, "wrong_password"),
            AccountError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            AccountError::Full | AccountError::Log(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            AccountError::Unknown => (StatusCode::NOT_FOUND, "no_account"),
            AccountError::IsBot => (StatusCode::CONFLICT, "is_bot"),
        };
        Self::new(status, code, error.to_string())
    }
}
