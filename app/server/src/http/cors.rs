//! Which pages of other origins may ask, and what.

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::origin;
use crate::config::Config;

/// Answers preflights and names those who may read. None if no other origin is listed: then there is nothing to say.
///
/// A page of another origin comes without cookies, and with a token if it has one.
pub fn layer(config: &Config) -> Option<CorsLayer> {
    if config.cors_origins.is_empty() {
        return None;
    }
    let listed = config.cors_origins.clone();
    let is_listed = move |origin: &HeaderValue, _: &_| {
        origin.to_str().is_ok_and(|origin| origin::is_listed(&listed, origin))
    };
    let methods =
        [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let asked = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        HeaderName::from_static("last-event-id"),
        header::IF_NONE_MATCH,
        HeaderName::from_static("x-client-key"),
    ];
    let told = [
        header::RETRY_AFTER,
        header::ETAG,
        HeaderName::from_static("x-request-id"),
        HeaderName::from_static("ratelimit"),
        HeaderName::from_static("ratelimit-policy"),
    ];
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(is_listed))
            .allow_methods(methods)
            .allow_headers(asked)
            .expose_headers(told)
            .max_age(std::time::Duration::from_secs(600)),
    )
}
