//! The admin listener: for operators on the inside, never behind HAProxy.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use super::{livez, readyz};
use crate::{app::App, lifecycle::Status};

/// Everything that operators reach.
pub fn admin(app: App) -> Router {
    Router::new()
        .route("/drain", get(status).post(drain).delete(undrain))
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(app)
}

#[derive(Deserialize)]
struct DrainRequest {
    spread_ms: Option<u64>,
    deadline_ms: Option<u64>,
}

async fn drain(State(app): State<App>, Json(request): Json<DrainRequest>) -> Json<Status> {
    let spread = request.spread_ms.map_or(app.config.drain_spread, Duration::from_millis);
    let deadline = request.deadline_ms.map_or(app.config.drain_deadline, Duration::from_millis);
    app.lifecycle.drain(spread.min(deadline), deadline);
    status(State(app)).await
}

async fn undrain(State(app): State<App>) -> Json<Status> {
    app.lifecycle.undrain();
    status(State(app)).await
}

async fn status(State(app): State<App>) -> Json<Status> {
    Json(app.lifecycle.status())
}

async fn metrics(State(app): State<App>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, app.metrics.text()).into_response()
}
