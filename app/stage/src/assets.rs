//! The page, embedded in the binary.

use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use qrcode::{QrCode, render::svg};
use rust_embed::{Embed, EmbeddedFile};

use crate::key;

/// Nothing from anywhere else. The page's own lines of script are known by a number that is good once.
const CSP: &str = "default-src 'none'; script-src 'self' 'nonce-'; style-src 'self'; connect-src 'self'; \
                   img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

#[derive(Embed)]
#[folder = "web/"]
struct Web;

/// Where the page has the token by which this process knows it.
const TOKEN: &str = r#"<meta name="token" content="">"#;

/// Where its first script has the number by which the browser knows it, and where the policy has it.
const NONCE: [&str; 2] = [r#"nonce="""#, "'nonce-'"];

/// And the name of the Wi-Fi, if there is one.
const WIFI: &str = r#"<meta name="wifi" content="">"#;

/// `/stage`
pub fn page(token: &str, wifi: Option<&str>) -> Response {
    let Some(EmbeddedFile { data, .. }) = Web::get("index.html") else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let told = |place: &str, words: &str| place.replace(r#""""#, &format!(r#""{words}""#));
    let wifi = wifi.unwrap_or_default().replace('&', "&amp;").replace('"', "&quot;");
    let page = String::from_utf8_lossy(&data).replace(TOKEN, &told(TOKEN, token));
    let nonce = key::secret();
    let page = page.replace(WIFI, &told(WIFI, &wifi)).replace(NONCE[0], &told(NONCE[0], &nonce));
    let mut response = answer("text/html; charset=utf-8", page.into_bytes());
    let policy = CSP.replace(NONCE[1], &format!("'nonce-{nonce}'"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// `/stage/web/<path>`
pub async fn asset(Path(path): Path<String>) -> Response {
    file(&path)
}

fn file(path: &str) -> Response {
    let Some(EmbeddedFile { data, .. }) = Web::get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match path.rsplit('.').next() {
        Some("svg") => "image/svg+xml",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "text/css; charset=utf-8",
    };
    answer(kind, data.into_owned())
}

fn answer(kind: &'static str, body: Vec<u8>) -> Response {
    let mut response = body.into_response();
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An address as a picture that a phone reads.
pub fn qr(address: &str) -> Response {
    let Ok(code) = QrCode::new(address) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let picture = code.render::<svg::Color<'_>>().quiet_zone(true).min_dimensions(256, 256).build();
    answer("image/svg+xml", picture.into_bytes())
}
