//! What is true of every answer, whatever the question: it can be named, it says whether it may be kept, and a refusal
//! says why in JSON.

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::api::envelope::{Failure, REQUEST_ID};

const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Longest address of a request, in bytes; a room's name takes 768 at most.
const URI_BYTES: usize = 8 * 1024;
/// Of all headers of a request, in bytes.
const HEADER_BYTES: usize = 16 * 1024;
/// By this name an `OPTIONS` goes that is no preflight: tower-http's CORS takes every other for one.
const PLAIN_OPTIONS: &[u8] = b"PLAIN-OPTIONS";

/// Checks what no route looks at, and completes the answer.
pub async fn complete(mut request: Request, next: Next) -> Response {
    let id = format!("{:016x}", rand::random::<u64>());
    let asks_options = request.method() == Method::OPTIONS;
    let is_preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if let (true, false, Ok(method)) =
        (asks_options, is_preflight, Method::from_bytes(PLAIN_OPTIONS))
    {
        *request.method_mut() = method;
    }
    let answer = async {
        let response = match check(&request) {
            Ok(()) => next.run(request).await,
            Err(failure) => failure.into_response(),
        };
        if asks_options && response.status() == StatusCode::METHOD_NOT_ALLOWED {
            return options(response);
        }
        explained(response)
    };
    let mut response = REQUEST_ID.scope(id.clone(), answer).await;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return response;
    }
    let status = response.status();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID_HEADER, value);
    }
    if status != StatusCode::NOT_MODIFIED {
        let no_store = HeaderValue::from_static("no-store");
        headers.entry(header::CACHE_CONTROL).or_insert(no_store);
    }
    if status.is_server_error() {
        tracing::debug!(request_id = id, status = status.as_u16(), "a request failed");
    }
    response
}

/// What HTTP itself asks of a request.
fn check(request: &Request) -> Result<(), Failure> {
    if request.version() == Version::HTTP_11 && !request.headers().contains_key(header::HOST) {
        return Err(Failure::bad("bad_request", "a request of HTTP/1.1 names its Host"));
    }
    if bytes_of(request.uri()) > URI_BYTES {
        let detail = format!("an address has at most {URI_BYTES} bytes");
        return Err(Failure::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
    }
    if header_bytes(request.headers()) > HEADER_BYTES {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        let detail = format!("the headers have at most {HEADER_BYTES} bytes");
        return Err(Failure::new(status, "headers_too_large", detail));
    }
    let address = request.uri().path_and_query().map_or("", |it| it.as_str());
    if !is_well_escaped(address) {
        return Err(Failure::bad("bad_path", "a % in an address is followed by two hex digits"));
    }
    Ok(())
}

fn bytes_of(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |it| it.as_str().len())
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// Whether each `%` is followed by two hex digits.
fn is_well_escaped(text: &str) -> bool {
    let mut parts = text.as_bytes().split(|byte| *byte == b'%');
    let _before = parts.next();
    parts.all(|part| part.get(..2).is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)))
}

/// The answer to an `OPTIONS` that is no preflight: axum has said which methods there are.
fn options(refused: Response) -> Response {
    let allow = refused.headers().get(header::ALLOW).cloned();
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(allow.map(|allow| (header::ALLOW, with_options(&allow))));
    response
}

fn with_options(allow: &HeaderValue) -> HeaderValue {
    let all = format!("{},OPTIONS", allow.to_str().unwrap_or_default());
    all.parse().unwrap_or_else(|_| allow.clone())
}

/// A refusal that says nothing, such as axum's own 404 and 405, gets a body.
fn explained(response: Response) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_refusal || response.headers().contains_key(header::CONTENT_TYPE) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("not_found", "there is nothing at this address"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method_not_allowed", "Allow says what can be done with what is at this address")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is too long"),
        _ => ("refused", status.canonical_reason().unwrap_or("refused")),
    };
    let failure = Failure::new(status, code, detail);
    let mut explained = failure.into_response();
    for (name, value) in response.headers() {
        if name == header::ALLOW {
            explained.headers_mut().insert(name.clone(), with_options(value));
        } else if name != header::CONTENT_LENGTH {
            explained.headers_mut().insert(name.clone(), value.clone());
        }
    }
    explained
}

#[cfg(test)]
mod tests {
    use super::is_well_escaped;

    #[test]
    fn h_what_is_no_escape_is_none() {
        for address in ["/", "/a%20b", "/%E2%9C%93?q=%2f", ""] {
            assert!(is_well_escaped(address), "{address}");
        }
        for address in ["/%zz", "/%", "/%2", "/a%%20", "/x?q=%g0", "/%€"] {
            assert!(!is_well_escaped(address), "{address}");
        }
    }
}
