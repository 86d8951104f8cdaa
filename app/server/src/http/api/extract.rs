//! What a handler takes from a request. What cannot be read is refused in the envelope.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::envelope::Failure;

/// All that a path leaves open, as axum's `Path`.
#[derive(Debug)]
pub struct Segments<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(segments)| Self(segments))
            .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "bad_path", "the path is not UTF-8"))
    }
}

/// A body of JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Json::<T>::from_request(request, state).await;
        // Without serde's words: they have a part of the body in them, and that may be a secret.
        body.map(|Json(body)| Self(body)).map_err(|rejection| {
            Failure::new(rejection.status(), "bad_body", "the body is not what it should be")
        })
    }
}
