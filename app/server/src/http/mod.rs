//! The public listener and the admin listener.

mod admin;
mod api;
mod assets;
mod error;
mod events;
mod origin;
mod rest;
mod serve;
mod upgrade;
mod ws;

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::json;
use tower_http::set_header::SetResponseHeaderLayer;

use self::error::{NotAdmitted, Refusal};
use crate::{app::App, lifecycle::ConnectionGuard, mutants, rates::Held};

pub use self::{admin::admin, serve::serve};

/// Everything that clients reach.
pub fn public(app: App) -> Router {
    let max_body = app.config.limits.frame_bytes;
    let nosniff = HeaderValue::from_static("nosniff");
    Router::new()
        .route("/", get(assets::page))
        .route("/web/{*path}", get(assets::asset))
        .route_layer(from_fn_with_state(app.clone(), throttle_files))
        .merge(api::routes())
        .route("/api/v1/rooms/{room}/messages", get(rest::history).post(rest::send))
        .route("/api/v1/rooms/{room}/events", get(events::events))
        .route_layer(from_fn_with_state(app.clone(), measure))
        // Not measured: upgrades have metrics of their own, and probes are not what clients ask for.
        .route("/api/v1/ws", get(upgrade::websocket))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .layer(DefaultBodyLimit::max(max_body))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, nosniff))
        .with_state(app)
}

/// Counts a request, and the time to the head of its response: the body of an event stream has no end.
async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = match mutants::trouble().await {
        Ok(()) => next.run(request).await,
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
    };
    app.metrics.http_request(response.status().as_u16(), began.elapsed());
    response
}

/// Whether the process runs. Never looks at Redis: a replica is not better for being restarted.
async fn livez(State(app): State<App>) -> Response {
    let phase = app.lifecycle.status().phase;
    let (replica, release) = (&app.config.replica, &app.config.release);
    Json(json!({ "replica": replica, "release": release, "phase": phase })).into_response()
}

/// Whether new connections are welcome.
async fn readyz(State(app): State<App>) -> Response {
    if app.lifecycle.is_ready() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

/// Refuses files of the page to an address that asks for too many.
async fn throttle_files(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match app.rates.allow_file(client_address(&app, peer, request.headers())) {
        Ok(()) => next.run(request).await,
        Err(_) => Refusal::too_many_requests().into_response(),
    }
}

/// What a long-lived connection has for as long as it lives: it counts here, and for its address.
struct Admission {
    guard: ConnectionGuard,
    held: Held,
}

/// Whether one more long-lived connection is welcome here.
fn admit(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<Admission, NotAdmitted> {
    let address = client_address(app, peer, headers);
    app.rates.allow_connection(address).map_err(|_| NotAdmitted::TooFast)?;
    let full = app.lifecycle.status().connections >= app.config.limits.connections;
    if full || !app.lifecycle.is_ready() {
        return Err(NotAdmitted::NotHere);
    }
    let held = app.rates.hold(address).ok_or(NotAdmitted::TooMany)?;
    Ok(Admission { guard: app.lifecycle.connection(), held })
}

/// The client's address: the peer's, or what the trusted proxy in front says it is.
fn client_address(app: &App, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    let forwarded = headers.get_all(FORWARDED_FOR).into_iter().next_back();
    let forwarded = forwarded.filter(|_| app.config.trust_forwarded);
    // The last one is the one that the proxy added.
    let last =
        forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    last.unwrap_or(peer.ip())
}
