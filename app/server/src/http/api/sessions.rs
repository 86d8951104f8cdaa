//! Signing in and out.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, State},
    http::{HeaderMap, StatusCode},
    response::{AppendHeaders, IntoResponse, Response},
};
use rollcall_protocol::Account;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    accounts::{Credentials, checked_name},
    auth::{Holder, check_origin, cookie, set_cookie, token, too_many_requests},
    envelope::{Created, Data, Envelope, Failure, Refused},
    extract::Body,
};
use crate::{
    accounts::{AccountError, Accounts, NotIdentified, Opened, Person},
    app::App,
    http::client_address,
    log::unix_ms,
    people::Dismissal,
};

/// A session that has just begun.
#[derive(Serialize, ToSchema)]
struct SignedIn {
    /// The token: it is told once.
    token: String,
    /// When it ends unless it is used, Unix ms.
    expires_at: Option<u64>,
    account: Account,
    /// The account's public ID.
    member: String,
}

/// A session.
#[derive(Serialize, ToSchema)]
struct SessionInfo {
    account: Account,
    member: String,
    /// Absent for a bot, whose token does not end.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
}

/// Begins a session: always a new one, whatever the browser came with.
#[utoipa::path(
    post,
    path = "/api/v1/sessions",
    tag = "accounts",
    request_body = Credentials,
    responses((status = 201, description = "The session; a browser gets its cookie, too.", body = Envelope<SignedIn>), Refused)
)]
pub async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(Credentials { name, password }): Body<Credentials>,
) -> Result<Response, Failure> {
    check_origin(&app.config, &headers)?;
    let opened = opened(&app, client_address(&app, peer, &headers), &name, password).await;
    let outcome = opened.as_ref().map_or_else(outcome, |_| "ok");
    app.metrics.sign_ins.with_label_values(&[outcome]).inc();
    let Opened { token, person, ends, ended } = opened?;
    for session in ended {
        app.dismiss(&person.member, &Dismissal::SignedOut(session)).await;
    }
    let seconds = app.config.accounts.session().as_secs();
    let cookie = set_cookie(&app.config, &headers, token.reveal(), seconds);
    let signed_in = SignedIn {
        token: token.reveal().to_owned(),
        expires_at: ends,
        account: person.account(),
        member: person.member,
    };
    Ok((AppendHeaders(cookie), Created(signed_in)).into_response())
}

/// A new session, for whoever knows the account's password.
async fn opened(
    app: &App,
    address: IpAddr,
    name: &str,
    password: String,
) -> Result<Opened, Failure> {
    checked_name(name)?;
    let account = Accounts::folded(name);
    app.rates.allow_sign_in(address).map_err(too_many_requests)?;
    app.rates.allow_password(&account).map_err(too_many_requests)?;
    let opened = app.accounts.sign_in(name, password).await.inspect_err(|error| {
        if matches!(error, AccountError::Wrong) {
            app.rates.wrong_password(&account);
        }
    })?;
    Ok(opened)
}

/// What a sign-in that failed counts as.
fn outcome(failure: &Failure) -> &'static str {
    match failure.status() {
        StatusCode::TOO_MANY_REQUESTS => "limited",
        status if status.is_server_error() => "busy",
        _ => "refused",
    }
}

/// The session that asks. A browser keeps its cookie for as long as it goes on.
#[utoipa::path(
    get,
    path = "/api/v1/sessions/current",
    tag = "accounts",
    responses((status = 200, description = "The session.", body = Envelope<SessionInfo>), Refused)
)]
pub async fn current(
    State(app): State<App>,
    Holder(person): Holder,
    headers: HeaderMap,
) -> Response {
    let left = person.left_ms;
    let kept = cookie(&app.config, &headers).zip(left);
    let kept = kept
        .and_then(|(token, left)| set_cookie(&app.config, &headers, token.reveal(), left / 1000));
    let info = SessionInfo {
        account: person.account(),
        member: person.member,
        expires_at: left.map(|left| unix_ms() + left),
    };
    (AppendHeaders(kept), Data(info)).into_response()
}

/// Ends the session that asks, and its connections. One that is over already is over all the same.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/current",
    tag = "accounts",
    responses((status = 204, description = "The session is over."), Refused)
)]
pub async fn sign_out(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    app.rates.allow_read(client_address(&app, peer, &headers)).map_err(too_many_requests)?;
    if let Some(token) = token(&app.config, &headers) {
        match app.accounts.person(&token).await {
            Ok(person) => {
                app.accounts.sign_out(&person).await.map_err(AccountError::from)?;
                let dismissal = Dismissal::SignedOut(person.session.clone());
                app.dismiss(&person.member, &dismissal).await;
            }
            Err(NotIdentified::BadToken | NotIdentified::Banned) => {}
            Err(why @ NotIdentified::Unavailable) => return Err(why.into()),
        }
    }
    Ok(gone(&app, &headers))
}

/// Ends all sessions of the account that asks, and their connections on all replicas.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions",
    tag = "accounts",
    responses((status = 204, description = "All sessions of the account are over."), Refused)
)]
pub async fn sign_out_everywhere(
    State(app): State<App>,
    Holder(person): Holder,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    app.accounts.sign_out_everywhere(&person).await.map_err(AccountError::from)?;
    let Person { member, .. } = person;
    app.dismiss(&member, &Dismissal::SignedOutEverywhere).await;
    Ok(gone(&app, &headers))
}

fn gone(app: &App, headers: &HeaderMap) -> Response {
    let forgotten = set_cookie(&app.config, headers, "", 0);
    (StatusCode::NO_CONTENT, AppendHeaders(forgotten)).into_response()
}
