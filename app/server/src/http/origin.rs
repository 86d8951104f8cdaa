//! Whether a page of that origin may connect.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

use crate::config::Config;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Browsers name the page's origin: this server's own, or one on the list. Others name none.
pub fn is_allowed(config: &Config, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let Some(origin) = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok()) else {
        return false;
    };
    let is_origin = |url: &str| is_same(url, &origin);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let mut own = schemes(config, headers).into_iter().map(|scheme| format!("{scheme}://{host}"));
    let mut listed = config.allowed_origins.iter().chain(&config.cors_origins);
    own.any(|own| is_origin(&own)) || listed.any(|listed| is_origin(listed))
}

/// Whether a list has an origin, however either is written.
pub fn is_listed(list: &[String], origin: &str) -> bool {
    Url::parse(origin).is_ok_and(|origin| list.iter().any(|listed| is_same(listed, &origin)))
}

/// An origin without a host, such as `null`, is the same as no other.
fn is_same(url: &str, origin: &Url) -> bool {
    Url::parse(url).is_ok_and(|url| url.origin() == origin.origin())
}

/// Whether a browser says that the page that asks is this server's own: only then do cookies count. A browser names no origin
/// where a page reads from its own server; then it says so otherwise.
pub fn is_own(config: &Config, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if !headers.contains_key(header::ORIGIN) {
        return text(FETCH_SITE) == Some("same-origin");
    }
    let origin = text(header::ORIGIN).and_then(|origin| Url::parse(origin).ok());
    let host = text(header::HOST).unwrap_or_default();
    let own = schemes(config, headers).into_iter();
    let own = own.filter_map(|scheme| Url::parse(&format!("{scheme}://{host}")).ok());
    origin.is_some_and(|origin| own.into_iter().any(|own| own.origin() == origin.origin()))
}

/// Whether the client came over TLS, as the trusted proxy in front says.
pub fn is_tls(config: &Config, headers: &HeaderMap) -> bool {
    schemes(config, headers) == ["https"]
}

/// How the client came to whatever it named as the host: as the trusted proxy in front says. Where
/// none says anything, there may be one with TLS.
fn schemes<'a>(config: &Config, headers: &'a HeaderMap) -> Vec<&'a str> {
    let forwarded = headers.get(FORWARDED_PROTO).filter(|_| config.trust_forwarded);
    match forwarded.and_then(|scheme| scheme.to_str().ok()) {
        Some(scheme) => vec![scheme],
        None => vec!["http", "https"],
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn allows(settings: &[&str], headers: &[(&'static str, &'static str)]) -> bool {
        let config = Config::parse_from([&["test"], settings].concat());
        let headers = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), value.parse().expect("a header value"))
        });
        is_allowed(&config, &headers.collect())
    }

    /// Fault S23: `https://chat.example` beside the host `chat.example:443` was foreign.
    #[test]
    fn s23_the_same_origin_may_be_written_in_several_ways() {
        for (origin, host) in [
            ("https://chat.example", "chat.example"),
            ("https://chat.example", "chat.example:443"),
            ("https://chat.example:443", "chat.example"),
            ("http://chat.example", "chat.example:80"),
            ("http://chat.example:8080", "chat.example:8080"),
            ("https://Chat.Example", "chat.example"),
            ("https://chat.example", "CHAT.EXAMPLE:443"),
            ("http://[2001:db8::1]:8080", "[2001:DB8:0::1]:8080"),
            ("https://[2001:db8::1]", "[2001:db8::1]:443"),
        ] {
            assert!(allows(&[], &[("origin", origin), ("host", host)]), "{origin} at {host}");
        }
    }

    #[test]
    fn s23_another_origin_is_another() {
        for (origin, host) in [
            ("https://evil.example", "chat.example"),
            ("http://chat.example", "chat.example:443"),
            ("https://chat.example:8443", "chat.example"),
            ("https://chat.example.evil.example", "chat.example"),
            ("https://evil.example", "chat.example@evil.example:1"),
            ("null", "chat.example"),
            ("file://", "chat.example"),
            ("", "chat.example"),
            ("chat.example", "chat.example"),
            ("null", "null"),
        ] {
            assert!(!allows(&[], &[("origin", origin), ("host", host)]), "{origin} at {host}");
        }
        assert!(allows(&[], &[("host", "chat.example")]), "no browser");
    }

    #[test]
    fn s23_a_trusted_proxy_says_which_scheme() {
        let request = [
            ("origin", "http://chat.example"),
            ("host", "chat.example"),
            ("x-forwarded-proto", "https"),
        ];
        assert!(!allows(&["--trust-forwarded"], &request));
        assert!(allows(&[], &request), "who is not trusted says nothing");
        let request =
            [("origin", "https://chat.example"), ("host", "chat.example:443"), request[2]];
        assert!(allows(&["--trust-forwarded"], &request));
    }

    #[test]
    fn s23_a_listed_origin_may_be_written_in_several_ways() {
        for list in ["--allowed-origins", "--cors-origins"] {
            let listed = [list, "https://Other.example:443/,http://[::1]:80"];
            for origin in ["https://other.example", "http://[::1]"] {
                let request = [("origin", origin), ("host", "chat.example")];
                assert!(allows(&listed, &request), "{origin}");
            }
        }
    }
}
