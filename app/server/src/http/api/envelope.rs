//! What every answer is: `{"data": …}`, or `{"error": {"code", "detail", …}}`.
//!
//! For one release the fields of the one before stay beside these, at the top: during a roll its clients are here, too.

use std::{borrow::Cow, time::Duration};

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use rollcall_protocol::{ErrorCode, RejectCode, ServerFrame};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::{error::JoinError, rates::Left};

tokio::task_local! {
    /// The request that is being answered, as its answer's `X-Request-Id` names it.
    pub static REQUEST_ID: String;
}

/// When to try again if nothing better is known.
const RETRY: Duration = Duration::from_secs(1);
/// Of a detail, in characters: some have a part of the request in them.
const DETAIL: usize = 300;

/// What an answer of the API looks like.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    /// What was asked for.
    pub data: T,
}

/// 200, with what was asked for.
#[derive(Debug)]
pub struct Data<T>(pub T);

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        Json(Envelope { data: self.0 }).into_response()
    }
}

/// 201, with what was made.
#[derive(Debug)]
#[allow(dead_code, reason = "for resources that make something")]
pub struct Created<T>(pub T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Data(self.0)).into_response()
    }
}

/// As [`Data`], and beside it what the release before told: `old` is an object.
#[derive(Debug)]
pub struct Both<T, O> {
    /// What was asked for.
    pub data: T,
    /// The fields of the release before.
    pub old: O,
}

impl<T: Serialize, O: Serialize> IntoResponse for Both<T, O> {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body<T, O> {
            data: T,
            #[serde(flatten)]
            old: O,
        }
        Json(Body { data: self.data, old: self.old }).into_response()
    }
}

/// What is told of a request that was not done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// For programs, such as `bad_room` or `rate_limited`.
    #[schema(value_type = String)]
    pub code: Cow<'static, str>,
    /// For people.
    pub detail: String,
    /// Also the answer's header `X-Request-Id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// With `out_of_order` and `number_taken`: the number that is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
    /// When to try again, ms, if trying again can help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
}

/// What an answer looks like to a request that was not done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problems {
    /// Why.
    error: Problem,
    /// The same as the release before told it.
    #[serde(flatten)]
    #[schema(ignore)]
    old: Option<Box<ServerFrame>>,
}

/// Every operation may be refused so.
#[derive(IntoResponses)]
#[response(status = "default", description = "It was not done.")]
#[allow(dead_code, reason = "only its description is used")]
pub struct Refused(#[to_schema] pub Problems);

/// A request that was not done. In a box: what is returned instead is smaller by far.
#[derive(Debug)]
pub struct Failure(Box<Told>);

#[derive(Debug)]
struct Told {
    status: StatusCode,
    error: Problem,
    old: Option<Box<ServerFrame>>,
    headers: HeaderMap,
}

impl Failure {
    /// With a code of HTTP alone, such as `not_found`.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self::with_code(status, Cow::Borrowed(code), detail.into())
    }

    fn with_code(status: StatusCode, code: Cow<'static, str>, detail: String) -> Self {
        let detail = detail.chars().take(DETAIL).collect();
        let request_id = REQUEST_ID.try_with(Clone::clone).ok();
        let error = Problem { code, detail, request_id, expected: None, retry_ms: None };
        let told = Told { status, error, old: None, headers: HeaderMap::new() };
        let failure = Self(Box::new(told));
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                failure.retry_after(RETRY)
            }
            _ => failure,
        }
    }

    /// What an `error` frame would tell.
    pub fn error(status: StatusCode, code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::with_code(status, Cow::Owned(name_of(code)), detail.into()).also(code)
    }

    /// What a `reject` frame tells.
    pub fn rejected(frame: ServerFrame) -> Self {
        let ServerFrame::Reject { code, detail, expected, retry_ms, .. } = &frame else {
            let detail = "there is no answer to this";
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail);
        };
        let status = status_of(*code);
        let mut failure = Self::with_code(status, Cow::Owned(name_of(code)), detail.clone());
        failure.0.error.expected = *expected;
        if let Some(ms) = retry_ms {
            failure = failure.retry_after(Duration::from_millis(*ms));
        }
        failure.0.old = Some(Box::new(frame));
        failure
    }

    /// 429, of an address.
    pub fn too_many(wait: Duration, detail: &'static str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail)
            .retry_after(wait)
            .also(ErrorCode::Unavailable)
    }

    /// 400, of the query or the address.
    pub fn bad(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail).also(ErrorCode::BadFrame)
    }

    /// Says when trying again can help.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        self.0.error.retry_ms = Some(ms);
        self.0.headers.insert(header::RETRY_AFTER, ms.div_ceil(1000).into());
        self
    }

    /// With the code that the release before told.
    #[must_use]
    pub fn also(mut self, code: ErrorCode) -> Self {
        let detail = self.0.error.detail.clone();
        self.0.old = Some(Box::new(ServerFrame::Error { code, detail, room: None }));
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What it tells people, and after how many ms trying again can help.
    #[must_use]
    pub fn told(&self) -> (&str, Option<u64>) {
        (&self.0.error.detail, self.0.error.retry_ms)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Told { status, error, old, headers } = *self.0;
        (status, headers, Json(Problems { error, old })).into_response()
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        if let JoinError::Log(error) = &error {
            error.note("a read of a room's log");
        }
        if !error.may_pass() {
            return Self::error(StatusCode::FORBIDDEN, error.code(), error.to_string());
        }
        let status = match error.may_pass() {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::FORBIDDEN,
        };
        Self::error(status, error.code(), error.to_string())
    }
}

/// What a `reject` frame's code is among statuses.
pub(super) fn status_of(code: RejectCode) -> StatusCode {
    match code {
        RejectCode::OutOfOrder | RejectCode::NumberTaken => StatusCode::CONFLICT,
        RejectCode::BadText => StatusCode::BAD_REQUEST,
        RejectCode::RateLimited | RejectCode::SlowMode => StatusCode::TOO_MANY_REQUESTS,
        RejectCode::NoMessage => StatusCode::NOT_FOUND,
        RejectCode::ReadOnly
        | RejectCode::Muted
        | RejectCode::Banned
        | RejectCode::Private
        | RejectCode::NotYours
        | RejectCode::NotJoined => StatusCode::FORBIDDEN,
        RejectCode::Busy | RejectCode::Unavailable | RejectCode::Other => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

/// A code as it stands on the wire.
pub(super) fn name_of(code: impl Serialize) -> String {
    let name = serde_json::to_value(code).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_else(|| "other".to_owned())
}

/// What is left of a rate, in the headers of the IETF's draft (`draft-ietf-httpapi-ratelimit-headers`).
impl IntoResponseParts for Left {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        for (name, value) in rate_headers(&self) {
            parts.headers_mut().insert(name, value);
        }
        Ok(parts)
    }
}

/// `RateLimit-Policy` and `RateLimit`.
fn rate_headers(left: &Left) -> Vec<(HeaderName, HeaderValue)> {
    let Left { policy, quota, window, remaining, full_in } = left;
    let seconds = |time: &Duration| u64::try_from(time.as_millis()).unwrap_or(0).div_ceil(1000);
    let told = [
        (
            HeaderName::from_static("ratelimit-policy"),
            format!("\"{policy}\";q={quota};w={}", seconds(window).max(1)),
        ),
        (
            HeaderName::from_static("ratelimit"),
            format!("\"{policy}\";r={remaining};t={}", seconds(full_in)),
        ),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name, value.parse().ok()?))).collect()
}

/// Tells what is left of a rate with a failure, too.
impl Failure {
    /// With what is left of a rate.
    #[must_use]
    pub fn left(mut self, left: &Left) -> Self {
        self.0.headers.extend(rate_headers(left));
        self
    }
}

#[cfg(test)]
mod tests {
    use rollcall_protocol::EntryId;
    use serde_json::{Value, json};

    use super::*;
    use crate::session::{ack, number_taken};

    async fn body(response: Response) -> (u16, Value) {
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        (status, serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[tokio::test]
    async fn an_ack_is_readable_for_both_releases() {
        let frame = ack("den".to_owned(), 3, Some(EntryId::new(7, 1)), false);
        let both = Both { data: json!({ "id": "7-1" }), old: frame.clone() };
        let (status, body) = body(both.into_response()).await;
        assert_eq!((status, &body["data"]["id"]), (200, &json!("7-1")));
        assert_eq!(serde_json::from_value::<ServerFrame>(body).expect("a frame"), frame);
    }

    #[tokio::test]
    async fn a_refusal_is_readable_for_both_releases() {
        let frame = number_taken("den".to_owned(), 3, 4);
        let (status, body) = body(Failure::rejected(frame.clone()).into_response()).await;
        assert_eq!(status, 409);
        assert_eq!(body["error"]["code"], "number_taken");
        assert_eq!(body["error"]["expected"], 4);
        assert_eq!(serde_json::from_value::<ServerFrame>(body).expect("a frame"), frame);
    }

    #[tokio::test]
    async fn whoever_is_too_fast_is_told_when_to_come_back() {
        let response = Failure::too_many(Duration::from_millis(1200), "slowly").into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        let (status, body) = body(response).await;
        assert_eq!((status, &body["error"]["retry_ms"]), (429, &json!(1200)));
        assert_eq!((&body["type"], &body["code"]), (&json!("error"), &json!("unavailable")));
    }
}
