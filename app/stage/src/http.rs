//! The page's own listener, on this machine only.

use std::time::Duration;

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn},
    response::{
        IntoResponse, Redirect, Response,
        sse::{KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use serde::Deserialize;

use crate::{
    acts::{Acts, Refused},
    assets,
    hub::Hub,
    key::{self, Key},
    options::Wifi,
    replay::Replay,
    told::Told,
};

/// Where the page shows its token. A page from elsewhere cannot send it, since nothing here lets it.
const TOKEN: HeaderName = HeaderName::from_static("x-stage-token");

/// By then it is known whether a page still waits for its answer.
const GIVEN_UP: Duration = Duration::from_millis(50);

/// What is shown.
#[derive(Clone)]
pub enum Show {
    /// A stack, as it is.
    Live(Hub, Acts),
    /// A recording.
    Replay(Replay),
}

impl Show {
    /// The Wi-Fi that phones need. A recording has none: it may be shown elsewhere.
    fn wifi(&self) -> Option<&Wifi> {
        match self {
            Self::Live(hub, _) => hub.wifi(),
            Self::Replay(_) => None,
        }
    }

    /// Whether whoever looks has to know more than where it is: they can act, or read a password.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        let can_act = matches!(self, Self::Live(_, acts) if !acts.known().is_empty());
        can_act || self.wifi().is_some()
    }
}

/// Everything that the page asks for, for those who have the key if there is one.
pub fn router(show: Show, key: Option<Key>) -> Router {
    // Only the page that this process has served can ask it to act.
    let token = key::secret();
    let page = token.clone();
    let acts = Router::new()
        .route("/stage/acts", get(known_acts))
        .route("/stage/acts/{act}", post(begin_act))
        .route_layer(from_fn(move |request: Request, next: Next| {
            only_page(token.clone(), request, next)
        }));
    let routes = Router::new()
        .merge(acts)
        .route(
            "/stage",
            get(move |State(show): State<Show>| async move {
                assets::page(&page, show.wifi().map(|wifi| &*wifi.name))
            }),
        )
        .route("/stage/web/{*path}", get(assets::asset))
        .route("/stage/events", get(events))
        .route("/stage/join.svg", get(join))
        .route("/stage/wifi.svg", get(wifi));
    let routes = match key {
        Some(key) => {
            routes.layer(from_fn(move |request, next| key.clone().only_with_it(request, next)))
        }
        None => routes,
    };
    routes
        .route("/", get(|| async { Redirect::temporary("/stage") }))
        .with_state(show)
        .layer(from_fn(only_here))
}

/// Refuses whoever came by another name than this machine's: a page from elsewhere that has its name point here.
async fn only_here(request: Request, next: Next) -> Response {
    let mut response = if is_here(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "the stage is for this machine only\n").into_response()
    };
    // No page from elsewhere shows a picture of it, either.
    let same_origin = HeaderValue::from_static("same-origin");
    response.headers_mut().insert("cross-origin-resource-policy", same_origin);
    response
}

fn is_here(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    matches!(name, Some("127.0.0.1" | "localhost"))
}

/// Refuses whoever does not show the token, or comes from another origin.
async fn only_page(token: String, request: Request, next: Next) -> Response {
    if is_of_page(&token, request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "only the stage's own page may ask\n").into_response()
    }
}

fn is_of_page(token: &str, headers: &HeaderMap) -> bool {
    let header = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
    let origin = header(header::ORIGIN).map(|origin| origin.trim_start_matches("http://"));
    header(TOKEN) == Some(token) && (origin.is_none() || origin == header(header::HOST))
}

async fn known_acts(State(show): State<Show>) -> Response {
    match show {
        Show::Live(_, acts) => Json(acts.known()).into_response(),
        Show::Replay(_) => Json([(); 0]).into_response(),
    }
}

async fn begin_act(State(show): State<Show>, Path(act): Path<String>) -> Response {
    let Show::Live(hub, acts) = show else {
        return (StatusCode::CONFLICT, "a recording cannot be told what to do\n").into_response();
    };
    // A page that has given up closes its connection, and this goes no further: what its speaker was told does not happen
    // must not happen later, when this process is let go on.
    tokio::time::sleep(GIVEN_UP).await;
    match acts.begin(&act, hub.voted()) {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(Refused::Unknown) => (StatusCode::NOT_FOUND, "there is no such act\n").into_response(),
        Err(Refused::Busy) => (StatusCode::CONFLICT, "another act goes on\n").into_response(),
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
    let told: BoxStream<'static, Told> = match (show, place) {
        (Show::Replay(replay), Place { at: Some(at), .. }) => Box::pin(replay.frozen(at)),
        (Show::Live(..), Place { at: Some(_), .. } | Place { from: Some(_), .. }) => {
            let why = "only a recording can be shown from a moment on\n";
            return (StatusCode::BAD_REQUEST, why).into_response();
        }
        (Show::Live(hub, _), Place { .. }) => match hub.place() {
            Some(place) => Box::pin(hub.follow(place)),
            // It comes again, as after every end.
            None => Box::pin(stream::iter([Told::Full])),
        },
        (Show::Replay(replay), Place { from, .. }) => Box::pin(replay.played(from.unwrap_or(0))),
    };
    Sse::new(told.map(|told| told.sse())).keep_alive(KeepAlive::new()).into_response()
}

/// The audience's address, as a picture.
async fn join(State(show): State<Show>) -> Response {
    let join = match show {
        Show::Live(hub, _) => hub.join(),
        Show::Replay(replay) => replay.join(),
    };
    match join {
        Some(address) => assets::qr(&address),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The Wi-Fi, as a picture.
async fn wifi(State(show): State<Show>) -> Response {
    match show.wifi() {
        Some(wifi) => assets::qr(&wifi.text),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
