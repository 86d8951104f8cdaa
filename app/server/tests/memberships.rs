//! The rooms of people who have an account, in Redis and in memory: the same words, the same answers.

mod support;

use std::time::Duration;

use rollcall_protocol::EntryId;
use rollcall_server::{
    config::RedisSettings,
    log::{Link, LogError, Refusal},
    memberships::{MOST_ROOMS, Memberships, MemoryMemberships, RedisMemberships},
    metrics::Metrics,
};
use support::Redis;

const ADA: &str = "00000000000000ad";

fn in_redis(redis: &Redis, new_below: f64) -> Memberships {
    let settings = RedisSettings::at(&redis.url(), Duration::from_secs(5));
    let link = Link::new(&settings, 1000, Metrics::new()).expect("an address");
    Memberships::Redis(RedisMemberships::new(link, new_below))
}

fn at(ms: u64) -> EntryId {
    EntryId::new(ms, 0)
}

async fn both(check: impl AsyncFn(Memberships)) {
    check(Memberships::Memory(MemoryMemberships::default())).await;
    let redis = Redis::start().await;
    check(in_redis(&redis, 0.75)).await;
}

#[tokio::test]
async fn what_somebody_has_read_never_goes_back() {
    both(async |memberships| {
        let read = async |id| memberships.read(ADA, "hall", id).await.expect("an answer");
        assert!(!read(at(5)).await, "they are not in the room");
        assert!(memberships.enter(ADA, "hall", at(3)).await.expect("an answer"));
        assert!(memberships.enter(ADA, "hall", at(9)).await.expect("an answer"), "as they were");
        assert!(read(at(5)).await);
        assert!(!read(at(4)).await);
        let rooms = memberships.of(ADA).await.expect("an answer");
        assert_eq!(rooms, [("hall".to_owned(), at(5))]);
        memberships.leave(ADA, "hall").await.expect("an answer");
        assert_eq!(memberships.of(ADA).await.expect("an answer"), []);
    })
    .await;
}

#[tokio::test]
async fn nobody_is_in_more_rooms_than_they_may_be() {
    both(async |memberships| {
        let enter = async |number: usize| {
            memberships.enter(ADA, &format!("room {number}"), at(1)).await.expect("an answer")
        };
        for number in 0..MOST_ROOMS {
            assert!(enter(number).await, "{number}");
        }
        assert!(!enter(MOST_ROOMS).await);
        assert!(enter(0).await, "they are in that one");
    })
    .await;
}

/// Strangers who are written to get a room each, so that one account could fill Redis.
#[tokio::test]
async fn while_memory_is_short_nobody_enters_another_room() {
    let redis = Redis::start().await;
    redis.command(&["CONFIG", "SET", "maxmemory", "100mb"]).await;
    let roomy = in_redis(&redis, 0.75);
    assert!(roomy.enter(ADA, "hall", at(1)).await.expect("an answer"));
    let short = in_redis(&redis, 0.0);
    let refused = short.enter(ADA, "vault", at(1)).await;
    assert!(matches!(refused, Err(LogError::Refused(Refusal::NewRoom))), "{refused:?}");
    assert!(short.enter(ADA, "hall", at(1)).await.expect("an answer"), "they are in that one");
    assert!(short.read(ADA, "hall", at(2)).await.expect("an answer"));
}
