//! What every answer is: `{"data": …}`, or `{"error": {"code", "detail", …}}`.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

/// When to try again if nothing better is known.
const RETRY: Duration = Duration::from_secs(1);

/// 200, with what was asked for.
#[derive(Debug)]
pub struct Data<T>(pub T);

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        Json(json!({ "data": self.0 })).into_response()
    }
}

/// 201, with what was made.
#[derive(Debug)]
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Data(self.0)).into_response()
    }
}

/// A request that was not done.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    detail: String,
    headers: HeaderMap,
}

impl Failure {
    /// With a code for programs, and a detail for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let failure = Self { status, code, detail: detail.into(), headers: HeaderMap::new() };
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                failure.retry_after(RETRY)
            }
            _ => failure,
        }
    }

    /// Says when trying again can help.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).div_ceil(1000).max(1);
        self.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, code, detail, headers } = self;
        (status, headers, Json(json!({ "error": { "code": code, "detail": detail } })))
            .into_response()
    }
}
