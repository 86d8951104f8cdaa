//! What happens at the limits: of a room, an address, a window, a process.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use rollcall_protocol::{EntryId, ErrorCode, RejectCode, ServerFrame};
use rollcall_server::{Listeners, config::Config};
use serde_json::{Value, json};
use support::{Replica, Socket, http, key, process::Process};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, MissedTickBehavior},
};
use tokio_tungstenite::tungstenite;

/// How many descriptors the process of a test may have.
const FEW: usize = 128;
/// Settings with which no socket ends by itself during a test.
const LASTING: &[(&str, &str)] = &[("HEARTBEAT_MS", "600000")];
/// A replica that takes longer than this for a connection does not hear.
const HEARING: Duration = Duration::from_secs(5);

fn post(key: &str, n: u64, text: &str) -> Value {
    json!({ "client": key, "name": "Teal", "n": n, "text": text })
}

/// The head of the answer to one GET.
async fn head_of(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the server listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the server reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("an answer in UTF-8");
    reply.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase()
}

/// The status of an upgrade that is refused.
async fn refused_upgrade(address: SocketAddr) -> Option<(u16, bool)> {
    match Socket::try_open(address, None).await {
        Err(tungstenite::Error::Http(response)) => {
            Some((response.status().as_u16(), response.headers().contains_key("retry-after")))
        }
        _ => None,
    }
}

/// Posts into a room with a new key each time, as fast as answers come.
async fn flood(address: SocketAddr) {
    loop {
        let _ = http(address, "POST", "/api/v1/rooms/vault/messages", Some(&post(&key(), 1, "x")))
            .await;
    }
}

/// One who says something once a second: how many of five were refused at first.
async fn speak(mut socket: Socket) -> usize {
    let mut refused = 0;
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    // After a pause of the machine it is one at a time, too.
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for n in 1..=5 {
        seconds.tick().await;
        socket.send("vault", n, "hello").await;
        loop {
            match socket.next().await.expect("an open socket") {
                ServerFrame::Ack { n: acked, .. } if acked == n => break,
                ServerFrame::Reject { retry_ms, .. } => {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(retry_ms.expect("a time"))).await;
                    socket.send("vault", n, "hello").await;
                }
                _ => {}
            }
        }
    }
    refused
}

/// Fault S26: beside six loops of POST with fresh keys the acks of ten quiet ones in the room took 1.2 s, and up to 13.
#[tokio::test]
async fn s26_a_flood_of_fresh_keys_leaves_the_quiet_ones_their_share() {
    // The room alone is to hold the flood.
    let replica = Replica::start(None, &["--rate-posts", "100000"]).await;
    let mut quiet = Vec::new();
    for _ in 0..10 {
        quiet.push(Socket::join(replica.public, &key(), "vault", None).await.0);
    }
    // A share of one's own takes a second to earn.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let floods: Vec<_> = (0..6).map(|_| tokio::spawn(flood(replica.public))).collect();
    let speakers: Vec<_> = quiet.into_iter().map(|socket| tokio::spawn(speak(socket))).collect();
    let mut refused = 0;
    for speaker in speakers {
        refused += speaker.await.expect("no panic");
    }
    floods.iter().for_each(tokio::task::JoinHandle::abort);
    assert!(refused <= 5, "{refused} of 50 sends were refused");
}

/// Sends as a client does that obeys: `pending` at a time, nothing again before its time, the lowest number first.
/// How often each number was sent.
async fn obedient(socket: &mut Socket, count: u64, pending: usize) -> BTreeMap<u64, usize> {
    let mut sent = BTreeMap::new();
    let mut waiting: BTreeSet<u64> = (1..=count).collect();
    let mut on_its_way = BTreeSet::new();
    let mut not_before = Instant::now();
    let mut remembered = false;
    while !waiting.is_empty() || !on_its_way.is_empty() {
        if on_its_way.is_empty() {
            tokio::time::sleep_until(not_before).await;
        }
        let settling = not_before > Instant::now();
        let most = if remembered { pending } else { 1 };
        while !settling && on_its_way.len() < most {
            let Some(n) = waiting.pop_first() else { break };
            on_its_way.insert(n);
            *sent.entry(n).or_default() += 1;
            socket.send("vault", n, "x").await;
        }
        match socket.next().await.expect("an open socket") {
            ServerFrame::Ack { n, .. } => {
                remembered = true;
                on_its_way.remove(&n);
            }
            ServerFrame::Reject { n, retry_ms, .. } => {
                on_its_way.remove(&n);
                waiting.insert(n);
                let wait = Duration::from_millis(retry_ms.unwrap_or_default());
                // Nothing goes before all that is on its way is answered.
                not_before = not_before.max(Instant::now() + wait.max(Duration::from_millis(1)));
            }
            _ => {}
        }
    }
    sent
}

/// Fault S29: 60 sends at once made 643 frames.
#[tokio::test]
async fn s29_a_window_that_obeys_is_sent_three_times_at_most() {
    let replica = Replica::start(None, &[]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let sent = obedient(&mut socket, 60, 32).await;
    assert_eq!(sent.len(), 60);
    let frames: usize = sent.values().sum();
    assert!(sent.values().all(|times| *times <= 3) && frames <= 120, "{frames}: {sent:?}");
}

/// Fault S2: POST obeyed neither a client's rate nor, with fresh keys, one of their address that a hall does not need.
#[tokio::test]
async fn s2_post_obeys_client_and_address() {
    let replica = Replica::start(None, &["--rate-client", "1", "--rate-posts", "1"]).await;
    let status = async |key: &str, n: u64, room: &str| {
        let path = format!("/api/v1/rooms/{room}/messages");
        http(replica.public, "POST", &path, Some(&post(key, n, "x"))).await.0
    };
    let one = key();
    assert_eq!((status(&one, 1, "a").await, status(&one, 1, "b").await), (200, 200));
    assert_eq!(status(&one, 1, "c").await, 429, "as a socket: twice its rate at once");
    let mut refused = 0;
    for room in 0..10 {
        refused += usize::from(status(&key(), 1, &format!("room-{room}")).await == 429);
    }
    assert!(refused >= 4, "{refused} of 10 fresh keys");
}

/// Fault S30: the same `n` with another text was acknowledged as a duplicate, and the text was dropped.
#[tokio::test]
async fn s30_a_number_belongs_to_one_text() {
    let replica = Replica::start(None, &[]).await;
    let (path, key) = ("/api/v1/rooms/vault/messages", key());
    let say = async |n: u64, text: &str| {
        let (status, body) = http(replica.public, "POST", path, Some(&post(&key, n, text))).await;
        (status, serde_json::from_str::<Value>(&body).expect("a frame"))
    };
    assert_eq!(say(1, "one").await.0, 200);
    let (status, again) = say(1, "one").await;
    assert_eq!((status, &again["duplicate"]), (200, &json!(true)));
    let (status, refused) = say(1, "another").await;
    assert_eq!(status, 409, "{refused}");
    assert_eq!((&refused["code"], &refused["expected"]), (&json!("number_taken"), &json!(2)));
    let (mut socket, _) = Socket::join(replica.public, &key, "vault", None).await;
    socket.send("vault", 1, "another").await;
    let frames = socket.until(|frame| matches!(frame, ServerFrame::Reject { .. })).await;
    assert!(
        matches!(
            frames.last(),
            Some(ServerFrame::Reject {
                code: RejectCode::NumberTaken,
                n: 1,
                expected: Some(2),
                retry_ms: None,
                ..
            })
        ),
        "{frames:?}"
    );
    socket.send_acked("vault", 2, "another").await;
}

/// Fault S21: one address could hold all connections there are.
#[tokio::test]
async fn s21_an_address_has_so_many_connections() {
    let replica = Replica::start(None, &["--connections-per-address", "2"]).await;
    let (one, _) = Socket::join(replica.public, &key(), "vault", None).await;
    let (_two, _) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(refused_upgrade(replica.public).await, Some((429, true)));
    let events = head_of(replica.public, "/api/v1/rooms/vault/events").await;
    assert!(events.starts_with("http/1.1 429") && events.contains("retry-after: 1"), "{events}");
    one.close().await;
    replica.wait_connections(1).await;
    let (mut three, _) = Socket::join(replica.public, &key(), "vault", None).await;
    three.send_acked("vault", 1, "welcome").await;
}

/// Fault S21: the history was read as often as anybody liked.
#[tokio::test]
async fn s21_reads_have_a_rate() {
    let replica = Replica::start(None, &["--rate-reads", "1"]).await;
    let path = "/api/v1/rooms/vault/messages";
    let mut heads = Vec::new();
    for _ in 0..12 {
        heads.push(head_of(replica.public, path).await);
    }
    let refused =
        |head: &&String| head.starts_with("http/1.1 429") && head.contains("retry-after: 1");
    assert!(heads[0].starts_with("http/1.1 200"), "{heads:?}");
    assert!(heads.iter().filter(refused).count() > 2, "{heads:?}");
    let page = head_of(replica.public, "/").await;
    assert!(page.starts_with("http/1.1 200"), "the page is not a log: {page}");
}

/// Fault S21: clients were told what Redis, or the library before it, said.
#[tokio::test]
async fn s21_what_went_wrong_inside_stays_inside() {
    let replica =
        Replica::launch(Some("redis://127.0.0.1:9/"), &["--redis-timeout-ms", "200"]).await;
    let path = "/api/v1/rooms/vault/messages";
    for (method, body) in [("GET", None), ("POST", Some(post(&key(), 1, "x")))] {
        let (status, told) = http(replica.public, method, path, body.as_ref()).await;
        assert!(status >= 500, "{told}");
        let told: Value = serde_json::from_str(&told).expect("a frame");
        let detail = told["detail"].as_str().expect("a detail");
        assert!(detail.starts_with("the room's log ") && detail.len() < 40, "{detail}");
    }
}

/// Fault S13: with 65 rooms wanted, every later `hello` was refused for good.
#[tokio::test]
async fn s13_the_65th_room_is_refused_and_nothing_else() {
    let replica = Replica::start(None, &["--max-rooms-per-connection", "3"]).await;
    let (mut socket, _) = Socket::join(replica.public, &key(), "room 0", None).await;
    let too_many = |frame: &ServerFrame| {
        matches!(frame, ServerFrame::Error { code: ErrorCode::TooManyRooms, room: Some(room), .. }
            if room == "room 3")
    };
    for room in 1..=3 {
        socket.say(&json!({ "type": "join", "room": format!("room {room}") })).await;
    }
    socket.until(too_many).await;
    socket.send_acked("room 0", 1, "still here").await;
    let rooms: Vec<_> = (0..4).map(|room| json!({ "room": format!("room {room}") })).collect();
    let mut socket = Socket::open(replica.public).await;
    let hello = json!({ "type": "hello", "v": 1, "client": key(), "name": "T", "why": "resume", "rooms": rooms });
    socket.say(&hello).await;
    let mut seen = Vec::new();
    let is_live = |frame: &ServerFrame| matches!(frame, ServerFrame::Live { .. });
    while seen.iter().filter(|frame| is_live(frame)).count() < 3 || !seen.iter().any(too_many) {
        seen.push(socket.next().await.expect("an open socket"));
    }
    socket.send_acked("room 2", 1, "and here").await;
}

/// Fault S13: 64 rooms with long names passed what a frame may be, and 1009 was for good, too.
#[tokio::test]
async fn s13_a_hello_with_64_long_rooms_is_welcome() {
    let replica = Replica::start(None, &[]).await;
    let name = |room: usize| format!("{}{room:02}", "\u{1f600}".repeat(62));
    let cursor = EntryId::new(1 << 41, u64::MAX / 2);
    let rooms: Vec<_> =
        (0..64).map(|room| json!({ "room": name(room), "after": cursor })).collect();
    let mut socket = Socket::open(replica.public).await;
    let hello = json!({ "type": "hello", "v": 1, "client": key(), "name": "T", "why": "resume", "rooms": rooms });
    assert!(hello.to_string().len() > 16 * 1024, "longer than other frames may be");
    socket.say(&hello).await;
    let mut live = 0;
    while live < 64 {
        let frame = socket.next().await.expect("an open socket");
        live += usize::from(matches!(frame, ServerFrame::Live { .. }));
    }
    socket.send_acked(&name(63), 1, "here").await;
}

/// Fault S17: with 128 connects pending the kernel dropped what came.
#[tokio::test]
async fn s17_a_thousand_connects_wait_to_be_accepted() {
    let words = ["rollcall-server", "--port", "0", "--admin-port", "0"];
    let config = <Config as clap::Parser>::parse_from(words);
    let listeners = Listeners::bind(&config).await.expect("free ports");
    let address = listeners.public.local_addr().expect("an address");
    rlimit::increase_nofile_limit(4096).expect("descriptors for both ends");
    let mut waiting = Vec::new();
    for count in 0..1000 {
        // A connect that was dropped is tried again by the kernel after a second.
        let connect = tokio::time::timeout(Duration::from_millis(900), TcpStream::connect(address));
        match connect.await {
            Ok(stream) => waiting.push(stream.expect("a connection")),
            Err(_) => panic!("dropped after {count}"),
        }
    }
}

/// Fault S19: out of descriptors, a replica was deaf, to operators too.
#[tokio::test]
async fn s19_a_replica_full_of_clients_hears_its_operators() {
    let process = Process::start_after(&format!("ulimit -n {FEW}"), LASTING).await;
    let mut sockets = Vec::new();
    let refused = loop {
        let open = tokio::time::timeout(HEARING, Socket::try_open(process.public, None)).await;
        match open.unwrap_or_else(|_| panic!("deaf after {}", sockets.len())) {
            Ok(socket) => sockets.push(socket),
            Err(tungstenite::Error::Http(response)) => break response.status().as_u16(),
            Err(error) => panic!("{error} after {}", sockets.len()),
        }
        assert!(sockets.len() < FEW);
    };
    assert_eq!(refused, 503, "another replica may have a place");
    assert!(sockets.len() >= 32, "{}", sockets.len());
    // Beyond the sockets that are served, too, and with connections that say nothing.
    let mut idle = Vec::new();
    for _ in 0..2 * FEW {
        idle.push(TcpStream::connect(process.public).await.expect("the kernel listens"));
    }
    let began = Instant::now();
    for (method, path, status) in [
        ("GET", "/drain", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/livez", 200),
    ] {
        assert_eq!(http(process.admin, method, path, None).await.0, status, "{path}");
    }
    assert!(began.elapsed() < Duration::from_millis(900), "no accept slept: {:?}", began.elapsed());
    let drained = http(process.admin, "POST", "/drain", Some(&json!({ "spread_ms": 0 }))).await;
    assert_eq!(drained.0, 200);
}

/// Fault S19: the soft limit was taken as it came.
#[tokio::test]
async fn s19_the_soft_limit_is_raised() {
    let process = Process::start_after("ulimit -S -n 40", LASTING).await;
    let mut sockets = Vec::new();
    for count in 0..60 {
        let key = key();
        let join = Socket::join(process.public, &key, "vault", None);
        let joined = tokio::time::timeout(HEARING, join).await;
        sockets.push(joined.unwrap_or_else(|_| panic!("deaf after {count}")).0);
    }
    sockets[59].send_acked("vault", 1, "here").await;
}

/// Fault S20: on a machine with 64 cores there were more threads than a container may have processes.
#[tokio::test]
async fn s20_a_machine_with_many_cores_gets_few_threads() {
    // What the runtime takes for the count of cores where it is not told how many threads to have.
    let process = Process::start(&[("TOKIO_WORKER_THREADS", "64")]).await;
    assert!(process.threads() <= 20, "{}", process.threads());
    let process = Process::start(&[("WORKER_THREADS", "3")]).await;
    assert!((3..=8).contains(&process.threads()), "{}", process.threads());
}

/// Found in a roll of 3,000 clients: one was closed as silent. A client that enters rooms too fast is not read for a second, and
/// what it says meanwhile was not heard.
#[tokio::test]
async fn a_client_that_is_not_read_is_not_silent() {
    let settings =
        ["--heartbeat-ms", "200", "--rate-client", "1", "--max-rooms-per-connection", "1"];
    let replica = Replica::start(None, &settings).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    for _ in 0..4 {
        teal.say(&json!({ "type": "leave", "room": "vault" })).await;
        teal.say(&json!({ "type": "join", "room": "vault" })).await;
    }
    teal.fence(7).await;
}
