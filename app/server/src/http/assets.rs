//! The page, embedded in the binary.

use std::borrow::Cow;

use axum::{
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest, Sha256};

use crate::app::App;

/// `connect-src` names the WebSocket schemes, since older browsers do not count them as `'self'`.
/// The page has one script and one style in it (`build.rs`), which it names.
const CSP: &str = concat!(
    "default-src 'none'; script-src 'self' 'sha256-",
    env!("WEB_SCRIPT"),
    "'; style-src 'self' 'sha256-",
    env!("WEB_STYLE"),
    "'; connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'"
);

#[derive(Embed)]
#[folder = "$OUT_DIR/web/"]
struct Web;

/// The page's own release, so that it can tell when another one serves it.
const RELEASE: &str = r#"<meta name="release" content="">"#;

/// `/`
pub async fn page(State(app): State<App>) -> Response {
    serve("index.html", |page| {
        let release = app.config.release.replace('&', "&amp;").replace('"', "&quot;");
        let told = RELEASE.replace(r#""""#, &format!(r#""{release}""#));
        String::from_utf8_lossy(&page).replace(RELEASE, &told).into_bytes().into()
    })
}

/// `/web/<path>`
pub async fn asset(Path(path): Path<String>) -> Response {
    serve(&path, |file| file)
}

type Bytes = Cow<'static, [u8]>;

fn serve(path: &str, finish: impl FnOnce(Bytes) -> Bytes) -> Response {
    let Some(EmbeddedFile { data, .. }) = Web::get(path) else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let data = finish(data);
    let kind = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "image/svg+xml",
    };
    let tag = Sha256::digest(&data).iter().take(8).map(|b| format!("{b:02x}")).collect::<String>();
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_SECURITY_POLICY, CSP.to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        // Two releases may serve one page during a roll: always ask.
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, format!("\"{tag}\"")),
        // The page's service worker lies below `/web/`, and is for all of it.
        (HeaderName::from_static("service-worker-allowed"), "/".to_owned()),
    ];
    (headers, data).into_response()
}
