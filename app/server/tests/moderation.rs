//! What moderators do to a room is obeyed on every replica, and its people are told.

mod support;

use std::time::Duration;

use rollcall_protocol::{Access, EntryId, ErrorCode, Kind, Member, RejectCode, ServerFrame};
use rollcall_server::{
    log::{Change, Changed, Log},
    moderation::{Actor, Wishes},
    session::member_of,
};
use serde_json::json;
use support::{
    Redis, Replica, Socket, assert_chain, http, is_leave, key,
    logs::{bounds, redis_log},
    messages,
};

const ROOM: &str = "vault";

/// Somebody who made the room.
fn owner() -> Actor {
    let member = Member { member: "0123456789abcdef".to_owned(), name: "Teal".to_owned() };
    Actor { member, mark: None, has_power: false }
}

async fn changed(log: &Log, change: Change) -> EntryId {
    match log.change(&change).await.expect("an answer") {
        Changed::Yes(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Two replicas, and the log as a third would have it.
async fn stack() -> (Redis, Replica, Replica, Log) {
    let redis = Redis::start().await;
    let one = Replica::start(Some(&redis), &[]).await;
    let two = Replica::start(Some(&redis), &[]).await;
    let log = redis_log(&redis, bounds());
    (redis, one, two, log)
}

async fn until_room(socket: &mut Socket) -> ServerFrame {
    let frames = socket.until(|frame| matches!(frame, ServerFrame::Room { .. })).await;
    frames.into_iter().next_back().expect("a frame")
}

fn member_in(frames: &[ServerFrame]) -> Member {
    let joined = frames.iter().find_map(|frame| match frame {
        ServerFrame::Joined { members, .. } => members.first().cloned(),
        _ => None,
    });
    joined.expect("a list of members")
}

fn is_error(frame: &ServerFrame, wanted: ErrorCode) -> bool {
    matches!(frame, ServerFrame::Error { code, room, .. } if *code == wanted && room.as_deref() == Some(ROOM))
}

#[tokio::test]
async fn a_room_that_is_frozen_tells_everybody_and_refuses_on_every_replica() {
    let (_redis, one, two, log) = stack().await;
    let (mut teal, _) = Socket::join(one.public, &key(), ROOM, None).await;
    let (mut plum, _) = Socket::join(two.public, &key(), ROOM, None).await;
    changed(&log, owner().make(ROOM, Access::Open, "Doors", 1)).await;
    let frozen = Wishes { frozen: Some(true), slow_ms: Some(5_000), ..Wishes::default() };
    changed(&log, owner().wish(ROOM, &frozen).expect("a change")).await;
    for socket in [&mut teal, &mut plum] {
        let told = loop {
            match until_room(socket).await {
                ServerFrame::Room { state, you, .. } if state.frozen => break (state, you),
                _ => {}
            }
        };
        assert_eq!((told.0.topic.as_str(), told.0.slow_ms), ("Doors", 5_000));
        assert_eq!(told.0.owner.as_deref(), Some("0123456789abcdef"));
        assert!(!told.1.moderates);
        socket.send(ROOM, 1, "may I?").await;
        let frames = socket.until(|frame| matches!(frame, ServerFrame::Reject { .. })).await;
        let Some(ServerFrame::Reject { code, retry_ms, .. }) = frames.last() else { panic!() };
        assert_eq!((*code, *retry_ms), (RejectCode::ReadOnly, None));
    }
    // A newcomer is told at once, before it is live; its chain has the notices.
    let (_lime, frames) = Socket::join(one.public, &key(), ROOM, Some(EntryId::ZERO)).await;
    assert!(frames.iter().any(|f| matches!(f, ServerFrame::Room { state, .. } if state.frozen)));
    let told = messages(&frames);
    assert_chain(EntryId::ZERO, &told);
    assert!(told.iter().all(|message| message.extra.kind == Some(Kind::Notice)));
    let end = Wishes { frozen: Some(false), ..Wishes::default() };
    changed(&log, owner().wish(ROOM, &end).expect("a change")).await;
    plum.send_acked(ROOM, 1, "thanks").await;
}

#[tokio::test]
async fn who_is_banned_leaves_the_room_wherever_they_are_and_cannot_come_back() {
    let (_redis, one, two, log) = stack().await;
    let (mut teal, _) = Socket::join(one.public, &key(), ROOM, None).await;
    let plum_key = key();
    let (mut plum, frames) = Socket::join(two.public, &plum_key, ROOM, None).await;
    let who = member_in(&frames);
    changed(&log, owner().make(ROOM, Access::Open, "", 1)).await;
    changed(&log, owner().ban(ROOM, &who, None, 1)).await;
    plum.until(|frame| is_error(frame, ErrorCode::Banned)).await;
    let left = teal.until(is_leave).await;
    assert!(
        matches!(left.last(), Some(ServerFrame::Presence { member, .. }) if *member == who.member)
    );
    // The connection goes on: other rooms are not concerned.
    plum.say(&json!({ "type": "join", "room": "hall" })).await;
    plum.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    plum.send_acked("hall", 1, "still here").await;
    // On another replica it is the same.
    let mut again = Socket::open(one.public).await;
    again.hello(&plum_key, "resume", ROOM, None).await;
    again.until(|frame| is_error(frame, ErrorCode::Banned)).await;
    changed(&log, owner().unban(ROOM, &who)).await;
    tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            again.say(&json!({ "type": "join", "room": ROOM })).await;
            let frames = again
                .until(|frame| {
                    is_error(frame, ErrorCode::Banned) || matches!(frame, ServerFrame::Live { .. })
                })
                .await;
            if matches!(frames.last(), Some(ServerFrame::Live { .. })) {
                return;
            }
        }
    })
    .await
    .expect("they may come back");
}

/// They were told all of the past, and what was said after the ban, for as long as they took to read it.
#[tokio::test]
async fn who_is_banned_while_they_read_a_long_past_hears_nothing_that_comes_then() {
    let redis = Redis::start().await;
    redis.command(&["CONFIG", "SET", "appendfsync", "no"]).await;
    let fast = ["--rate-client", "100000", "--rate-room", "100000", "--rate-address", "100000"];
    let replica = Replica::start(Some(&redis), &fast).await;
    let log = redis_log(&redis, bounds());
    changed(&log, owner().make(ROOM, Access::Open, "", 1)).await;
    let (mut teal, _) = Socket::join(replica.public, &key(), ROOM, None).await;
    for n in 1..=800 {
        teal.send(ROOM, n, &"x".repeat(4000)).await;
        teal.messages(1).await;
    }
    let plum_key = key();
    let mut plum = Socket::stuck(replica.public, &plum_key, ROOM, EntryId::ZERO).await;
    teal.until(|frame| matches!(frame, ServerFrame::Presence { .. })).await;
    let who = Member { member: member_of(&plum_key), name: "Plum".to_owned() };
    changed(&log, owner().ban(ROOM, &who, None, 1)).await;
    // Told of the ban by a message in the log.
    teal.messages(1).await;
    teal.send_acked(ROOM, 801, "secret").await;
    let told = plum.until(|frame| is_error(frame, ErrorCode::Banned)).await;
    let heard = messages(&told);
    assert!(heard.len() < 800 && heard.iter().all(|it| it.text != "secret"), "{}", heard.len());
}

#[tokio::test]
async fn who_is_asked_to_leave_is_told_so() {
    let (_redis, one, _two, log) = stack().await;
    let (mut plum, frames) = Socket::join(one.public, &key(), ROOM, None).await;
    let made = changed(&log, owner().make(ROOM, Access::Open, "", 1)).await;
    let kick = owner().kick(ROOM, &member_in(&frames), made.ms);
    changed(&log, kick).await;
    plum.until(|frame| is_error(frame, ErrorCode::Kicked)).await;
}

#[tokio::test]
async fn a_private_room_is_closed_to_strangers_on_every_way() {
    let (_redis, one, two, log) = stack().await;
    changed(&log, owner().make(ROOM, Access::Private, "", 1)).await;
    for replica in [&one, &two] {
        let mut plum = Socket::open(replica.public).await;
        plum.hello(&key(), "fresh", ROOM, None).await;
        plum.until(|frame| is_error(frame, ErrorCode::Private)).await;
        plum.fence(1).await;
        for way in ["events", "messages"] {
            let path = format!("/api/v1/rooms/{ROOM}/{way}");
            assert_eq!(http(replica.public, "GET", &path, None).await.0, 403, "{way}");
        }
        let body = json!({ "client": key(), "name": "Plum", "n": 1, "text": "let me in" });
        let path = format!("/api/v1/rooms/{ROOM}/messages");
        let (status, body) = http(replica.public, "POST", &path, Some(&body)).await;
        assert_eq!(status, 403, "{body}");
    }
}

#[tokio::test]
async fn an_edit_and_a_removal_reach_everybody_as_entries_of_their_own() {
    let (_redis, one, two, _log) = stack().await;
    let (mut teal, _) = Socket::join(one.public, &key(), ROOM, None).await;
    let (mut plum, _) = Socket::join(two.public, &key(), ROOM, None).await;
    let id = teal.send_acked(ROOM, 1, "hello wrold").await;
    plum.messages(1).await;
    let edit = json!({ "type": "send", "room": ROOM, "n": 2, "text": "hello world", "edit": id });
    teal.say(&edit).await;
    let told = plum.messages(1).await.remove(0);
    assert_eq!(
        (told.text.as_str(), told.extra.kind, told.extra.of),
        ("hello world", Some(Kind::Edit), Some(id))
    );
    plum.say(&json!({ "type": "send", "room": ROOM, "n": 1, "text": "", "remove": id })).await;
    let frames = plum.until(|frame| matches!(frame, ServerFrame::Reject { .. })).await;
    assert!(matches!(frames.last(), Some(ServerFrame::Reject { code: RejectCode::NotYours, .. })));
    teal.say(&json!({ "type": "send", "room": ROOM, "n": 3, "text": "", "remove": id })).await;
    let told = plum.messages(1).await.remove(0);
    assert_eq!(
        (told.text.as_str(), told.extra.kind, told.extra.of),
        ("", Some(Kind::Remove), Some(id))
    );
    // A refused number is free: what is said next has it.
    plum.send_acked(ROOM, 1, "well").await;
}
