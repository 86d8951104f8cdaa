//! The chat beside many sign-ins. Timings are this machine's, so they are looked at by people:
//! `cargo test --release -p rollcall-server --test accounts_load -- --ignored --nocapture`

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{
    Redis, Socket,
    accounts::{PASSWORD, ask, register},
    key,
    process::Process,
};

/// The p99 of the times from a send to its ack, 50 a second for ten seconds.
async fn p99_of_sends(socket: &mut Socket, from: u64) -> Duration {
    let mut times = Vec::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for n in from..from + 500 {
        ticks.tick().await;
        let began = Instant::now();
        socket.send_acked("vault", n, "beside the door").await;
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn sends_beside_fifty_sign_ins_a_second() {
    let redis = Redis::start().await;
    let variables = [
        ("REDIS_URL", &*redis.url()),
        ("TRUST_FORWARDED", "true"),
        ("RATE_CLIENT", "1000"),
        ("RATE_ROOM", "1000"),
        ("PORT", "19202"),
    ];
    let server = Process::start(&variables).await;
    assert_eq!(register(server.public, "Ada").await.status, 201);
    let (mut socket, _) = Socket::join(server.public, &key(), "vault", None).await;
    let quiet = p99_of_sends(&mut socket, 1).await;
    let public = server.public;
    let door = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let mut asked = Vec::new();
        for round in 0..500_u32 {
            ticks.tick().await;
            asked.push(tokio::spawn(async move {
                let address = format!("198.51.{}.{}", round / 250, round % 250);
                let body = json!({ "name": "Ada", "password": PASSWORD });
                let headers = [("x-forwarded-for", &*address)];
                ask(public, "POST", "/api/v1/sessions", &headers, Some(&body)).await.status
            }));
        }
        futures_util::future::join_all(asked).await
    });
    let beside = p99_of_sends(&mut socket, 501).await;
    let told: Vec<u16> = door.await.expect("an end").into_iter().flatten().collect();
    let count = |status| told.iter().filter(|told| **told == status).count();
    println!("p99 of sends: {quiet:?} alone, {beside:?} beside 50 sign-ins a second");
    println!("sign-ins: {} served, {} told to come back", count(201), count(503));
}
