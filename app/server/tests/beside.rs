//! The chat beside many sign-ins, and beside a room that is flooded. Timings are this machine's, so they are looked at by
//! people: `cargo test --release -p rollcall-server --test beside -- --ignored --nocapture --test-threads 1`

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rollcall_protocol::ServerFrame;
use serde_json::json;
use support::{
    Redis, Socket,
    accounts::{PASSWORD, ask, register},
    key,
    process::Process,
};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

const CLIENTS: usize = 300;
const ROOMS: usize = 10;
/// One message of one client, to all in its room.
const EVERY: Duration = Duration::from_millis(20);
const MESSAGES: u32 = 500;
const SIGN_INS: u32 = 500;
const ROUNDS: usize = 3;

/// People who talk in turn, and all that they hear.
struct Hall {
    say: Vec<mpsc::UnboundedSender<u32>>,
    sent: Arc<Mutex<Vec<Instant>>>,
    heard: mpsc::UnboundedReceiver<Duration>,
}

impl Hall {
    async fn open(address: SocketAddr) -> Self {
        let sent: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let (tell, heard) = mpsc::unbounded_channel();
        let mut say = Vec::new();
        for client in 0..CLIENTS {
            let room = format!("room {}", client % ROOMS);
            let (socket, _) = Socket::join(address, &key(), &room, None).await;
            let (to, from) = mpsc::unbounded_channel();
            tokio::spawn(talk(socket, room, from, sent.clone(), tell.clone()));
            say.push(to);
        }
        Self { say, sent, heard }
    }

    /// The p99 of the times from a send to its arrival at each client in the room.
    async fn p99(&mut self) -> Duration {
        let mut ticks = tokio::time::interval(EVERY);
        for n in 0..MESSAGES {
            ticks.tick().await;
            let number = {
                let mut sent = self.sent.lock().expect("times");
                sent.push(Instant::now());
                u32::try_from(sent.len() - 1).expect("few")
            };
            let client = n as usize * 7 % CLIENTS;
            self.say[client].send(number).expect("it listens");
        }
        let mut times = Vec::new();
        while times.len() < MESSAGES as usize * (CLIENTS / ROOMS) {
            let heard = tokio::time::timeout(Duration::from_secs(30), self.heard.recv()).await;
            times.push(heard.expect("all hear all").expect("they are here"));
        }
        times.sort();
        times[times.len() * 99 / 100]
    }
}

async fn talk(
    mut socket: Socket,
    room: String,
    mut say: mpsc::UnboundedReceiver<u32>,
    sent: Arc<Mutex<Vec<Instant>>>,
    heard: mpsc::UnboundedSender<Duration>,
) {
    let mut n = 0;
    loop {
        tokio::select! {
            number = say.recv() => {
                let Some(number) = number else { return };
                n += 1;
                socket.send(&room, n, &number.to_string()).await;
            }
            frame = socket.next() => {
                let frame = frame.expect("nobody is sent away");
                let ServerFrame::Message(message) = frame else { continue };
                let number: usize = message.text.parse().expect("a number");
                let time = sent.lock().expect("times")[number].elapsed();
                let _ = heard.send(time);
            }
        }
    }
}

/// Fifty sign-ins a second, each from another address; how many were served, and how many told to come back.
async fn sign_ins(address: SocketAddr) -> (usize, usize) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let mut asked = Vec::new();
    for round in 0..SIGN_INS {
        ticks.tick().await;
        asked.push(tokio::spawn(async move {
            let from = format!("198.51.{}.{}", round / 250, round % 250);
            let body = json!({ "name": "Ada", "password": PASSWORD });
            let headers = [("x-forwarded-for", &*from)];
            ask(address, "POST", "/api/v1/sessions", &headers, Some(&body)).await.status
        }));
    }
    let told: Vec<_> = futures_util::future::join_all(asked).await;
    let count = |status| told.iter().flatten().filter(|told| **told == status).count();
    (count(201), count(503))
}

/// Sends as fast as it can, into a room that many listen in, until it is stopped. What is too fast is refused, and sent again at
/// once; it waits for each answer, so that this test's own memory has a bound.
async fn flood(address: SocketAddr) {
    let (mut socket, _) = Socket::join(address, &key(), "flood", None).await;
    let (mut n, text) = (1, "x".repeat(2_000));
    loop {
        socket.send("flood", n, &text).await;
        n += loop {
            match socket.next().await {
                Ok(ServerFrame::Ack { .. }) => break 1,
                Ok(ServerFrame::Reject { .. }) => break 0,
                _ => {}
            }
        };
    }
}

/// Measures what is said alone and beside what `disturb` begins, in turns, since such a machine is not the same for long. What
/// `disturb` began is dropped after its turn.
async fn compare<D>(hall: &mut Hall, what: &str, disturb: impl Fn() -> D) {
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(hall.p99().await);
        let _disturbance = disturb();
        beside.push(hall.p99().await);
    }
    println!(
        "p99 of deliveries to {CLIENTS} clients: {alone:.1?} alone, {beside:.1?} beside {what}"
    );
    let (alone, beside) = (median(alone), median(beside));
    assert!(beside <= 2 * alone, "the chat suffers: {alone:?} alone, {beside:?} beside {what}");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_is_said_beside_fifty_sign_ins_a_second() {
    let redis = Redis::start().await;
    let variables = [("REDIS_URL", &*redis.url()), ("TRUST_FORWARDED", "true")];
    let server = Process::start(&variables).await;
    assert_eq!(register(server.public, "Ada").await.status, 201);
    let mut hall = Hall::open(server.public).await;
    compare(&mut hall, "50 sign-ins a second", || {
        AbortOnDropHandle::new(tokio::spawn(sign_ins(server.public)))
    })
    .await;
    println!("sign-ins, alone: {:?} served and told to come back", sign_ins(server.public).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_is_said_beside_a_flooded_room() {
    let redis = Redis::start().await;
    let server = Process::start(&[("REDIS_URL", &*redis.url())]).await;
    let mut hall = Hall::open(server.public).await;
    compare(&mut hall, "a flooded room", || {
        let floods = (0..30).map(|_| AbortOnDropHandle::new(tokio::spawn(flood(server.public))));
        floods.collect::<Vec<_>>()
    })
    .await;
}
