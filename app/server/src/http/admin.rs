//! The admin listener: for operators on the inside, never behind HAProxy.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::{State, connect_info::IntoMakeServiceWithConnectInfo},
    http::{StatusCode, header},
    middleware::from_fn,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use rollcall_protocol::ErrorCode;
use serde::{Deserialize, Serialize};
use tracing::info;

use super::{
    answer,
    api::{
        about,
        auth::Operator,
        envelope::{Data, Failure},
        extract::Body,
        of_operators, of_rooms,
    },
    connections::connections,
    livez, outermost, readyz,
};
use crate::{
    app::App,
    lifecycle::{NudgeStatus, Status},
};

/// The longest time that an operator may ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The longest reason of a nudge, in bytes.
const REASON_BYTES: usize = 200;

/// Everything that operators reach.
pub fn admin(app: App) -> IntoMakeServiceWithConnectInfo<Router, SocketAddr> {
    let router = Router::new()
        .route("/drain", get(status).post(drain).delete(undrain))
        .route("/nudge", get(nudges).post(nudge))
        .route("/accepting", put(accept).delete(refuse))
        .route("/shutdown", post(shut_down))
        .route("/replicas", get(replicas))
        .route("/api/v1/", get(about))
        .merge(Router::from(of_operators().merge(of_rooms())))
        .route("/metrics", get(metrics))
        .route("/connections", get(connections))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(app);
    let router = outermost(router).layer(from_fn(answer::complete));
    router.into_make_service_with_connect_info()
}

#[derive(Deserialize)]
struct DrainRequest {
    spread_ms: Option<u64>,
    deadline_ms: Option<u64>,
}

/// A time that an operator gave, or the one that is set.
fn time(name: &str, ms: Option<u64>, set: Duration) -> Result<Duration, Failure> {
    let asked = ms.map_or(set, Duration::from_millis);
    if asked > LONGEST {
        return Err(bad(format!("{name} is at most {}", LONGEST.as_millis())));
    }
    Ok(asked)
}

fn bad(detail: String) -> Failure {
    Failure::error(StatusCode::BAD_REQUEST, ErrorCode::BadFrame, detail)
}

async fn drain(
    State(app): State<App>,
    Body(request): Body<DrainRequest>,
) -> Result<Json<Status>, Failure> {
    let spread = time("spread_ms", request.spread_ms, app.config.drain_spread)?;
    let deadline = time("deadline_ms", request.deadline_ms, app.config.drain_deadline)?;
    app.lifecycle.drain(spread.min(deadline), deadline);
    Ok(status(State(app)).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NudgeRequest {
    spread_ms: Option<u64>,
    /// Connections that are younger stay.
    older_than_ms: Option<u64>,
    /// At most this many are asked.
    connections: Option<usize>,
    /// For the log: what the nudge is for.
    reason: Option<String>,
}

async fn nudge(
    State(app): State<App>,
    Body(request): Body<NudgeRequest>,
) -> Result<Json<NudgeStatus>, Failure> {
    let spread = time("spread_ms", request.spread_ms, app.config.drain_spread)?;
    let age = time("older_than_ms", request.older_than_ms, Duration::ZERO)?;
    let reason = request.reason.unwrap_or_default();
    if reason.len() > REASON_BYTES {
        return Err(bad(format!("reason has at most {REASON_BYTES} bytes")));
    }
    let most = request.connections.unwrap_or(usize::MAX);
    if !app.lifecycle.nudge(spread, age, most) {
        let detail = format!("this replica is {}, not ready", app.lifecycle.status().phase);
        return Err(Failure::error(StatusCode::CONFLICT, ErrorCode::Unavailable, detail));
    }
    info!(
        ?spread,
        ?age,
        connections = request.connections,
        reason,
        "connections are asked to move"
    );
    Ok(nudges(State(app)).await)
}

async fn nudges(State(app): State<App>) -> Json<NudgeStatus> {
    Json(app.lifecycle.nudge_status())
}

async fn undrain(State(app): State<App>) -> Json<Status> {
    app.lifecycle.undrain();
    status(State(app)).await
}

async fn status(State(app): State<App>) -> Json<Status> {
    Json(app.lifecycle.status())
}

/// Newcomers are welcome here.
async fn accept(State(app): State<App>, _: Operator) -> Json<Status> {
    app.lifecycle.accept(true);
    status(State(app)).await
}

/// Newcomers are not: HAProxy sends them elsewhere. Those who are here stay.
async fn refuse(State(app): State<App>, _: Operator) -> Json<Status> {
    info!("an operator wants no newcomers here");
    app.lifecycle.accept(false);
    status(State(app)).await
}

/// Drains and stops this replica, as SIGTERM does.
async fn shut_down(State(app): State<App>, _: Operator) -> (StatusCode, Json<Status>) {
    app.lifecycle.ask_to_stop();
    (StatusCode::ACCEPTED, status(State(app)).await)
}

/// The replicas that live, by name; during a roll one may be there twice.
#[derive(Serialize)]
struct Replicas {
    replicas: Vec<String>,
}

async fn replicas(State(app): State<App>) -> Data<Replicas> {
    Data(Replicas { replicas: app.rooms.presence().replicas() })
}

async fn metrics(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, app.metrics.text()).into_response()
}
