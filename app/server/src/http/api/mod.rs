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
pub mod envelope;
pub mod extract;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::App;

pub use self::about::about;

/// The resources of this folder, and their description.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(about::about)).routes(routes!(about::version))
}
