//! The REST API, `/api/v1`: a file per resource.

mod accounts;
pub mod auth;
mod bans;
mod bots;
pub mod envelope;
pub mod extract;
mod sessions;

use axum::{
    Router,
    routing::{get, post, put},
};

use crate::app::App;

/// The resources of this folder.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/v1/accounts", post(accounts::create))
        .route("/api/v1/accounts/{name}/role", put(accounts::set_role))
        .route("/api/v1/sessions", post(sessions::sign_in).delete(sessions::sign_out_everywhere))
        .route("/api/v1/sessions/current", get(sessions::current).delete(sessions::sign_out))
        .route("/api/v1/bots", post(bots::make))
        .route("/api/v1/bans/{member}", put(bans::ban).delete(bans::unban))
}
