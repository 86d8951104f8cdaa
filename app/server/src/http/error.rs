//! Refusals of the REST requests: frames again, with a status.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use rollcall_protocol::{ErrorCode, RejectCode, ServerFrame};

use crate::error::JoinError;

/// A request that was refused.
pub struct Refusal(StatusCode, Box<ServerFrame>);

impl Refusal {
    /// An `error` frame.
    pub fn error(status: StatusCode, code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(status, Box::new(ServerFrame::Error { code, detail: detail.into(), room: None }))
    }

    /// Too many reads from one address.
    pub fn too_many_requests() -> Self {
        let detail = "too many requests from your address";
        Self::error(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Unavailable, detail)
    }

    /// What a `reject` frame's code is among statuses.
    pub fn rejected(frame: ServerFrame) -> Self {
        let status = match &frame {
            ServerFrame::Reject {
                code: RejectCode::OutOfOrder | RejectCode::NumberTaken, ..
            } => StatusCode::CONFLICT,
            ServerFrame::Reject { code: RejectCode::BadText, .. } => StatusCode::BAD_REQUEST,
            ServerFrame::Reject {
                code: RejectCode::RateLimited | RejectCode::SlowMode, ..
            } => StatusCode::TOO_MANY_REQUESTS,
            ServerFrame::Reject { code: RejectCode::NoMessage, .. } => StatusCode::NOT_FOUND,
            ServerFrame::Reject {
                code:
                    RejectCode::ReadOnly
                    | RejectCode::Muted
                    | RejectCode::Banned
                    | RejectCode::Private
                    | RejectCode::NotYours,
                ..
            } => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, Box::new(frame))
    }
}

/// Why one more connection is not welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// New connections of this address come too fast.
    TooFast,
    /// This address holds as many as it may.
    TooMany,
    /// This replica is full, drains, or has no log. HAProxy tries another on a 503.
    NotHere,
}

impl From<NotAdmitted> for Refusal {
    fn from(refused: NotAdmitted) -> Self {
        let (status, detail) = match refused {
            NotAdmitted::TooFast => {
                (StatusCode::TOO_MANY_REQUESTS, "too many new connections from your address")
            }
            NotAdmitted::TooMany => {
                (StatusCode::TOO_MANY_REQUESTS, "too many connections from your address")
            }
            NotAdmitted::NotHere => (StatusCode::SERVICE_UNAVAILABLE, "not here, not now"),
        };
        Self::error(status, ErrorCode::Unavailable, detail)
    }
}

impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Self {
        if let JoinError::Log(error) = &error {
            error.note("a read of a room's log");
        }
        let status = match error.may_pass() {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::FORBIDDEN,
        };
        Self::error(status, error.code(), error.to_string())
    }
}

// What axum could not read it would refuse in plain text.

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::error(rejection.status(), ErrorCode::BadFrame, rejection.body_text())
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::error(rejection.status(), ErrorCode::BadFrame, rejection.body_text())
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Self {
        Self::error(rejection.status(), ErrorCode::BadRoom, rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, frame) = self;
        let retry_ms = match &*frame {
            ServerFrame::Reject { retry_ms, .. } => retry_ms.unwrap_or_default(),
            _ => 0,
        };
        let mut response = (status, Json(frame)).into_response();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = retry_ms.div_ceil(1000).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
