//! A room by long-polling.

mod support;

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};
use support::{
    PATIENCE, Redis, Replica,
    ask::{Answer, get, post},
    key,
};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle, time::Instant};

const MESSAGES: &str = "/api/v1/rooms/vault/messages";

async fn say(address: SocketAddr, count: u64) {
    let key = key();
    for n in 1..=count {
        let said = json!({ "client": key, "name": "Teal", "n": n, "text": format!("{n}") });
        assert_eq!(post(address, MESSAGES, &said).await.status, 200);
    }
}

async fn poll(address: SocketAddr, query: &str) -> Value {
    let answer = get(address, &format!("{MESSAGES}?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["data"].take()
}

/// A poll that waits, once the server counts it.
async fn waiting(replica: &Replica, query: &str) -> JoinHandle<Answer> {
    let (address, path) = (replica.public, format!("{MESSAGES}?{query}"));
    let polled = tokio::spawn(async move { get(address, &path).await });
    until_polls(replica, 1.0).await;
    polled
}

async fn until_polls(replica: &Replica, count: f64) {
    let counted = async {
        while replica.metric("rollcall_connections{transport=\"longpoll\"}").await != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("as many polls");
}

fn texts(data: &Value) -> Vec<&str> {
    let messages = data["messages"].as_array().expect("messages");
    messages.iter().map(|message| message["text"].as_str().expect("a text")).collect()
}

#[tokio::test]
async fn what_is_there_comes_at_once_page_by_page() {
    let replica = Replica::start(None, &["--ring-frames", "3", "--page-entries", "2"]).await;
    let data = poll(replica.public, "after=0-0").await;
    assert_eq!(
        (texts(&data).len(), &data["live"], &data["cursor"]),
        (0, &json!(true), &json!("0-0"))
    );
    say(replica.public, 10).await;
    let (mut cursor, mut seen) = ("0-0".to_owned(), Vec::new());
    loop {
        let data = poll(replica.public, &format!("after={cursor}&limit=4&wait=30")).await;
        seen.extend(texts(&data).into_iter().map(str::to_owned));
        cursor = data["cursor"].as_str().expect("a cursor").to_owned();
        assert!(data.get("gap").is_none(), "{data}");
        if data["live"] == true {
            assert_eq!(data["head"], json!(cursor));
            break;
        }
        assert_eq!(texts(&data).len(), 4);
    }
    assert_eq!(seen, (1..=10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_not_there_is_waited_for() {
    let replica = Replica::start(None, &[]).await;
    let polled = waiting(&replica, "after=0-0&wait=30").await;
    say(replica.public, 1).await;
    let answer = polled.await.expect("no panic");
    assert_eq!(texts(&answer.json()["data"]), ["1"]);
    assert!(answer.header("ratelimit").expect("what is left").starts_with("\"connections\""));
    assert_eq!(answer.header("connection"), Some("close"), "the request asked for that");
    let cursor = answer.json()["data"]["cursor"].as_str().expect("a cursor").to_owned();
    let began = Instant::now();
    let data = poll(replica.public, &format!("after={cursor}&wait=1")).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(
        (texts(&data).len(), &data["live"], &data["cursor"]),
        (0, &json!(true), &json!(cursor))
    );
    until_polls(&replica, 0.0).await;
}

#[tokio::test]
async fn a_drain_ends_it_well() {
    let replica = Replica::start(None, &[]).await;
    let polled = waiting(&replica, "after=0-0&wait=30").await;
    replica.drain(0, 60_000).await;
    let answer = polled.await.expect("no panic");
    assert_eq!((answer.status, texts(&answer.json()["data"]).len()), (200, 0));
    let status = replica.wait_connections(0).await;
    assert_eq!((&status["moved"], &status["forced"]), (&json!(1), &json!(0)));
    let refused = get(replica.public, &format!("{MESSAGES}?after=0-0&wait=30")).await;
    assert_eq!((refused.status, &*refused.code()), (503, "unavailable"));
}

#[tokio::test]
async fn a_nudge_ends_it_well() {
    let replica = Replica::start(None, &[]).await;
    let polled = waiting(&replica, "after=0-0&wait=30").await;
    let nudge = json!({ "spread_ms": 0 });
    assert_eq!(post(replica.admin, "/nudge", &nudge).await.status, 200);
    assert_eq!(polled.await.expect("no panic").status, 200);
    let status = get(replica.admin, "/nudge").await.json();
    assert_eq!(
        (&status["told"], &status["moved"], &status["left"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(poll(replica.public, "after=0-0").await["live"], true, "the replica goes on");
}

#[tokio::test]
async fn a_listener_that_is_gone_holds_nothing() {
    let replica = Replica::start(None, &["--connections-per-address", "1"]).await;
    let mut stream = TcpStream::connect(replica.public).await.expect("it listens");
    let request = format!("GET {MESSAGES}?after=0-0&wait=30 HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    until_polls(&replica, 1.0).await;
    let refused = get(replica.public, &format!("{MESSAGES}?after=0-0")).await;
    assert_eq!(
        (refused.status, &*refused.code()),
        (429, "rate_limited"),
        "it counts as a connection"
    );
    drop(stream);
    replica.wait_connections(0).await;
    until_polls(&replica, 0.0).await;
    poll(replica.public, "after=0-0").await;
}

#[tokio::test]
async fn a_gap_is_told_before_the_messages() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &[]).await;
    say(replica.public, 5).await;
    let all = poll(replica.public, "after=0-0").await;
    let third = all["messages"][2]["id"].as_str().expect("an ID").to_owned();
    redis.command(&["XTRIM", &redis.log_key("vault").await, "MINID", "=", &third]).await;
    // Another replica, whose ring does not have what is gone.
    let other = Replica::start(Some(&redis), &["--ring-frames", "1"]).await;
    let data = poll(other.public, "after=0-0&wait=30").await;
    assert_eq!(data["gap"]["reason"], "trimmed", "{data}");
    assert_eq!(data["gap"]["after"], "0-0");
    assert_eq!(data["gap"]["resumes_at"], data["messages"][0]["prev"]);
    assert_eq!(texts(&data), ["3", "4", "5"]);
}

#[tokio::test]
async fn without_the_log_nothing_is_made_up() {
    let mut redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &["--redis-timeout-ms", "200"]).await;
    say(replica.public, 1).await;
    assert_eq!(poll(replica.public, "after=1-0&wait=30").await["gap"]["reason"], "rewound");
    redis.kill();
    replica.wait_readyz(503).await;
    let refused = get(replica.public, &format!("{MESSAGES}?after=0-0&wait=30")).await;
    assert_eq!((refused.status, &*refused.code()), (503, "unavailable"));
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn the_head_of_an_answer_is_not_waited_for() {
    let replica = Replica::start(None, &[]).await;
    let head = [&*format!("HEAD {MESSAGES}?after=0-0&wait=30"), "host: x"];
    let answer = support::ask::ask(replica.public, &head, b"").await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
}
