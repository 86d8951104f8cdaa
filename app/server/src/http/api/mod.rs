//! The REST API, `/api/v1`: what all of its resources share, and a file per resource.
//!
//! How to add a resource, say `http/api/rooms.rs`:
//!
//! 1. a handler takes what it needs by [`extract`] (`RoomPath`, `Segments`, `Params`, `Body`: each refuses with a
//!    [`Failure`](envelope::Failure)) and returns `Result<Data<T>, Failure>`, or `Result<Created<T>, Failure>`. A new
//!    code of a failure goes into the table of `app/protocol/README.md`, too;
//! 2. it says what it is in `#[utoipa::path(get, path = "/api/v1/rooms/{room}", params(RoomParam, …), responses((status =
//!    200, body = Envelope<T>), Refused))]`; `T` derives `ToSchema`, queries derive `IntoParams`, and bodies `ToSchema`.
//!    Types of the wire have `ToSchema` from `rollcall-protocol`. What no pattern can say has a `format` that
//!    `scripts/schemathesis` makes examples of (`app/server/tests/openapi/hooks.py`);
//! 3. `routes!(a, b)` in [`routes`] both serves and describes it. Several methods of one path go into one `routes!`.
//!
//! `scripts/schemathesis` then asks it everything that the description allows, and much that it does not.

mod about;
mod accounts;
pub mod auth;
mod bans;
mod bots;
mod changes;
#[cfg(test)]
mod codes;
pub mod envelope;
pub mod extract;
mod membership;
mod moderation;
mod news;
mod pages;
pub mod reader;
pub mod retry;
mod room_info;
mod rooms;
mod sessions;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub use self::about::about;

/// The resources of this folder, and their description.
pub fn routes() -> OpenApiRouter<App> {
    of_operators()
        .merge(of_rooms())
        .routes(routes!(about::about))
        .routes(routes!(about::version))
        .routes(routes!(accounts::create))
        .routes(routes!(sessions::sign_in, sessions::sign_out_everywhere))
        .routes(routes!(sessions::current, sessions::sign_out))
}

/// What can be asked of rooms, and done to them; on the admin listener, too.
pub fn of_rooms() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rooms::list, rooms::make))
        .routes(routes!(rooms::one, rooms::change))
        .routes(routes!(membership::enter, membership::leave))
        .routes(routes!(membership::invite))
        .routes(routes!(membership::direct))
        .routes(routes!(rooms::members))
        .routes(routes!(membership::read))
        .routes(routes!(moderation::mute, moderation::unmute))
        .routes(routes!(moderation::ban, moderation::unban))
        .routes(routes!(moderation::kick))
        .routes(routes!(moderation::announce))
}

/// What an operator's programs may ask for, on the admin listener, too.
pub fn of_operators() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(accounts::set_role))
        .routes(routes!(bots::make))
        .routes(routes!(bans::ban, bans::unban))
}
