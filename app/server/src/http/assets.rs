//! The page, embedded in the binary.

use std::borrow::Cow;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{Embed, EmbeddedFile};

use super::{api::envelope::Failure, file};
use crate::app::App;

/// `connect-src` names the WebSocket schemes, since older browsers do not count them as `'self'`.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                   connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'none'";

#[derive(Embed)]
#[folder = "web/"]
#[include = "*.html"]
#[include = "*.js"]
#[include = "*.css"]
#[include = "*.svg"]
#[exclude = "*/*"]
struct Web;

/// The page's own release, so that it can tell when another one serves it.
const RELEASE: &str = r#"<meta name="release" content="">"#;

/// What no page of this origin may do.
const POLICIES: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// `/`
pub async fn page(State(app): State<App>, asked: HeaderMap) -> Response {
    serve("index.html", &asked, |page| {
        let release = app.config.release.replace('&', "&amp;").replace('"', "&quot;");
        let told = RELEASE.replace(r#""""#, &format!(r#""{release}""#));
        String::from_utf8_lossy(&page).replace(RELEASE, &told).into_bytes().into()
    })
}

/// `/web/<path>`
pub async fn asset(
    path: Result<Path<String>, PathRejection>,
    asked: HeaderMap,
) -> Result<Response, Failure> {
    let Path(path) = path.map_err(|_| Failure::bad("bad_path", "the path is not UTF-8"))?;
    Ok(serve(&path, &asked, |file| file))
}

type Bytes = Cow<'static, [u8]>;

fn serve(path: &str, asked: &HeaderMap, finish: impl FnOnce(Bytes) -> Bytes) -> Response {
    let Some(EmbeddedFile { data, .. }) = Web::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    guarded(file::answer(asked, kind, &finish(data)))
}

/// A page, with what it may not do.
pub fn guarded(mut page: Response) -> Response {
    for (name, policy) in POLICIES {
        page.headers_mut().insert(name, HeaderValue::from_static(policy));
    }
    page
}
