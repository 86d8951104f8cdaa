//! A file that the binary has in it, as answers carry it: compressed once, and not at all to whoever has it already.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    sync::{Mutex, OnceLock, PoisonError},
};

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// Effort of brotli: a few ms for the whole page, once, and within 3 % of the best.
const BROTLI_QUALITY: u32 = 9;
/// 4 MiB, more than any file here.
const BROTLI_WINDOW: u32 = 22;
/// Smaller than this a file is not compressed.
const WORTH_IT: usize = 512;

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }
}

/// Answers with a file. It is asked for anew each time (`no-cache`), since two releases may serve it during a roll, and then
/// most answers are 304.
pub fn answer(asked: &HeaderMap, kind: &'static str, data: &[u8]) -> Response {
    let digest =
        Sha256::digest(data).iter().take(8).map(|b| format!("{b:02x}")).collect::<String>();
    let coding = if data.len() < WORTH_IT { Coding::Identity } else { accepted(asked) };
    // Two codings of a file are different bytes, and have different strong tags.
    let tag = match coding.name() {
        Some(name) => format!("\"{digest}-{name}\""),
        None => format!("\"{digest}\""),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if has(asked, &digest) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(name) = coding.name() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    (headers, coded(digest, coding, data)).into_response()
}

/// Whether whoever asks has this file, in whatever coding: their `If-None-Match` names it. A proxy that compresses makes a
/// tag weak.
fn has(asked: &HeaderMap, digest: &str) -> bool {
    let tags = asked.get_all(header::IF_NONE_MATCH).into_iter();
    let mut tags = tags.filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
    tags.any(|tag| {
        let tag = tag.trim();
        let bare = tag.trim_start_matches("W/").trim_matches('"');
        tag == "*" || bare.split('-').next() == Some(digest)
    })
}

/// The best coding that is accepted.
fn accepted(asked: &HeaderMap) -> Coding {
    let listed = asked.get_all(header::ACCEPT_ENCODING).into_iter();
    let listed: Vec<_> =
        listed.filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(',')).collect();
    let accepts = |name: &str| {
        listed.iter().any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let is_named = parts.next().is_some_and(|it| it.eq_ignore_ascii_case(name));
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            is_named && weight != Some(0.0)
        })
    };
    match (accepts("br"), accepts("gzip")) {
        (true, _) => Coding::Brotli,
        (_, true) => Coding::Gzip,
        _ => Coding::Identity,
    }
}

/// The file so written; compressed at the first time. There are as many as the binary has files.
fn coded(digest: String, coding: Coding, data: &[u8]) -> Bytes {
    static DONE: OnceLock<Mutex<HashMap<(String, Coding), Bytes>>> = OnceLock::new();
    let mut done = DONE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    done.entry((digest, coding)).or_insert_with(|| compressed(coding, data)).clone()
}

fn compressed(coding: Coding, data: &[u8]) -> Bytes {
    let done = match coding {
        Coding::Brotli => brotli(data),
        Coding::Gzip => gzip(data),
        Coding::Identity => Ok(data.to_vec()),
    };
    // What is written to memory does not fail.
    done.unwrap_or_default().into()
}

fn brotli(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut done = Vec::new();
    brotli::CompressorReader::new(data, 4096, BROTLI_QUALITY, BROTLI_WINDOW)
        .read_to_end(&mut done)?;
    Ok(done)
}

fn gzip(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(header::HeaderName, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn the_best_coding_that_is_accepted() {
        for (accepts, coding) in [
            ("gzip, deflate, br, zstd", Coding::Brotli),
            ("br;q=0, gzip;q=0.5", Coding::Gzip),
            ("GZIP", Coding::Gzip),
            ("identity", Coding::Identity),
            ("", Coding::Identity),
        ] {
            assert_eq!(
                accepted(&asked(&[(header::ACCEPT_ENCODING, accepts)])),
                coding,
                "{accepts}"
            );
        }
    }

    #[test]
    fn each_coding_has_a_tag_of_its_own_and_all_are_known_again() {
        let data = "hello ".repeat(1000);
        let mut tags = Vec::new();
        for accepts in ["br", "gzip", "identity"] {
            let headers = asked(&[(header::ACCEPT_ENCODING, accepts)]);
            let response = answer(&headers, "text/plain", data.as_bytes());
            tags.push(response.headers()[header::ETAG].to_str().expect("text").to_owned());
        }
        assert!(tags[0] != tags[1] && tags[1] != tags[2], "{tags:?}");
        tags.push(format!("W/{}", tags[0]));
        tags.push("*".to_owned());
        for tag in tags {
            let headers = asked(&[(header::IF_NONE_MATCH, &format!("\"other\", {tag}"))]);
            let response = answer(&headers, "text/plain", data.as_bytes());
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{tag}");
        }
    }

    #[test]
    fn what_is_compressed_is_the_same() {
        let data = "hello ".repeat(1000).into_bytes();
        let mut back = Vec::new();
        let small = compressed(Coding::Brotli, &data);
        brotli::Decompressor::new(&small[..], 4096).read_to_end(&mut back).expect("brotli");
        assert_eq!((back.len(), &back), (data.len(), &data));
        back.clear();
        let small = compressed(Coding::Gzip, &data);
        flate2::read::GzDecoder::new(&small[..]).read_to_end(&mut back).expect("gzip");
        assert!(back == data && small.len() < 100);
    }
}
