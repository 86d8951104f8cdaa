//! The public listener and the admin listener.

mod admin;
mod answer;
mod api;
mod assets;
mod connections;
mod cors;
mod docs;
mod events;
mod file;
mod leave;
mod longpoll;
mod messages;
mod origin;
mod serve;
mod upgrade;
mod ws;

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{ConnectInfo, DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use rollcall_protocol::ErrorCode;
use serde_json::json;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::api::envelope::Failure;
use crate::{app::App, lifecycle::ConnectionGuard, mutants, rates::Held};

pub use self::{admin::admin, serve::serve};

/// Everything that clients reach.
pub fn public(app: App) -> Router {
    let max_body = app.config.limits.frame_bytes;
    let nosniff = HeaderValue::from_static("nosniff");
    let (api, description) = OpenApiRouter::with_openapi(docs::outline())
        .merge(api::routes())
        .merge(messages::routes())
        .routes(routes!(events::events))
        .split_for_parts();
    let files = Router::new()
        .route("/", get(assets::page))
        .route("/web/{*path}", get(assets::asset))
        .merge(docs::routes(description))
        .route_layer(from_fn_with_state(app.clone(), throttle_files));
    let router = files
        .merge(api)
        .route("/api/v1", get(api::about))
        .route_layer(from_fn_with_state(app.clone(), measure))
        // Not measured: upgrades have metrics of their own, and probes are not what clients ask for.
        .route("/api/v1/ws", get(upgrade::websocket))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .layer(DefaultBodyLimit::max(max_body))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, nosniff));
    let cors = cors::layer(&app.config);
    let router = outermost(router.with_state(app));
    match cors {
        Some(cors) => router.layer(cors),
        None => router,
    }
    .layer(from_fn(answer::complete))
}

/// Layers of a router are around each of its routes, and it says which methods there are outside of them: those of this one
/// are around all of it.
fn outermost(router: Router) -> Router {
    Router::new().fallback_service(router)
}

/// Counts a request, and the time to the head of its response: the body of an event stream has no end.
async fn measure(State(app): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let response = match mutants::trouble().await {
        Ok(()) => next.run(request).await,
        Err(why) => {
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", why).into_response()
        }
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
        Err(wait) => Failure::too_many(wait, "too many requests from your address").into_response(),
    }
}

/// When an address that has as many connections as it may is to try again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a long-lived connection has for as long as it lives: it counts here, and for its address.
struct Admission {
    guard: ConnectionGuard,
    held: Held,
}

/// Whether one more long-lived connection is welcome here.
///
/// # Errors
/// 429 if its address has too many, or opens them too fast. 503 if this replica is full, drains, or has no log: a proxy asks
/// another one.
fn admit(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<Admission, Failure> {
    let address = client_address(app, peer, headers);
    let too_fast = |wait| Failure::too_many(wait, "too many new connections from your address");
    app.rates.allow_connection(address).map_err(too_fast)?;
    let full = app.lifecycle.status().connections >= app.config.limits.connections;
    if full || !app.lifecycle.is_ready() {
        let (status, detail) = (StatusCode::SERVICE_UNAVAILABLE, "not here, not now");
        return Err(Failure::error(status, ErrorCode::Unavailable, detail));
    }
    let too_many = || Failure::too_many(PATIENCE, "too many connections from your address");
    let held = app.rates.hold(address).ok_or_else(too_many)?;
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
