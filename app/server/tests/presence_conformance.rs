//! Presence in Redis and presence in memory mean the same.

mod support;

use std::time::Duration;

use support::{
    Redis,
    stage::{ROOM, Stage},
};

const LEASE: Duration = Duration::from_millis(800);

/// Runs a scene in both stores.
async fn in_both(scene: impl AsyncFn(Stage)) {
    scene(Stage::in_memory(LEASE).await).await;
    let redis = Redis::start().await;
    scene(Stage::in_redis(LEASE, &redis).await).await;
}

#[tokio::test]
async fn a_member_comes_with_its_first_connection_and_leaves_with_its_last() {
    in_both(async |mut stage| {
        let (r1, r2) = (stage.host("r1"), stage.host("r2"));
        let seats = [r1.seat("ada").await, r1.seat("ada").await, r2.seat("ada").await];
        let [first, second, third] = seats;
        first.leave().await;
        third.leave().await;
        let _bob = r1.seat("bob").await;
        assert_eq!(stage.until_join("bob").await["ada"], "+");
        assert_eq!(r2.members().await, ["ada", "bob"]);
        second.leave().await;
        assert_eq!(stage.until_leave("ada").await["ada"], "-");
        assert_eq!(r2.members().await, ["bob"]);
    })
    .await;
}

/// Found by chaos: clients of a frozen replica were told gone before they could have noticed that it stands still.
#[tokio::test]
async fn members_of_a_replica_that_stands_still_stay_for_longer_than_a_lease() {
    in_both(async |mut stage| {
        let (r1, r2) = (stage.host("r1"), stage.host("r2"));
        let _bob = r1.seat("bob").await;
        let _ada = r2.seat("ada").await;
        stage.settle().await;
        let frozen = tokio::time::Instant::now();
        drop(r2);
        assert_eq!(stage.until_leave("ada").await["ada"], "+-");
        // Its last renewal was up to a quarter of a lease before.
        assert!(frozen.elapsed() >= LEASE * 4 / 3, "{:?}", frozen.elapsed());
        assert!(frozen.elapsed() < 4 * LEASE, "{:?}", frozen.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_seat_that_is_dropped_keeps_its_member_for_a_lease() {
    in_both(async |mut stage| {
        let (r1, r2) = (stage.host("r1"), stage.host("r2"));
        let _bob = r1.seat("bob").await;
        stage.settle().await;
        let ada = r1.seat("ada").await;
        let closed = tokio::time::Instant::now();
        drop(ada);
        assert_eq!(stage.until_leave("ada").await["ada"], "+-");
        assert!(closed.elapsed() >= LEASE);
        assert!(closed.elapsed() < 3 * LEASE, "{:?}", closed.elapsed());
        // Back in time, here or elsewhere, it was never away.
        drop(r1.seat("eve").await);
        drop(r2.seat("eve").await);
        let _eve = r1.seat("eve").await;
        stage.settle().await;
        stage.settle().await;
        let _fin = r1.seat("fin").await;
        assert_eq!(stage.until_join("fin").await["eve"], "+");
    })
    .await;
}

#[tokio::test]
async fn who_leaves_after_a_move_is_gone_at_once() {
    in_both(async |mut stage| {
        let (r1, r2) = (stage.host("r1"), stage.host("r2"));
        let before = r1.seat("ada").await;
        let after = r2.seat("ada").await;
        drop(before);
        // Time for the replica to tell that the connection closed.
        tokio::time::sleep(LEASE / 8).await;
        let left = tokio::time::Instant::now();
        after.leave().await;
        stage.until_leave("ada").await;
        assert!(left.elapsed() < LEASE / 2, "{:?}", left.elapsed());
    })
    .await;
}

#[tokio::test]
async fn what_a_dead_replica_held_is_ended_by_another() {
    in_both(async |mut stage| {
        let (r1, r2) = (stage.host("r1"), stage.host("r2"));
        let (_ada, _bob) = (r1.seat("ada").await, r2.seat("bob").await);
        // On both: it stays.
        let (_eve, _eve_too) = (r1.seat("eve").await, r2.seat("eve").await);
        stage.settle().await;
        drop(r1);
        let told = stage.until_leave("ada").await;
        assert_eq!((told["ada"].as_str(), told["eve"].as_str()), ("+-", "+"));
        assert_eq!(r2.members().await, ["bob", "eve"]);
    })
    .await;
}

/// It stood still for longer than a lease, and was declared dead: it comes back under another name.
#[tokio::test]
async fn a_replica_that_was_declared_dead_enters_its_members_anew() {
    in_both(async |mut stage| {
        let r1 = stage.host("r1");
        let _bob = r1.seat("bob").await;
        stage.settle().await;
        let r2 = stage.host("r2");
        let _ada = r2.seat("ada").await;
        let stopped = r2.presence.clone();
        drop(r2);
        stage.until_leave("ada").await;
        let _again = tokio::spawn(async move { stopped.keep().await });
        assert_eq!(stage.until_join("ada").await["ada"], "+");
        assert_eq!(r1.members().await, ["ada", "bob"]);
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_ends_leaves_its_members_a_lease_to_move() {
    in_both(async |mut stage| {
        let (r1, r2) = (stage.host("r1"), stage.host("r2"));
        let (_bob, _ada) = (r1.seat("bob").await, r2.seat("ada").await);
        stage.settle().await;
        r2.presence.close().await;
        let closed = tokio::time::Instant::now();
        drop(r2);
        assert_eq!(stage.until_leave("ada").await["ada"], "+-");
        assert!(closed.elapsed() < 3 * LEASE, "{:?}", closed.elapsed());
    })
    .await;
}

/// Many at once are told in few calls, and each is told.
#[tokio::test]
async fn many_come_at_once_and_vanish_at_once() {
    in_both(async |mut stage| {
        let r1 = stage.host("r1");
        let _bob = r1.seat("bob").await;
        stage.settle().await;
        let names: Vec<_> = (0..300).map(|number| format!("m{number:03}")).collect();
        let seats = names.iter().map(|name| r1.seat(name));
        let seats = futures_util::future::join_all(seats).await;
        // On a machine that stands still, those that come are told once the lease is renewed.
        let all_here = async {
            while r1.members().await.len() < 301 {
                tokio::time::sleep(LEASE / 16).await;
            }
        };
        tokio::time::timeout(support::PATIENCE, all_here).await.expect("all are here");
        drop(seats);
        stage.until_leave("m299").await;
        let gone = async {
            while r1.presence.snapshot(ROOM).await.expect("an answer").members.len() > 1 {
                tokio::time::sleep(LEASE / 16).await;
            }
        };
        tokio::time::timeout(support::PATIENCE, gone).await.expect("all are gone");
    })
    .await;
}
