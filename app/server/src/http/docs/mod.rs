//! What can be asked here, for programs and for people: `/api/v1/docs`.

use std::sync::Arc;

use axum::{Router, http::HeaderMap, response::Response, routing::get};
use utoipa::{
    OpenApi,
    openapi::{
        OpenApi as Description,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};

use rollcall_protocol::EntryId;

use super::{api::envelope::Problem, assets::guarded, file};
use crate::app::App;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
/// The socket is described by hand, and the description is tested against every fixture of the protocol.
const ASYNCAPI: &str = include_str!("../../../../protocol/asyncapi.json");

const JSON: &str = "application/json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rollcall",
        description = "A chat stack that is changed while everybody is talking. The rules that a client keeps to are in \
                       the protocol's README.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "about", description = "What answers here."),
        (name = "messages", description = "Reading and sending, without a WebSocket."),
        (name = "rooms", description = "Rooms, and who may do what in them."),
        (name = "accounts", description = "Accounts, sessions and bots."),
        (name = "moderation", description = "Keeping the peace."),
    ),
    servers((url = "/", description = "This server")),
    components(schemas(EntryId, Problem)),
)]
struct Outline;

/// All of the description but the operations.
pub fn outline() -> Description {
    let mut outline = Outline::openapi();
    let components = outline.components.get_or_insert_default();
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A session's or a bot's token."));
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    let key = ApiKeyValue::with_description("X-API-Key", "The operator's key.");
    components.add_security_scheme("key", SecurityScheme::ApiKey(ApiKey::Header(key)));
    // Either, or none: each call says what it needs by its answers.
    let by = |name: &str| SecurityRequirement::new(name, [""; 0]);
    outline.security = Some(vec![SecurityRequirement::default(), by("token"), by("key")]);
    outline
}

/// The page and the two descriptions.
pub fn routes(description: Description) -> Router<App> {
    // It has string keys alone, so that this does not fail.
    let openapi: Arc<str> = description.to_json().unwrap_or_default().into();
    let serve = |kind, text: &'static str| {
        get(move |asked: HeaderMap| async move { file::answer(&asked, kind, text.as_bytes()) })
    };
    Router::new()
        .route("/api/v1/docs", get(page))
        .route("/api/v1/docs/page.js", serve("text/javascript; charset=utf-8", SCRIPT))
        .route("/api/v1/docs/page.css", serve("text/css; charset=utf-8", STYLE))
        .route("/api/v1/docs/asyncapi.json", serve(JSON, ASYNCAPI))
        .route(
            "/api/v1/docs/openapi.json",
            get(move |asked: HeaderMap| async move {
                file::answer(&asked, JSON, openapi.as_bytes())
            }),
        )
}

async fn page(asked: HeaderMap) -> Response {
    guarded(file::answer(&asked, "text/html; charset=utf-8", PAGE.as_bytes()))
}
