//! `/api/v1/`: what answers here.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::envelope::{Data, Envelope, Refused};
use crate::app::App;

/// The ways to listen and speak.
const WAYS: [&str; 3] = ["long-poll", "events", "websocket"];

/// What answers, and what can be asked of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct About {
    /// Always `Rollcall`.
    name: &'static str,
    #[serde(flatten)]
    version: Version,
    /// The ways to listen and speak.
    #[schema(value_type = Vec<String>)]
    features: Vec<&'static str>,
    /// Where to go on.
    links: Links,
}

/// Which version answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Version {
    /// Of the program.
    version: &'static str,
    /// The release that is deployed: during a roll there are two.
    release: String,
    /// Of the protocol.
    protocol: u32,
    /// Which replica answered.
    replica: String,
}

/// Addresses, below this server's own.
#[derive(Debug, Serialize, ToSchema)]
struct Links {
    /// This page's own.
    #[serde(rename = "self")]
    own: &'static str,
    /// Which version answers.
    version: &'static str,
    /// The socket.
    websocket: &'static str,
    /// A page about all of this.
    docs: &'static str,
    /// The description of the requests.
    openapi: &'static str,
    /// The description of the socket.
    asyncapi: &'static str,
}

fn version_of(app: &App) -> Version {
    Version {
        version: env!("CARGO_PKG_VERSION"),
        release: app.config.release.clone(),
        protocol: rollcall_protocol::VERSION,
        replica: app.config.replica.clone(),
    }
}

/// What answers here.
#[utoipa::path(
    get,
    path = "/api/v1/",
    tag = "about",
    responses((status = 200, description = "Name, versions, features, links.", body = Envelope<About>), Refused)
)]
pub async fn about(State(app): State<App>) -> Data<About> {
    Data(About {
        name: "Rollcall",
        version: version_of(&app),
        features: [&WAYS[..], &app.features()].concat(),
        links: Links {
            own: "/api/v1/",
            version: "/api/v1/version",
            websocket: "/api/v1/ws",
            docs: "/api/v1/docs",
            openapi: "/api/v1/docs/openapi.json",
            asyncapi: "/api/v1/docs/asyncapi.json",
        },
    })
}

/// Which version answers.
#[utoipa::path(
    get,
    path = "/api/v1/version",
    tag = "about",
    responses((status = 200, description = "The versions.", body = Envelope<Version>), Refused)
)]
pub async fn version(State(app): State<App>) -> Data<Version> {
    Data(version_of(&app))
}
