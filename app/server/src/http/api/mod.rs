//! The REST API, `/api/v1`: what all of its resources share, and a file per resource.
//!
//! How to add a resource, say `http/api/rooms.rs`:
//!
//! 1. a handler takes what it needs by [`extract`] (`RoomPath`, `Segments`, `Params`, `Body`: each refuses with a
//!    [`Failure`](envelope::Failure)) and returns `Result<Data<T>, Failure>`, or `Result<Created<T>, Failure>`;
//! 2. it says what it is in `#[utoipa::path(get, path = "/api/v1/rooms/{room}", params(RoomParam, …), responses((status =
//!    200, body = Envelope<T>), Refused))]`; `T` derives `ToSchema`, queries derive `IntoParams`, and bodies `ToSchema`.
//!    Types of the wire have `ToSchema` from `rollcall-protocol`. What no pattern can say has a `format` that
//!    `scripts/schemathesis` makes examples of (`app/server/tests/openapi/formats.py`);
//! 3. `routes!(a, b)` in [`routes`] both serves and describes it. Several methods of one path go into one `routes!`.
//!
//! `scripts/schemathesis` then asks it everything that the description allows, and much that it does not.

mod about;
mod accounts;
pub mod auth;
mod bans;
mod bots;
mod changes;
pub mod envelope;
pub mod extract;
mod membership;
mod moderation;
mod rooms;
mod sessions;

use axum::{
    Router,
    routing::{get, post, put},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub use self::about::about;

/// The resources of this folder, and their description.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(about::about))
        .routes(routes!(about::version))
        .merge(people())
        .merge(in_rooms())
}

fn in_rooms() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rooms::list, rooms::make))
        .routes(routes!(rooms::one, rooms::change))
        .routes(routes!(membership::enter, membership::leave))
        .routes(routes!(membership::invite))
        .routes(routes!(membership::direct))
        .routes(routes!(membership::read))
        .routes(routes!(moderation::mute, moderation::unmute))
        .routes(routes!(moderation::ban, moderation::unban))
        .routes(routes!(moderation::kick))
        .routes(routes!(moderation::announce))
}

fn people() -> OpenApiRouter<App> {
    OpenApiRouter::from(
        Router::new()
            .route("/api/v1/accounts", post(accounts::create))
            .route("/api/v1/accounts/{name}/role", put(accounts::set_role))
            .route(
                "/api/v1/sessions",
                post(sessions::sign_in).delete(sessions::sign_out_everywhere),
            )
            .route("/api/v1/sessions/current", get(sessions::current).delete(sessions::sign_out))
            .route("/api/v1/bots", post(bots::make))
            .route("/api/v1/bans/{member}", put(bans::ban).delete(bans::unban)),
    )
}
