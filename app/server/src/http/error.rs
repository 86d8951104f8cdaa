//! Refusals of the REST requests: frames again, with a status.

use axum::{
    Json,
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}
