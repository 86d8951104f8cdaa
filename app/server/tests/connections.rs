//! The admin listener's stream of connections: for those who show who is where.

mod support;

use std::net::SocketAddr;

use rollcall_protocol::ServerFrame;
use serde_json::{Value, json};
use support::{PATIENCE, Replica, Socket, http, key, process::Process};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// Drains a replica to its end, and counts who is told to have been closed.
#[tokio::test]
async fn who_watches_is_told_the_end_of_everybody() {
    let soon = [("DRAIN_SPREAD_MS", "0"), ("DRAIN_DEADLINE_MS", "200")];
    let replica = Process::start(&soon).await;
    let mut watch = Watch::open(replica.admin).await;
    let mut sockets = Vec::new();
    for _ in 0..12 {
        sockets.push(Socket::join(replica.public, &key(), "vault", None).await);
    }
    replica.signal("-TERM").await;
    let mut closed = 0;
    while let Some((name, told)) = watch.next().await {
        if name == "changes" {
            let list = told.as_array().expect("a list");
            closed += list.iter().filter(|change| change["is"] == "closed").count();
        }
    }
    assert_eq!(closed, sockets.len());
}

/// A reader of the stream.
struct Watch {
    lines: BufReader<TcpStream>,
    /// Changes that were told and not asked for yet.
    changes: Vec<Value>,
}

impl Watch {
    async fn open(admin: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(admin).await.expect("the admin listener");
        let request = format!("GET /connections HTTP/1.1\r\nhost: {admin}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        Self { lines: BufReader::new(stream), changes: Vec::new() }
    }

    /// The next event; none at the stream's end.
    async fn next(&mut self) -> Option<(String, Value)> {
        let mut name = None;
        let mut line = String::new();
        loop {
            line.clear();
            let read = timeout(PATIENCE, self.lines.read_line(&mut line)).await.expect("in time");
            if read.unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("event", told)) => name = Some(told.to_owned()),
                Some(("data", told)) => {
                    return Some((name?, serde_json::from_str(told).expect("JSON")));
                }
                _ => {}
            }
        }
    }

    /// The next event of that name, and nothing before it but changes.
    async fn find(&mut self, wanted: &str) -> Value {
        loop {
            let (name, told) = self.next().await.expect("the stream goes on");
            if name == wanted {
                return told;
            }
            if name == "changes" {
                self.changes.extend(told.as_array().expect("a list").clone());
            } else {
                assert_eq!(name, "complete", "{told}");
            }
        }
    }

    /// The next thing that becomes of a connection: what, and its number.
    async fn change(&mut self) -> Value {
        while self.changes.is_empty() {
            let told = self.find("changes").await;
            self.changes.extend(told.as_array().expect("a list").clone());
        }
        self.changes.remove(0)
    }

    async fn is(&mut self, what: &str, number: &Value) -> Value {
        let change = self.change().await;
        assert_eq!((&change["is"], &change["number"]), (&json!(what), number), "{change}");
        change
    }
}

#[tokio::test]
async fn who_is_here_is_told_first_and_then_what_becomes_of_each() {
    let replica = Replica::start(None, &["--replica", "r1", "--release", "1.0.0"]).await;
    let (teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut watch = Watch::open(replica.admin).await;
    let replica_told = watch.find("replica").await;
    assert_eq!(replica_told, json!({ "replica": "r1", "release": "1.0.0", "phase": "ready" }));
    let here = watch.find("here").await;
    assert_eq!((&here[0]["live"], here.as_array().map(Vec::len)), (&json!(true), Some(1)));
    assert_eq!(watch.find("complete").await, json!(1));
    assert!(here[0]["member"].as_str().is_some_and(|member| member.len() >= 16));

    let (mut plum, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let opened = watch.change().await;
    let number = opened["number"].clone();
    assert_eq!(opened["is"], "opened");
    assert!(opened["name"].as_str().is_some_and(|name| name.starts_with('N')), "{opened}");
    watch.is("live", &number).await;

    replica.drain(1000, 60_000).await;
    plum.until(|frame| matches!(frame, ServerFrame::Goaway { .. })).await;
    assert_eq!(watch.find("replica").await["phase"], "draining");
    let mut moments = Vec::new();
    for _ in 0..2 {
        let goaway = watch.change().await;
        assert_eq!(goaway["is"], "goaway", "{goaway}");
        moments.push(goaway["in_ms"].as_u64().expect("a moment"));
    }
    moments.sort_unstable();
    // Told in whole ms, of a moment that is a little ahead by then.
    assert!(moments[0] == 0 && (495..=500).contains(&moments[1]), "{moments:?}");
    plum.close().await;
    watch.is("closed", &number).await;
    teal.close().await;
    watch.is("closed", &here[0]["number"]).await;
}

#[tokio::test]
async fn who_is_closed_at_the_deadline_was_forced() {
    let replica = Replica::start(None, &[]).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut watch = Watch::open(replica.admin).await;
    watch.find("replica").await;
    let number = watch.find("here").await[0]["number"].clone();
    replica.drain(0, 200).await;
    assert_eq!(teal.closed().await, Some(1012));
    watch.find("replica").await;
    for what in ["goaway", "forced", "closed"] {
        watch.is(what, &number).await;
    }
}

#[tokio::test]
async fn a_connection_that_says_no_hello_is_not_told() {
    let replica = Replica::start(None, &[]).await;
    let mut watch = Watch::open(replica.admin).await;
    watch.find("replica").await;
    Socket::open(replica.public).await.close().await;
    let (_teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let first = watch.change().await;
    assert_eq!(first["is"], "opened");
    watch.is("live", &first["number"]).await;
}

#[tokio::test]
async fn the_stream_is_for_a_few_and_never_public() {
    let replica = Replica::start(None, &[]).await;
    assert_eq!(http(replica.public, "GET", "/connections", None).await.0, 404);
    let mut watches = Vec::new();
    for _ in 0..4 {
        let mut watch = Watch::open(replica.admin).await;
        watch.find("replica").await;
        watches.push(watch);
    }
    let (status, why) = http(replica.admin, "GET", "/connections", None).await;
    assert!(status == 503 && why.contains("enough others"), "{status} {why}");
    watches.pop();
    let again = async {
        loop {
            let mut watch = Watch::open(replica.admin).await;
            if watch.next().await.is_some() {
                return;
            }
        }
    };
    timeout(PATIENCE, again).await.expect("a place, once somebody has gone");
}

#[tokio::test]
async fn a_replica_that_stops_ends_its_streams() {
    let replica = Replica::start(None, &[]).await;
    let (teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let mut watch = Watch::open(replica.admin).await;
    watch.find("replica").await;
    watch.find("here").await;
    replica.terminate();
    assert_eq!(watch.find("replica").await["phase"], "draining");
    teal.close().await;
    while watch.next().await.is_some() {}
    timeout(PATIENCE, replica.task).await.expect("in time").expect("no panic").expect("it stops");
}
