//! What a handler takes from a request. What cannot be read is refused in the envelope, without a word of Rust.

use std::time::Duration;

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
};
use bytes::Bytes;
use rollcall_protocol::ErrorCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::envelope::Failure;
use crate::session::check_room;

/// The longest time that somebody can be muted or banned for; beyond that it is for ever, s.
const LONGEST_SECONDS: u64 = 366 * 24 * 3600;

/// What stands for a room in a path: for descriptions.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "only its description is used")]
pub struct RoomParam {
    /// The room's name.
    #[param(value_type = String, min_length = 1, max_length = 64, format = "room")]
    room: String,
}

/// The room in `/rooms/{room}/…`: a name that a room may have.
#[derive(Debug)]
pub struct RoomPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RoomPath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Segments(room) = Segments::<String>::from_request_parts(parts, state).await?;
        checked_room(&room)?;
        Ok(Self(room))
    }
}

/// Refuses what cannot be a room's name.
///
/// # Errors
/// 400, `bad_room`.
pub fn checked_room(room: &str) -> Result<(), Failure> {
    check_room(room).map_err(|d| Failure::error(StatusCode::BAD_REQUEST, ErrorCode::BadRoom, d))
}

/// Refuses what cannot be a member's public ID.
///
/// # Errors
/// 400, `bad_member`.
pub fn checked_member(member: &str) -> Result<(), Failure> {
    let is_id = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if member.len() != 16 || !member.bytes().all(is_id) {
        return Err(Failure::bad("bad_member", "a member's ID has 16 lower-case hex digits"));
    }
    Ok(())
}

/// For how long.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Span {
    /// From 1 to a year of 366 days; absent for ever.
    #[schema(minimum = 1, maximum = 31_622_400)]
    seconds: Option<u64>,
}

impl Span {
    /// None for ever.
    ///
    /// # Errors
    /// 400.
    pub fn checked(&self) -> Result<Option<Duration>, Failure> {
        match self.seconds {
            None => Ok(None),
            Some(seconds @ 1..=LONGEST_SECONDS) => Ok(Some(Duration::from_secs(seconds))),
            Some(_) => {
                Err(Failure::bad("bad_body", "seconds: from 1 to a year; without it, for ever"))
            }
        }
    }
}

/// All that a path leaves open, as axum's `Path`: a `String`, or a tuple of them.
#[derive(Debug)]
pub struct Segments<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        let refuse = |_| {
            let detail = "the path is not UTF-8";
            Failure::error(StatusCode::BAD_REQUEST, ErrorCode::BadRoom, detail)
        };
        path.map(|Path(segments)| Self(segments)).map_err(refuse)
    }
}

/// The query. Its type is to deny unknown fields, so that a mistyped parameter is not silently ignored.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let text = rejection.body_text();
                let text = text.rsplit_once("query string: ").map_or(&*text, |(_, why)| why);
                Err(Failure::bad("bad_query", in_plain_words(text).replace("field", "parameter")))
            }
        }
    }
}

/// A body of JSON.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        check_media(request.headers())?;
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.status() {
                status @ StatusCode::PAYLOAD_TOO_LARGE => {
                    Failure::new(status, "too_large", "the body is too long")
                }
                _ => Failure::new(StatusCode::BAD_REQUEST, "bad_body", "the body cannot be read"),
            }
            .also(ErrorCode::BadFrame)
        })?;
        parse(&bytes).map(Self)
    }
}

/// Whether a body is JSON, as it is.
fn check_media(headers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| headers.get(name).map(|it| HeaderValue::to_str(it).unwrap_or_default());
    let refuse = |detail| {
        Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
            .also(ErrorCode::BadFrame)
    };
    let media = text(header::CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(refuse("a body is JSON: Content-Type: application/json"));
    }
    match text(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
            let identity = HeaderValue::from_static("identity");
            let refused = refuse("a body is not compressed");
            Err(refused.header(header::ACCEPT_ENCODING, identity))
        }
        _ => Ok(()),
    }
}

/// 400 for what is no JSON, 422 for what is not what was asked for.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let refuse =
        |status, detail| Failure::new(status, "bad_body", detail).also(ErrorCode::BadFrame);
    let mut value: Value = serde_json::from_slice(bytes)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("not JSON: {error}")))?;
    if !value.is_object() {
        let detail = "the body is to be an object".to_owned();
        return Err(refuse(StatusCode::UNPROCESSABLE_ENTITY, detail));
    }
    make_whole(&mut value);
    serde_path_to_error::deserialize(value).map_err(|error| {
        let why = in_plain_words(&error.inner().to_string());
        let detail = match error.path().to_string() {
            path if path == "." => why,
            path => format!("{path}: {why}"),
        };
        refuse(StatusCode::UNPROCESSABLE_ENTITY, detail)
    })
}

/// JSON has numbers, and 7.0 is the same as 7: serde_json alone tells them apart.
fn make_whole(value: &mut Value) {
    /// Up to here a double has every whole number.
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    match value {
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|it| it.fract() == 0.0 && it.abs() <= LARGEST);
            if let Some(whole) = whole {
                *number = (whole as i64).into();
            }
        }
        _ => {}
    }
}

/// What serde says, without the names of Rust's types.
fn in_plain_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut named = false;
    for word in text.split(' ') {
        if std::mem::take(&mut named) {
            continue;
        }
        let (bare, end) = match word.strip_suffix(',') {
            Some(bare) => (bare, ","),
            None => (word, ""),
        };
        let plain = match bare {
            "struct" | "enum" => {
                named = true;
                "an object"
            }
            "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
            "i8" | "i16" | "i32" | "i64" | "isize" => "a number",
            bare => bare,
        };
        words.push(format!("{plain}{end}"));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Inner {
        deep: u8,
    }

    #[derive(Debug, Deserialize)]
    struct Request {
        n: u64,
        inner: Inner,
    }

    #[test]
    fn a_whole_number_may_be_written_in_two_ways() {
        for body in [r#"{"n":7,"inner":{"deep":3}}"#, r#"{"n":7.0,"inner":{"deep":3e0}}"#] {
            let request = parse::<Request>(body.as_bytes()).expect(body);
            assert_eq!((request.n, request.inner.deep), (7, 3));
        }
        for body in [r#"{"n":7.5,"inner":{"deep":3}}"#, r#"{"n":1e300,"inner":{"deep":3}}"#] {
            assert!(parse::<Request>(body.as_bytes()).is_err(), "{body}");
        }
    }

    /// Fault H: a 422's detail named a Rust struct.
    #[test]
    fn h_a_refusal_names_no_type_of_rust() {
        for (body, status) in [
            ("", 400),
            ("{", 400),
            ("[1]", 422),
            ("{}", 422),
            (r#"{"n":-1}"#, 422),
            (r#"{"n":"x"}"#, 422),
            (r#"{"n":1,"inner":3}"#, 422),
            (r#"{"n":1,"inner":{"deep":300}}"#, 422),
        ] {
            let failure = parse::<Request>(body.as_bytes()).expect_err(body);
            let (told, _) = failure.told();
            assert_eq!(failure.status().as_u16(), status, "{body}: {told}");
            assert!(!told.contains("struct") && !told.contains("u64"), "{told}");
        }
        let told = parse::<Request>(br#"{"n":1,"inner":{"deep":300}}"#).expect_err("too much");
        assert!(told.told().0.starts_with("inner.deep: "), "{told:?}");
    }
}
