//! Refusals of the REST requests: frames again, with a status.

use axum::{
    Json,
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::StatusCode,
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

    /// What a `reject` frame's code is among statuses.
    pub fn rejected(frame: ServerFrame) -> Self {
        let status = match &frame {
            ServerFrame::Reject { code: RejectCode::OutOfOrder, .. } => StatusCode::CONFLICT,
            ServerFrame::Reject { code: RejectCode::BadText, .. } => StatusCode::BAD_REQUEST,
            ServerFrame::Reject { code: RejectCode::RateLimited, .. } => {
                StatusCode::TOO_MANY_REQUESTS
            }
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, Box::new(frame))
    }
}

impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Self {
        Self::error(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.to_string())
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
        (self.0, Json(self.1)).into_response()
    }
}
