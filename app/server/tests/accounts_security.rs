//! What somebody who means harm tries with accounts.

mod support;

use std::{
    net::SocketAddr,
    process::Stdio,
    time::{Duration, Instant},
};

use rollcall_protocol::{ErrorCode, ServerFrame};
use serde_json::json;
use support::{
    PATIENCE, Redis, Replica, Socket,
    accounts::{
        KEY, PASSWORD, QUICK, another_token_of, arrive, ask, bearer, enter, introduce, register,
        shown_as, sign_in, token_of,
    },
    http, key,
};
use tokio::{io::AsyncReadExt, task::JoinError};
use tokio_util::sync::CancellationToken;

/// A socket whose handshake has headers of its own.
async fn socket_with(address: SocketAddr, headers: &[(&str, &str)]) -> Socket {
    Socket::try_open_with(address, headers).await.expect("an upgrade")
}

async fn refused_for(address: SocketAddr, token: &str) -> (Option<ErrorCode>, Option<u16>) {
    let (mut socket, first) = arrive(address, &key(), "x", Some(token), &[]).await;
    let code = match first {
        ServerFrame::Error { code, .. } => Some(code),
        _ => None,
    };
    (code, socket.closed().await)
}

#[tokio::test]
async fn a_token_that_expired_was_given_up_or_changed_is_worth_nothing() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let expired = token_of(replica.public, "Ada").await;
    let keys = redis.command(&["KEYS", "{chat}:session:*"]).await;
    let session = keys.lines().find(|line| line.starts_with("{chat}")).expect("a session");
    redis.command(&["PEXPIRE", session, "1"]).await;
    let given_up = token_of(replica.public, "Grace").await;
    let auth = bearer(&given_up);
    let path = "/api/v1/sessions/current";
    ask(replica.public, "DELETE", path, &[("authorization", &auth)], None).await;
    let mut changed = token_of(replica.public, "Edsger").await;
    let other = if changed.starts_with('A') { "B" } else { "A" };
    changed.replace_range(0..1, other);
    let hash = session.rsplit(':').next().expect("the hash");
    let long = "x".repeat(400);
    for token in [&*expired, &given_up, &changed, hash, "", &long, "' OR 1=1 --"] {
        let expected = (Some(ErrorCode::BadToken), Some(4401));
        assert_eq!(refused_for(replica.public, token).await, expected, "{token}");
    }
}

/// A poll of a private room told what was said there for as long as it waited, to somebody signed out or banned meanwhile.
#[tokio::test]
async fn a_poll_that_waits_ends_with_its_session_and_with_a_ban() {
    let replica = Replica::start(None, &QUICK).await;
    let address = replica.public;
    for (name, end, status) in [("Ada", "session", 401), ("Bob", "ban", 403)] {
        let account = register(address, name).await;
        let member = account.body["data"]["member"].as_str().expect("an ID").to_owned();
        let token = format!("Bearer {}", another_token_of(address, name).await);
        let asked = token.clone();
        let polled = tokio::spawn(async move {
            let headers = [("authorization", &*asked)];
            let path = "/api/v1/rooms/den/messages?after=0-0&wait=25";
            ask(address, "GET", path, &headers, None).await
        });
        let metric = "rollcall_connections{transport=\"longpoll\"}";
        while replica.metric(metric).await != 1.0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let answer = match end {
            "ban" => {
                let path = format!("/api/v1/bans/{member}");
                ask(address, "PUT", &path, &[("x-api-key", KEY)], Some(&json!({}))).await
            }
            _ => {
                let headers = [("authorization", &*token)];
                ask(address, "DELETE", "/api/v1/sessions/current", &headers, None).await
            }
        };
        assert_eq!(answer.status, 204, "{answer:?}");
        let ended = tokio::time::timeout(Duration::from_secs(5), polled).await;
        assert_eq!(ended.expect("soon").expect("an answer").status, status, "{end}");
    }
}

#[tokio::test]
async fn a_session_is_never_one_that_was_there_before() {
    let replica = Replica::start(None, &QUICK).await;
    register(replica.public, "Ada").await;
    let planted = "planted-by-somebody-else-0123456789abcdefgh";
    let origin = format!("http://{}", replica.public);
    let cookie = format!("rollcall={planted}");
    let headers = [("origin", &*origin), ("cookie", &*cookie)];
    let body = json!({ "name": "Ada", "password": PASSWORD });
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let opened = ask(replica.public, "POST", "/api/v1/sessions", &headers, Some(&body)).await;
        assert_eq!(opened.status, 201);
        let set = opened.headers["set-cookie"].clone();
        for word in ["rollcall=", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(set.contains(word), "{set}");
        }
        assert!(!set.contains(planted));
        tokens.push(opened.body["data"]["token"].clone());
    }
    assert_ne!(tokens[0], tokens[1]);
    assert_eq!(refused_for(replica.public, planted).await.0, Some(ErrorCode::BadToken));
}

#[tokio::test]
async fn behind_tls_the_cookie_is_the_hosts_own_and_secure() {
    let settings = [&QUICK[..], &["--trust-forwarded"]].concat();
    let replica = Replica::start(None, &settings).await;
    register(replica.public, "Ada").await;
    let body = json!({ "name": "Ada", "password": PASSWORD });
    let tls = [("x-forwarded-proto", "https")];
    let opened = ask(replica.public, "POST", "/api/v1/sessions", &tls, Some(&body)).await;
    let set = opened.headers["set-cookie"].clone();
    assert!(set.starts_with("__Host-rollcall=") && set.ends_with("; Secure"), "{set}");
    let origin = format!("https://{}", replica.public);
    let cookie = opened.cookie().expect("a cookie").to_owned();
    let plain = cookie.replace("__Host-", "");
    for (cookie, status) in [(&cookie, 200), (&plain, 401)] {
        let headers = [tls[0], ("origin", &*origin), ("cookie", cookie)];
        let current = ask(replica.public, "GET", "/api/v1/sessions/current", &headers, None).await;
        assert_eq!(current.status, status, "{cookie}");
    }
}

#[tokio::test]
async fn a_name_is_not_taken_over_by_one_that_looks_like_it() {
    let replica = Replica::start(None, &QUICK).await;
    assert_eq!(register(replica.public, "Ada").await.status, 201);
    let alike =
        ["ada", "\u{410}da", "Ad\u{430}", "\u{ff21}\u{ff44}\u{ff41}", "A\u{200d}da", "\u{1d400}da"];
    for name in alike {
        let made = register(replica.public, name).await;
        assert_eq!((made.status, made.code()), (409, "name_taken"), "{name:?}");
        assert!(shown_as(replica.public, name).await.ends_with(" (guest)"), "{name:?}");
    }
    for name in ["Grace (guest)", "grace (GUE\u{405}T)", "Operator", "0perator"] {
        let made = register(replica.public, name).await;
        assert_eq!((made.status, made.code()), (400, "bad_name"), "{name:?}");
    }
    // Zero width characters, and those that turn text around, are in no name at all.
    for name in ["A\u{200b}da", "\u{202e}adA"] {
        assert_eq!(register(replica.public, name).await.code(), "bad_name", "{name:?}");
    }
    let bot = json!({ "name": "\u{410}da" });
    let made = ask(replica.public, "POST", "/api/v1/bots", &[("x-api-key", KEY)], Some(&bot)).await;
    assert_eq!(made.status, 409, "nor by an operator's mistake");
}

#[tokio::test]
async fn of_many_who_want_a_name_at_once_one_gets_it() {
    let redis = Redis::start().await;
    let one = Replica::start(Some(&redis), &QUICK).await;
    let other = Replica::start(Some(&redis), &QUICK).await;
    let wanted = ["Ada", "ADA", "\u{410}da", "Ad\u{430}"]
        .into_iter()
        .zip([&one, &other].into_iter().cycle());
    let made = wanted.map(|(name, replica)| register(replica.public, name));
    let made = futures_util::future::join_all(made).await;
    let mut statuses: Vec<_> = made.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_it_takes_says_nothing_of_whether_there_is_an_account() {
    let settings = [&QUICK[..], &["--rate-client", "1000"]].concat();
    let replica = Replica::start(None, &settings).await;
    register(replica.public, "Ada").await;
    let time = async |name: &str| {
        let began = Instant::now();
        assert_eq!(sign_in(replica.public, name, "not that one").await.status, 401);
        began.elapsed().as_secs_f64()
    };
    // One beside the other, so that whatever else goes on is in both. Fewer than the wrong ones that an account may have at
    // once.
    let mut ratios = Vec::new();
    for round in 0..15 {
        ratios.push(time("Ada").await / time(&format!("N{round}")).await);
    }
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ratios.len() / 2];
    assert!((0.6..1.6).contains(&ratio), "known to unknown: {ratio:.2}");
}

/// 10,000 a minute from one address.
async fn flood_of_sign_ins(
    public: SocketAddr,
    stop: CancellationToken,
) -> Vec<Result<u16, JoinError>> {
    let mut ticks = tokio::time::interval(Duration::from_millis(6));
    let mut asked = Vec::new();
    while !stop.is_cancelled() {
        ticks.tick().await;
        let round = asked.len();
        asked.push(tokio::spawn(async move {
            let body = json!({ "name": format!("N{round}"), "password": "guessed it" });
            let headers = [("x-forwarded-for", "198.51.100.7")];
            ask(public, "POST", "/api/v1/sessions", &headers, Some(&body)).await.status
        }));
    }
    futures_util::future::join_all(asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sign_ins_from_one_address_is_refused_and_others_are_served() {
    let settings = ["--trust-forwarded"];
    let replica = Replica::start(None, &settings).await;
    let from = |address: &str| ("x-forwarded-for", address.to_owned());
    let mine = from("192.0.2.1");
    let body = json!({ "name": "Ada", "password": PASSWORD });
    let headers = [(mine.0, &*mine.1)];
    let made = ask(replica.public, "POST", "/api/v1/accounts", &headers, Some(&body)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let public = replica.public;
    let stop = CancellationToken::new();
    let flood = tokio::spawn(flood_of_sign_ins(public, stop.clone()));
    for _ in 0..5 {
        let opened = ask(public, "POST", "/api/v1/sessions", &headers, Some(&body)).await;
        assert_eq!(opened.status, 201, "{opened:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    stop.cancel();
    let told: Vec<u16> = flood.await.expect("the flood ends").into_iter().flatten().collect();
    let count = |status| told.iter().filter(|told| **told == status).count();
    assert!(told.len() > 100 && count(429) > told.len() / 2, "{} of {}", count(429), told.len());
    assert_eq!(count(429) + count(401) + count(503), told.len());
}

#[tokio::test]
async fn guesses_at_one_account_are_slowed_wherever_they_come_from() {
    let settings = [&QUICK[..], &["--trust-forwarded"]].concat();
    let replica = Replica::start(None, &settings).await;
    register(replica.public, "Ada").await;
    let mut told = Vec::new();
    for guess in 0..24 {
        let address = format!("198.51.100.{guess}");
        let body = json!({ "name": "Ada", "password": format!("guess {guess}") });
        let headers = [("x-forwarded-for", &*address)];
        told.push(ask(replica.public, "POST", "/api/v1/sessions", &headers, Some(&body)).await);
    }
    let last = told.last().expect("an answer");
    assert_eq!((last.status, last.code()), (429, "rate_limited"));
    assert!(last.headers.contains_key("retry-after"));
    assert!(told.iter().filter(|answer| answer.status == 401).count() >= 20);

    // And operators see it.
    let bad = sign_in(replica.public, " ", "no name at all").await;
    assert_eq!(bad.status, 400);
    let count = |status| told.iter().filter(|answer| answer.status == status).count();
    token_of(replica.public, "Teal").await;
    let counted = |outcome| format!("rollcall_sign_ins_total{{outcome=\"{outcome}\"}}");
    let mut seen = Vec::new();
    for outcome in ["ok", "refused", "limited", "busy"] {
        seen.push(replica.metric(&counted(outcome)).await);
    }
    let expected = [1, count(401) + 1, count(429), 0];
    assert_eq!(seen, expected.map(|count| f64::from(u32::try_from(count).expect("few"))));
}

#[tokio::test]
async fn a_page_of_another_origin_gets_nothing_by_the_cookie() {
    let replica = Replica::start(None, &QUICK).await;
    register(replica.public, "Ada").await;
    let body = json!({ "name": "Ada", "password": PASSWORD });
    let foreign = ("origin", "https://evil.example");
    let planted = ask(replica.public, "POST", "/api/v1/sessions", &[foreign], Some(&body)).await;
    assert_eq!((planted.status, planted.code()), (403, "foreign_origin"));
    let opened = ask(replica.public, "POST", "/api/v1/sessions", &[], Some(&body)).await;
    let cookie = ("cookie", opened.cookie().expect("a cookie"));
    let own = format!("http://{}", replica.public);
    let own = ("origin", &*own);

    assert!(Socket::try_open_with(replica.public, &[foreign, cookie]).await.is_err());
    for (headers, name) in [(&[own, cookie][..], "Ada"), (&[cookie], "x")] {
        let mut socket = socket_with(replica.public, headers).await;
        let first = introduce(&mut socket, &key(), "x", None, &[]).await;
        let ServerFrame::Welcome { name: told, .. } = first else { panic!("{first:?}") };
        assert_eq!(told.as_deref(), Some(name), "{headers:?}");
    }
    let path = "/api/v1/sessions/current";
    let fetched = ("sec-fetch-site", "same-origin");
    let embedded = ("sec-fetch-site", "cross-site");
    for (headers, status) in [
        (&[own, cookie][..], 200),
        (&[fetched, cookie], 200),
        (&[foreign, cookie], 401),
        (&[foreign, fetched, cookie], 401),
        (&[embedded, cookie], 401),
        (&[cookie], 401),
    ] {
        assert_eq!(
            ask(replica.public, "GET", path, headers, None).await.status,
            status,
            "{headers:?}"
        );
    }
    let out = ask(replica.public, "DELETE", path, &[foreign, cookie], None).await;
    assert_eq!(ask(replica.public, "GET", path, &[own, cookie], None).await.status, 200, "{out:?}");
    let text = json!({ "client": key(), "name": "x", "n": 1, "text": "by post" });
    let rooms = "/api/v1/rooms/vault/messages";
    ask(replica.public, "POST", rooms, &[own, cookie], Some(&text)).await;
    let text = json!({ "client": key(), "name": "x", "n": 1, "text": "by post" });
    ask(replica.public, "POST", rooms, &[cookie], Some(&text)).await;
    let kept = ask(replica.public, "GET", rooms, &[], None).await;
    let kept = if kept.body["messages"].is_null() { &kept.body["data"] } else { &kept.body };
    assert_eq!(
        (&kept["messages"][0]["name"], &kept["messages"][1]["name"]),
        (&json!("Ada"), &json!("x"))
    );
}

/// What a token or a password may not be in: what the server writes while it is as talkative as it can be.
#[tokio::test(flavor = "multi_thread")]
async fn no_token_and_no_password_is_ever_in_the_log_or_a_metric() {
    let redis = Redis::start().await;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_rollcall-server"))
        .env_remove("REDIS_URL")
        .envs([("PORT", "19200"), ("ADMIN_PORT", "19201"), ("LOG_LEVEL", "trace")])
        .envs([("REDIS_URL", &*redis.url()), ("API_KEY", KEY), ("LOG_FORMAT", "json")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    let (mut out, mut err) =
        (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read = tokio::spawn(async move {
        let (mut log, mut errors) = (Vec::new(), Vec::new());
        let _ = tokio::join!(out.read_to_end(&mut log), err.read_to_end(&mut errors));
        [log, errors].concat()
    });
    let public: SocketAddr = "127.0.0.1:19200".parse().expect("an address");
    let ready = async {
        loop {
            let connected = tokio::net::TcpStream::connect(public).await.is_ok();
            if connected && http(public, "GET", "/readyz", None).await.0 == 200 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("the server is ready");
    let token = token_of(public, "Ada").await;
    enter(public, &key(), "x", Some(&token), "vault").await.0.close().await;
    let own = format!("http://{public}");
    let cookie = format!("rollcall={token}");
    socket_with(public, &[("origin", &own), ("cookie", &cookie)]).await.close().await;
    let (auth, path) = (bearer(&token), "/api/v1/sessions/current");
    ask(public, "GET", path, &[("authorization", &auth)], None).await;
    let bad = json!({ "password": PASSWORD, "name": 1 });
    ask(public, "POST", "/api/v1/sessions", &[], Some(&bad)).await;
    ask(public, "POST", "/api/v1/bots", &[("x-api-key", KEY)], Some(&json!({ "name": "Bo" })))
        .await;
    redis.pause(true);
    ask(public, "GET", path, &[("authorization", &auth)], None).await;
    redis.pause(false);
    let admin: SocketAddr = "127.0.0.1:19201".parse().expect("an address");
    let metrics = http(admin, "GET", "/metrics", None).await.1;
    child.kill().await.expect("our own process");
    let log = String::from_utf8_lossy(&read.await.expect("its words")).into_owned();
    assert!(log.len() > 1000, "it was talkative: {}", log.len());
    for secret in [&*token, PASSWORD, KEY] {
        if let Some(line) = log.lines().find(|line| line.contains(secret)) {
            panic!("a secret in the log: {line}");
        }
        assert!(!metrics.contains(secret));
    }
}
