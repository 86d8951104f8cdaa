//! What operators do by the admin listener with the server's key; and rooms that somebody has to make first.

mod support;

use rollcall_protocol::{ErrorCode, RejectCode, ServerFrame};
use serde_json::json;
use support::{
    Redis, Replica, Socket,
    accounts::{Answer, KEY, QUICK, ask},
    http, key,
};

const BY_KEY: [(&str, &str); 1] = [("x-api-key", KEY)];

async fn by_key(replica: &Replica, method: &str, path: &str) -> Answer {
    ask(replica.admin, method, path, &BY_KEY, None).await
}

#[tokio::test]
async fn a_replica_that_accepts_nobody_keeps_those_who_are_here() {
    let replica = Replica::start(None, &QUICK).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(ask(replica.admin, "DELETE", "/accepting", &[], None).await.status, 401);
    assert_eq!(http(replica.admin, "GET", "/readyz", None).await.0, 200);
    let told = by_key(&replica, "DELETE", "/accepting").await;
    assert_eq!((told.status, &told.body["accepting"]), (200, &json!(false)));
    assert_eq!(http(replica.admin, "GET", "/readyz", None).await.0, 503);
    assert!(Socket::try_open(replica.public, None).await.is_err());
    teal.send_acked("vault", 1, "still here").await;
    assert_eq!(by_key(&replica, "PUT", "/accepting").await.status, 200);
    Socket::open(replica.public).await;
}

#[tokio::test]
async fn a_replica_is_asked_to_stop_as_by_a_signal() {
    let replica = Replica::start(None, &QUICK).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), "vault", None).await;
    assert_eq!(ask(replica.admin, "POST", "/shutdown", &[], None).await.status, 401);
    assert_eq!(by_key(&replica, "POST", "/shutdown").await.status, 202);
    teal.until(|frame| matches!(frame, ServerFrame::Goaway { .. })).await;
    teal.close().await;
    let ended = tokio::time::timeout(support::PATIENCE, replica.task).await.expect("in time");
    ended.expect("no panic").expect("it stops");
}

#[tokio::test]
async fn without_a_key_there_are_no_such_calls() {
    let replica = Replica::start(None, &[]).await;
    for (method, path) in [("DELETE", "/accepting"), ("POST", "/shutdown")] {
        assert_eq!(by_key(&replica, method, path).await.status, 404, "{path}");
    }
    // And they are never public.
    assert_eq!(http(replica.public, "POST", "/shutdown", None).await.0, 404);
}

#[tokio::test]
async fn replicas_are_listed_and_rooms_are_made_by_the_admin_listener_too() {
    let redis = Redis::start().await;
    let one = [&QUICK[..], &["--replica", "r1"]].concat();
    let one = Replica::start(Some(&redis), &one).await;
    let two = [&QUICK[..], &["--replica", "r2", "--lease-ms", "400"]].concat();
    let two = Replica::start(Some(&redis), &two).await;
    Socket::join(one.public, &key(), "vault", None).await;
    Socket::join(two.public, &key(), "vault", None).await;
    let listed = async || {
        let answer = by_key(&two, "GET", "/replicas").await;
        answer.body["data"]["replicas"].clone()
    };
    tokio::time::timeout(support::PATIENCE, async {
        while listed().await != json!(["r1", "r2"]) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("both live");
    let about = by_key(&two, "GET", "/api/v1/").await;
    assert_eq!(about.body["data"]["name"], "Rollcall");
    let room = json!({ "name": "Hall" });
    let made = ask(two.admin, "POST", "/api/v1/rooms", &BY_KEY, Some(&room)).await;
    assert_eq!((made.status, &made.body["data"]["name"]), (201, &json!("Hall")));
    let listed = ask(two.admin, "GET", "/api/v1/rooms", &BY_KEY, None).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let archived = json!({ "archived": true });
    let closed = ask(two.admin, "PATCH", "/api/v1/rooms/Hall", &BY_KEY, Some(&archived)).await;
    assert_eq!(closed.body["data"]["archived"], true);
}

#[tokio::test]
async fn where_rooms_have_to_be_made_no_other_is_entered() {
    let settings = [&QUICK[..], &["--rooms", "created"]].concat();
    let replica = Replica::start(None, &settings).await;
    let mut plum = Socket::open(replica.public).await;
    plum.hello(&key(), "fresh", "hall", None).await;
    plum.until(|frame| matches!(frame, ServerFrame::Error { code: ErrorCode::BadRoom, .. })).await;
    let post = json!({ "client": key(), "name": "Plum", "n": 1, "text": "hello" });
    let path = "/api/v1/rooms/hall/messages";
    assert_eq!(http(replica.public, "POST", path, Some(&post)).await.0, 403);
    assert_eq!(http(replica.public, "GET", path, None).await.0, 403);
    // Nor does one that speaks before it is told so make the room.
    let mut hasty = Socket::open(replica.public).await;
    hasty.hello(&key(), "fresh", "hall", None).await;
    hasty.send("hall", 1, "here I am").await;
    hasty
        .until(|frame| matches!(frame, ServerFrame::Reject { code: RejectCode::NotJoined, .. }))
        .await;
    let room = json!({ "name": "hall" });
    let made = ask(replica.public, "POST", "/api/v1/rooms", &BY_KEY, Some(&room)).await;
    assert_eq!(made.status, 201, "{made:?}");
    plum.say(&json!({ "type": "join", "room": "hall" })).await;
    plum.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    // A roll tries its slots in rooms that nobody makes.
    let probe = "/api/v1/rooms/rollcall-probe-1/messages";
    assert_eq!(http(replica.public, "POST", probe, Some(&post)).await.0, 200);
}
