//! The page's own listener, on this machine only.

use std::pin::Pin;

use axum::{
    Router,
    extract::{Query, Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn},
    response::{
        IntoResponse, Redirect, Response,
        sse::{KeepAlive, Sse},
    },
    routing::get,
};
use futures_util::{Stream, StreamExt};
use serde::Deserialize;

use crate::{assets, hub::Hub, replay::Replay, told::Told};

/// What is shown.
#[derive(Clone)]
pub enum Show {
    /// A stack, as it is.
    Live(Hub),
    /// A recording.
    Replay(Replay),
}

/// Everything that the page asks for.
pub fn router(show: Show) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/stage") }))
        .route("/stage", get(assets::page))
        .route("/stage/web/{*path}", get(assets::asset))
        .route("/stage/events", get(events))
        .route("/stage/join.svg", get(join))
        .with_state(show)
        .layer(from_fn(only_here))
}

/// Refuses whoever came by another name than this machine's: a page from elsewhere that has its name point here.
async fn only_here(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    match name {
        Some("127.0.0.1" | "localhost") => next.run(request).await,
        _ => (StatusCode::FORBIDDEN, "the stage is for this machine only\n").into_response(),
    }
}

/// From where on a page wants to be told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// This moment of a recording, and no more.
    at: Option<u64>,
    /// Everything up to there at once.
    from: Option<u64>,
}

async fn events(State(show): State<Show>, Query(place): Query<Place>) -> Response {
    let told: Pin<Box<dyn Stream<Item = Told> + Send>> = match (show, place) {
        (Show::Replay(replay), Place { at: Some(at), .. }) => Box::pin(replay.frozen(at)),
        (Show::Live(_), Place { at: Some(_), .. } | Place { from: Some(_), .. }) => {
            let why = "only a recording can be shown from a moment on\n";
            return (StatusCode::BAD_REQUEST, why).into_response();
        }
        (Show::Live(hub), Place { .. }) => Box::pin(hub.follow()),
        (Show::Replay(replay), Place { from, .. }) => Box::pin(replay.played(from.unwrap_or(0))),
    };
    Sse::new(told.map(|told| told.sse())).keep_alive(KeepAlive::new()).into_response()
}

/// The audience's address, as a picture.
async fn join(State(show): State<Show>) -> Response {
    let join = match show {
        Show::Live(hub) => hub.join(),
        Show::Replay(replay) => replay.join(),
    };
    match join {
        Some(address) => assets::qr(&address),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
