//! When an event stream that ended, or could not begin, is asked for again.

use std::time::Duration;

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::envelope::Failure;
use crate::app::App;

/// What a browser waits before it connects again; its own default is some seconds.
pub const RECONNECT: Duration = Duration::from_millis(200);

/// Whether a stream is asked for, as a browser's `EventSource` does.
pub fn is_event_source(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok()).unwrap_or_default();
    accepts.contains("text/event-stream")
}

/// A browser's `EventSource` gives up for good on anything but 200. Where trying again helps it gets a stream that ends at
/// once, and says when to come back. Behind a proxy a 503 stays one: the proxy asks another replica, and if none is left
/// says the same as is said here (`haproxy.cfg.j2`).
pub fn refuse(app: &App, headers: &HeaderMap, failure: Failure) -> Response {
    let is_behind_proxy = app.config.trust_forwarded && headers.contains_key("x-forwarded-for");
    let may_end_well = match failure.status() {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => !is_behind_proxy,
        _ => false,
    };
    let (detail, Some(retry_ms)) = failure.told() else { return failure.into_response() };
    if !is_event_source(headers) || !may_end_well {
        return failure.into_response();
    }
    // Not all at once.
    let retry_ms = retry_ms + rand::random_range(0..=retry_ms);
    let body = format!("retry: {retry_ms}\n: {detail}\n\n");
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}
