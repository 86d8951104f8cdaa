//! Members move between this release and the one before it, which has its own functions on the same keys.
//! Goes when that release is gone.

mod support;

use std::time::Duration;

use rollcall_server::log::{feed_key, room_key};
use support::{
    Redis,
    stage::{ROOM, Stage},
};

const LEASE: Duration = Duration::from_millis(1500);

/// A replica of the release before: as it called its functions.
#[derive(Clone)]
struct V2 {
    connection: redis::aio::MultiplexedConnection,
}

impl V2 {
    async fn start(redis: &Redis) -> Self {
        let client = redis::Client::open(redis.url()).expect("an address");
        let mut connection =
            client.get_multiplexed_async_connection().await.expect("Redis answers");
        let text = include_str!("support/before-15.lua");
        let mut load = redis::cmd("FUNCTION");
        load.arg("LOAD").arg("REPLACE").arg(text);
        load.query_async::<()>(&mut connection).await.expect("it loads");
        Self { connection }
    }

    async fn call<T: redis::FromRedisValue>(&mut self, function: &str, args: &[&str]) -> T {
        let mut call = redis::cmd("FCALL");
        call.arg(function).arg(3);
        call.arg(room_key(ROOM, "present")).arg(room_key(ROOM, "names")).arg(feed_key(ROOM));
        call.arg(args).query_async(&mut self.connection).await.expect("an answer")
    }

    /// Renews the leases of `members`, and ends those that ran out.
    async fn renew(&mut self, members: &[&str]) {
        let lease = LEASE.as_millis().to_string();
        let (seconds, micros): (u64, u64) =
            redis::cmd("TIME").query_async(&mut self.connection).await.expect("an answer");
        let asked = (seconds * 1000 + micros / 1000).to_string();
        let pairs = members.iter().flat_map(|name| [*name, *name]);
        let args: Vec<_> = [ROOM, &lease, "1000", &asked].into_iter().chain(pairs).collect();
        self.call::<u64>("rollcall_enter_v2", &args).await;
    }

    /// Renews four times a lease.
    async fn keep(&mut self, members: &[&str], leases: u32) {
        for _ in 0..4 * leases {
            self.renew(members).await;
            tokio::time::sleep(LEASE / 4).await;
        }
    }

    async fn bye(&mut self, name: &str) {
        self.call::<String>("rollcall_exit_v2", &[ROOM, name, "1000"]).await;
    }

    /// Whom its clients are told to be there.
    async fn members(&mut self) -> Vec<String> {
        let mut present = redis::cmd("FCALL_RO");
        present.arg("rollcall_present_v2").arg(2).arg(room_key(ROOM, "names")).arg(feed_key(ROOM));
        let (_, names): (String, std::collections::BTreeMap<String, String>) =
            present.query_async(&mut self.connection).await.expect("an answer");
        names.into_keys().collect()
    }
}

#[tokio::test]
async fn who_moves_to_this_release_is_never_told_to_leave() {
    let redis = Redis::start().await;
    let mut old = V2::start(&redis).await;
    let mut stage = Stage::in_redis(LEASE, &redis).await;
    let new = stage.host("r1");
    old.keep(&["ada", "bob"], 2).await;
    assert_eq!(new.members().await, ["ada", "bob"], "whom only the old release holds");
    let _ada = new.seat("ada").await;
    // On both for a while, and the old one renews its own lease meanwhile.
    old.keep(&["ada", "bob"], 1).await;
    // Its connection closes. It goes on with others, and ends what ran out.
    old.keep(&["bob"], 12).await;
    assert_eq!(old.members().await, ["ada", "bob"]);
    assert_eq!(new.members().await, ["ada", "bob"]);
    // It ends. Its keys would end four leases later.
    let told = stage.until_leave("bob").await;
    assert_eq!((told["ada"].as_str(), told["bob"].as_str()), ("+", "+-"));
    tokio::time::sleep(5 * LEASE).await;
    assert_eq!(old.members().await, ["ada"]);
    let _fin = new.seat("fin").await;
    assert_eq!(stage.until_join("fin").await.len(), 1);
}

#[tokio::test]
async fn who_moves_back_to_the_old_release_is_never_told_to_leave() {
    let redis = Redis::start().await;
    let mut old = V2::start(&redis).await;
    let mut stage = Stage::in_redis(LEASE, &redis).await;
    let new = stage.host("r1");
    let (ada, bob) = (new.seat("ada").await, new.seat("bob").await);
    stage.settle().await;
    // The old release reaps from the beginning, and has nobody yet.
    old.keep(&[], 25).await;
    assert_eq!(old.members().await, ["ada", "bob"]);
    old.keep(&["ada"], 1).await;
    drop(ada);
    old.keep(&["ada"], 4).await;
    // The new replica ends, and what it held is for the old one to end.
    drop(bob);
    new.presence.close().await;
    drop(new);
    old.keep(&["ada"], 4).await;
    let told = stage.until_leave("bob").await;
    assert_eq!((told["ada"].as_str(), told["bob"].as_str()), ("+", "+-"));
    assert_eq!(old.members().await, ["ada"]);
}

#[tokio::test]
async fn s31_a_bye_here_is_not_told_while_the_old_release_has_a_connection() {
    let redis = Redis::start().await;
    let mut old = V2::start(&redis).await;
    let mut stage = Stage::in_redis(LEASE, &redis).await;
    let new = stage.host("r1");
    let _bob = new.seat("bob").await;
    let ada = new.seat("ada").await;
    old.keep(&["ada"], 2).await;
    ada.leave().await;
    old.keep(&["ada"], 2).await;
    let _eve = new.seat("eve").await;
    assert_eq!(stage.until_join("eve").await["ada"], "+");
    // Nobody of the old release is left to end its lease.
    assert_eq!(stage.until_leave("ada").await["ada"], "-");
}

/// The old release tells that somebody left who is still here: that is made up for.
#[tokio::test]
async fn a_bye_at_the_old_release_is_made_up_for() {
    let redis = Redis::start().await;
    let mut old = V2::start(&redis).await;
    let mut stage = Stage::in_redis(LEASE, &redis).await;
    let new = stage.host("r1");
    let _ada = new.seat("ada").await;
    old.renew(&["ada"]).await;
    old.bye("ada").await;
    assert_eq!(stage.until_leave("ada").await["ada"], "+-");
    stage.until_join("ada").await;
    assert_eq!(old.members().await, ["ada"]);
}
