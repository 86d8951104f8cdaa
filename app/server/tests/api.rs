//! The HTTP API as a good one answers: faults H.

mod support;

use std::io::Read;

use rollcall_protocol::{Message, ServerFrame};
use serde::Deserialize;
use serde_json::{Value, json};
use support::{
    Replica, Socket,
    ask::{Answer, ask, get, post},
    key,
};

const MESSAGES: &str = "/api/v1/rooms/vault/messages";
const EVENTS: &str = "/api/v1/rooms/vault/events";

fn said(n: u64, text: &str) -> Value {
    json!({ "client": "0".repeat(32), "name": "Teal", "n": n, "text": text })
}

/// A request without a body.
async fn of(replica: &Replica, line: &str, headers: &[&str]) -> Answer {
    ask(replica.public, &[&[line, "host: x"], headers].concat(), b"").await
}

/// What is true of each refusal.
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(!body["error"]["detail"].as_str().expect("a detail").is_empty());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let id = answer.header("x-request-id").expect("a request ID");
    assert_eq!(body["error"]["request_id"], id);
}

/// Fault H: 404 and 405 had empty bodies, and 405 no word of what can be done.
#[tokio::test]
async fn h_what_is_not_there_says_so_in_json() {
    let replica = Replica::start(None, &[]).await;
    for path in ["/nothing", "/api/v1/nothing", "/web/nothing.js", "/drain", "/metrics"] {
        assert_refused(&get(replica.public, path).await, 404, "not_found");
    }
    for (line, allow) in [
        (format!("DELETE {MESSAGES}"), "GET,HEAD,POST,OPTIONS"),
        (format!("POST {EVENTS}"), "GET,HEAD,OPTIONS"),
        ("POST /api/v1/version".to_owned(), "GET,HEAD,OPTIONS"),
    ] {
        let answer = of(&replica, &line, &[]).await;
        assert_refused(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{line}");
    }
    let answer = get(replica.admin, "/nothing").await;
    assert_refused(&answer, 404, "not_found");
}

/// Fault H: OPTIONS was 405.
#[tokio::test]
async fn h_head_and_options_are_everywhere() {
    let replica = Replica::start(None, &[]).await;
    for path in ["/", "/web/icon.svg", MESSAGES, "/api/v1/", "/api/v1/version", "/api/v1/docs"] {
        let answer = of(&replica, &format!("HEAD {path}"), &[]).await;
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
        let answer = of(&replica, &format!("OPTIONS {path}"), &[]).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        let allow = answer.header("allow").expect("Allow");
        assert!(allow.starts_with("GET,HEAD") && allow.ends_with(",OPTIONS"), "{path}: {allow}");
    }
    assert_refused(&of(&replica, "OPTIONS /nothing", &[]).await, 404, "not_found");
}

/// Fault H: a header or an address of 20 kB was no 431 or 414, and `%zz` a room.
#[tokio::test]
async fn h_what_is_too_long_or_no_address_is_refused_by_its_name() {
    let replica = Replica::start(None, &[]).await;
    let long = "x".repeat(20_000);
    let answer = of(&replica, &format!("GET /api/v1/{long}"), &[]).await;
    assert_refused(&answer, 414, "uri_too_long");
    let answer = of(&replica, "GET /api/v1/", &[&format!("x-long: {long}")]).await;
    assert_refused(&answer, 431, "headers_too_large");
    let answer = of(&replica, "GET /api/v1/", &[&format!("x-long: {}", "x".repeat(100_000))]).await;
    assert_eq!(answer.status, 431, "by hyper, without a body");
    assert_refused(&post(replica.public, MESSAGES, &said(1, &long)).await, 413, "too_large");
    for path in ["/api/v1/rooms/%zz/messages", "/api/v1/rooms/%zz/events", "/%"] {
        assert_refused(&get(replica.public, path).await, 400, "bad_path");
    }
    let answer = ask(replica.public, &["GET /api/v1/"], b"").await;
    assert_refused(&answer, 400, "bad_request");
}

/// Fault H: a compressed body was 400, and a 422 named a Rust struct.
#[tokio::test]
async fn h_a_body_that_is_not_what_it_should_be_is_refused_by_its_name() {
    let replica = Replica::start(None, &[]).await;
    let body = said(1, "one").to_string();
    let line = format!("POST {MESSAGES}");
    for headers in [
        &["content-type: text/plain"][..],
        &[],
        &["content-type: application/json", "content-encoding: gzip"],
    ] {
        let head = [&[&*line, "host: x"], headers].concat();
        let answer = ask(replica.public, &head, body.as_bytes()).await;
        assert_refused(&answer, 415, "unsupported_media_type");
    }
    let head = [&*line, "host: x", "content-type: application/json; charset=utf-8"];
    for (body, status) in [("{", 400), ("\"\\ud800\"", 400), ("[]", 422), ("{\"n\":\"x\"}", 422)] {
        assert_refused(&ask(replica.public, &head, body.as_bytes()).await, status, "bad_body");
    }
    assert_eq!(ask(replica.public, &head, body.as_bytes()).await.status, 200);
}

/// Fault H: `limit` was silently clamped, `after` silently ignored.
#[tokio::test]
async fn h_nothing_in_a_query_is_ignored() {
    let replica = Replica::start(None, &[]).await;
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=abc",
        "limit=",
        "limit=1&limit=2",
        "befor=1-0",
        "before=latest",
        "before=1-0&after=1-0",
        "around=1-0&after=1-0",
        "around=1-0&before=1-0",
        "wait=1",
        "wait=1&before=1-0",
        "after=0-0&wait=31",
        "after=0-0&wait=x",
    ] {
        let answer = get(replica.public, &format!("{MESSAGES}?{query}")).await;
        assert_refused(&answer, 400, "bad_query");
    }
    assert_refused(&get(replica.public, &format!("{EVENTS}?x=1")).await, 400, "bad_query");
    for query in ["limit=1", "limit=200", "before=1-0", "around=1-0", "after=0-0&wait=0"] {
        let answer = get(replica.public, &format!("{MESSAGES}?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
    }
}

/// The first lines of an event stream.
async fn stream(replica: &Replica, headers: &[&str]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut tcp = tokio::net::TcpStream::connect(replica.public).await.expect("it listens");
    let head = format!("GET {EVENTS} HTTP/1.1\r\nhost: x\r\n{}\r\n\r\n", headers.join("\r\n"));
    tcp.write_all(head.as_bytes()).await.expect("it reads");
    let (mut text, mut bytes) = (String::new(), [0; 4096]);
    while !text.contains("retry: ") && !text.contains("\"error\"") {
        let length = tcp.read(&mut bytes).await.expect("it writes");
        assert!(length > 0, "{text}");
        text += &String::from_utf8_lossy(&bytes[..length]);
    }
    text
}

/// Fault H: an empty `Last-Event-ID`, or one 503, ended an `EventSource` for good.
#[tokio::test]
async fn h_an_event_source_is_never_refused_for_good_where_trying_again_helps() {
    let settings = ["--connections-per-address", "1", "--trust-forwarded"];
    let replica = Replica::start(None, &settings).await;
    let source = "accept: text/event-stream";
    let begun = stream(&replica, &[source, "last-event-id: "]).await;
    assert!(begun.starts_with("HTTP/1.1 200"), "{begun}");
    let refused = stream(&replica, &[source, "last-event-id: x"]).await;
    assert!(refused.starts_with("HTTP/1.1 400"), "no other try would help: {refused}");

    let (_held, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let told = stream(&replica, &[source]).await;
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("retry: "), "{told}");
    let refused = stream(&replica, &["accept: */*"]).await;
    assert!(refused.starts_with("HTTP/1.1 429"), "a program is told: {refused}");

    replica.drain(0, 60_000).await;
    let told = stream(&replica, &[source]).await;
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("retry: "), "{told}");
    let refused = stream(&replica, &[source, "x-forwarded-for: 192.0.2.1"]).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "a proxy asks another replica: {refused}");
}

/// Fault H: 403 and 426 were plain text.
#[tokio::test]
async fn h_a_handshake_that_is_refused_says_why_in_json() {
    let replica = Replica::start(None, &[]).await;
    let answer = get(replica.public, "/api/v1/ws").await;
    assert_refused(&answer, 426, "upgrade_required");
    assert_eq!(answer.header("upgrade"), Some("websocket"));
    let upgrade = [
        "origin: https://evil.example",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let mut head = vec!["GET /api/v1/ws", "host: x", "connection: upgrade"];
    head.extend(upgrade);
    let answer = ask(replica.public, &head, b"").await;
    assert_refused(&answer, 403, "foreign_origin");
}

/// Fault H: nobody was told of rates, nor when to come back.
#[tokio::test]
async fn h_rates_are_told_before_they_are_reached_and_after() {
    let replica = Replica::start(None, &["--rate-reads", "1", "--rate-posts", "1"]).await;
    let first = get(replica.public, MESSAGES).await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"reads\";q=4;w=4"));
    assert_eq!(first.header("ratelimit"), Some("\"reads\";r=3;t=1"));
    let mut last = first;
    while last.status == 200 {
        last = get(replica.public, MESSAGES).await;
    }
    assert_refused(&last, 429, "rate_limited");
    assert!(last.header("retry-after").is_some() && last.json()["error"]["retry_ms"].is_u64());
    assert!(last.header("ratelimit").expect("what is left").starts_with("\"reads\";r=0;"));
    for n in 1.. {
        let answer = post(replica.public, MESSAGES, &said(n, "x")).await;
        assert!(answer.header("ratelimit").expect("what is left").starts_with("\"posts\";r="));
        if answer.status == 429 {
            assert_refused(&answer, 429, "rate_limited");
            assert!(answer.header("retry-after").is_some());
            break;
        }
    }
    replica.drain(0, 60_000).await;
    let answer = get(replica.public, EVENTS).await;
    assert_refused(&answer, 503, "unavailable");
    assert!(answer.header("retry-after").is_some());
}

/// Fault H: no CORS header existed.
#[tokio::test]
async fn h_a_listed_origin_may_ask_and_no_other() {
    let replica = Replica::start(None, &["--cors-origins", "https://app.example"]).await;
    let preflight = ["access-control-request-method: POST", "origin: https://app.example"];
    let answer = of(&replica, &format!("OPTIONS {MESSAGES}"), &preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.header("access-control-allow-methods").expect("methods").contains("PATCH"));
    assert!(answer.header("access-control-allow-headers").expect("them").contains("authorization"));
    let answer = of(&replica, &format!("OPTIONS {MESSAGES}"), &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (204, Some("GET,HEAD,POST,OPTIONS")));
    for (origin, may) in [("https://app.example", true), ("https://evil.example", false)] {
        let answer =
            of(&replica, &format!("GET {MESSAGES}"), &[&format!("origin: {origin}")]).await;
        assert_eq!(answer.header("access-control-allow-origin"), may.then_some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert!(answer.header("vary").is_some_and(|vary| vary.contains("origin")));
        assert_eq!(Socket::try_open(replica.public, Some(origin)).await.is_ok(), may);
    }
    let closed = Replica::start(None, &[]).await;
    let answer = of(&closed, &format!("GET {MESSAGES}"), &["origin: https://app.example"]).await;
    assert_eq!(answer.header("access-control-allow-origin"), None, "nobody is listed");
}

/// Fault H, P11: ETags never gave 304, and nothing was compressed.
#[tokio::test]
async fn h_the_page_is_compressed_and_not_sent_again() {
    let replica = Replica::start(None, &[]).await;
    for path in ["/", "/api/v1/docs", "/api/v1/docs/openapi.json"] {
        let plain = get(replica.public, path).await;
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None), "{path}");
        assert_eq!(plain.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(plain.header("vary"), Some("accept-encoding"), "{path}");
        for coding in ["br", "gzip"] {
            let accepts = format!("accept-encoding: {coding}");
            let small = of(&replica, &format!("GET {path}"), &[&accepts]).await;
            assert_eq!(small.header("content-encoding"), Some(coding), "{path}");
            assert!(small.body.len() < plain.body.len() * 3 / 4, "{path}");
            let mut back = Vec::new();
            match coding {
                "br" => brotli::Decompressor::new(&small.body[..], 4096).read_to_end(&mut back),
                _ => flate2::read::GzDecoder::new(&small.body[..]).read_to_end(&mut back),
            }
            .expect("what it says it is");
            assert_eq!(back, plain.body, "{path}");
            let tag = format!("if-none-match: {}", small.header("etag").expect("a tag"));
            let again = of(&replica, &format!("GET {path}"), &[&accepts, &tag]).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
            assert_eq!(again.header("etag"), small.header("etag"));
        }
    }
    let page = get(replica.public, "/").await;
    for (header, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        assert_eq!(page.header(header), Some(value));
    }
    assert!(page.header("content-security-policy").expect("one").starts_with("default-src 'none'"));
}

#[tokio::test]
async fn it_says_what_it_is() {
    let replica = Replica::start(None, &["--release", "9.9", "--replica", "r7"]).await;
    for address in [replica.public, replica.admin] {
        let about = get(address, "/api/v1/").await.json();
        assert_eq!(about["data"]["name"], "Rollcall");
        assert_eq!(
            (&about["data"]["release"], &about["data"]["protocol"]),
            (&json!("9.9"), &json!(1))
        );
    }
    let about = get(replica.public, "/api/v1").await.json();
    for (name, path) in about["data"]["links"].as_object().expect("links") {
        let answer = get(replica.public, path.as_str().expect("a path")).await;
        let expected = if name == "websocket" { 426 } else { 200 };
        assert_eq!(answer.status, expected, "{name}: {path}");
    }
    let version = get(replica.public, "/api/v1/version").await.json();
    assert_eq!(
        (&version["data"]["replica"], &version["data"]["release"]),
        (&json!("r7"), &json!("9.9"))
    );
}

/// As the clients of release 1.0.0 read it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OldHistory {
    messages: Vec<Message>,
    head: String,
    #[serde(rename = "data")]
    _data: Value,
}

/// During a roll the clients of the release before are here, too.
#[tokio::test]
async fn what_the_release_before_told_is_still_told() {
    let replica = Replica::start(None, &[]).await;
    let answer = post(replica.public, MESSAGES, &said(1, "one")).await.json();
    let frame: ServerFrame = serde_json::from_value(answer.clone()).expect("an ack");
    assert!(matches!(frame, ServerFrame::Ack { n: 1, duplicate: false, .. }), "{answer}");
    assert_eq!(answer["data"]["id"], answer["id"]);
    let answer = get(replica.public, MESSAGES).await.json();
    let old: OldHistory = serde_json::from_value(answer.clone()).expect("a history");
    assert_eq!((old.messages.len(), &*old.messages[0].text), (1, "one"));
    assert_eq!(
        (&answer["data"]["messages"], &answer["data"]["head"]),
        (&answer["messages"], &json!(old.head))
    );
    for (n, text, kind, code) in [
        (5, "x", "reject", "out_of_order"),
        (1, "y", "reject", "number_taken"),
        (2, "", "reject", "bad_text"),
        (0, "x", "error", "bad_frame"),
    ] {
        let answer = post(replica.public, MESSAGES, &said(n, text)).await.json();
        let frame: ServerFrame = serde_json::from_value(answer.clone()).expect("a frame");
        let is_kind = match frame {
            ServerFrame::Reject { .. } => kind == "reject",
            ServerFrame::Error { .. } => kind == "error",
            _ => false,
        };
        assert!(is_kind && answer["code"] == code && answer["error"]["code"] == code, "{answer}");
        assert_eq!(answer["error"]["expected"], answer["expected"]);
    }
}

/// What is served is described, and what is described is served.
#[tokio::test]
async fn the_description_is_whole() {
    let replica = Replica::start(None, &[]).await;
    let description = get(replica.public, "/api/v1/docs/openapi.json").await.json();
    let paths = description["paths"].as_object().expect("paths");
    for path in [MESSAGES, EVENTS, "/api/v1/", "/api/v1/version"] {
        assert!(paths.contains_key(&path.replace("vault", "{room}")), "{path} is not described");
    }
    for (path, item) in paths {
        let methods = item.as_object().expect("methods");
        let real = path.replace("{room}", "vault");
        let answer = of(&replica, &format!("OPTIONS {real}"), &[]).await;
        let allow = answer.header("allow").unwrap_or_else(|| panic!("{path} is not served"));
        for (method, operation) in methods {
            assert!(allow.contains(&method.to_uppercase()), "{method} {path}: {allow}");
            let told = operation["responses"].as_object().expect("responses");
            assert!(told.contains_key("default"), "{method} {path} may be refused");
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
    let page = String::from_utf8(get(replica.public, "/api/v1/docs").await.body).expect("UTF-8");
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing from elsewhere");
    let socket = get(replica.public, "/api/v1/docs/asyncapi.json").await.json();
    assert_eq!(socket["asyncapi"], "3.0.0");
}

#[tokio::test]
async fn an_answer_can_be_named() {
    let replica = Replica::start(None, &[]).await;
    let mine = ["x-request-id: mine"];
    let (a, b) = (of(&replica, "GET /", &mine).await, of(&replica, "GET /", &mine).await);
    let (a, b) = (a.header("x-request-id"), b.header("x-request-id"));
    assert!(a != b && a != Some("mine") && a.is_some_and(|id| id.len() == 16), "{a:?} {b:?}");
    assert_eq!(get(replica.public, "/api/v1/nothing").await.code(), "not_found");
}
