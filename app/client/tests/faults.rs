//! The client against a server that plays scripts: faults that were seen, by their numbers in the name.
#![allow(missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod script;

use std::time::Duration;

use rollcall_client::{Client, Config, Event, Final};
use rollcall_protocol::{ClientFrame, GapReason, LogStatus, ServerFrame, Why};
use script::{
    ROOM, Script, ack, entry, goaway, id, isolated, live_at, messages, moved, own_entry, seen,
    soon, told,
};

fn acked(event: Event) -> Option<(u64, bool)> {
    match event {
        Event::Acked { ticket, duplicate, .. } => Some((ticket, duplicate)),
        _ => None,
    }
}

/// 25 hours later the log remembers no number of this member: sent again, the message would be there twice.
#[tokio::test]
async fn s5_a_message_seen_in_catch_up_is_not_sent_again() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    for text in ["one", "two"] {
        handle.send(ROOM, text).await.expect("a ticket");
    }
    assert_eq!(peer.receive_send().await, (1, "one".to_owned()));
    drop(peer);
    let mut peer = script.accept().await;
    peer.welcome("r2", 60_000).await;
    peer.joined(6).await;
    peer.send(own_entry(6, 1, "one")).await;
    peer.live(6).await;
    assert_eq!(seen(&mut events, acked).await, (1, true));
    assert_eq!(peer.receive_send().await, (2, "two".to_owned()), "and nothing before it");
}

/// During a move either connection may bring what the first one never answers.
#[tokio::test]
async fn s5_the_second_connection_of_a_move_tells_what_was_taken() {
    let script = Script::listen().await;
    let (handle, mut events, mut old) = live_at(&script, 5).await;
    handle.send(ROOM, "one").await.expect("a ticket");
    assert_eq!(old.receive_send().await.0, 1);
    old.send(goaway(0)).await;
    let mut new = script.accept().await;
    new.welcome("r2", 60_000).await;
    new.joined(6).await;
    new.send(own_entry(6, 1, "one")).await;
    new.live(6).await;
    assert_eq!(seen(&mut events, acked).await, (1, true));
    handle.send(ROOM, "two").await.expect("a ticket");
    assert_eq!(new.receive_send().await, (2, "two".to_owned()), "and nothing before it");
}

#[tokio::test]
async fn s5_what_a_gap_may_hide_is_unknown() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    handle.send(ROOM, "one").await.expect("a ticket");
    assert_eq!(peer.receive_send().await.0, 1);
    drop(peer);
    let mut peer = script.accept().await;
    peer.welcome("r2", 60_000).await;
    peer.joined(9).await;
    let (room, reason) = (ROOM.to_owned(), GapReason::Trimmed);
    peer.send(ServerFrame::Gap { room, after: id(5), resumes_at: id(9), reason }).await;
    peer.live(9).await;
    let unknown = seen(&mut events, |event| match event {
        Event::Unknown { ticket, n, .. } => Some((ticket, n)),
        _ => None,
    });
    assert_eq!(unknown.await, (1, 1));
    handle.send(ROOM, "two").await.expect("a ticket");
    assert_eq!(peer.receive_send().await, (2, "two".to_owned()));
}

#[tokio::test]
async fn s10_a_refusal_of_the_second_connection_is_a_failed_move() {
    let script = Script::listen().await;
    let (handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(goaway(0)).await;
    for code in [4401, 1008] {
        let mut young = script.accept().await;
        if code == 1008 {
            young.welcome("r2", 60_000).await;
        }
        young.close(code).await;
    }
    handle.send(ROOM, "still here").await.expect("a client that goes on");
    assert_eq!(old.receive_send().await.0, 1);
    let mut new = script.accept().await;
    assert_eq!(new.why, Why::Move);
    new.serve("r2", 5).await;
    let moved = seen(&mut events, |event| match event {
        Event::Moved { silence, .. } => Some(silence),
        Event::Ended(end) => panic!("{end:?}"),
        _ => None,
    });
    assert_eq!(moved.await, Duration::ZERO);
}

/// A replica at its limit of rooms must not make the client leave one that another replica serves.
#[tokio::test]
async fn s10_a_room_refused_to_the_second_connection_is_a_failed_move() {
    let script = Script::listen().await;
    let (_handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(goaway(0)).await;
    let mut young = script.accept().await;
    young.welcome("r2", 60_000).await;
    young.refuse(ROOM).await;
    let mut new = script.accept().await;
    old.send(entry(6)).await;
    assert_eq!(messages(&mut events, 1).await, [6]);
    new.welcome("r3", 60_000).await;
    new.joined(6).await;
    new.live(6).await;
    let moved = seen(&mut events, |event| match event {
        Event::Moved { to, silence, .. } => Some((to, silence)),
        _ => None,
    });
    assert_eq!(moved.await, ("r3".to_owned(), Duration::ZERO));
}

#[tokio::test]
async fn s13_the_room_too_many_is_refused_once() {
    let script = Script::listen().await;
    let rooms: Vec<_> = (0..65).map(|number| format!("room {number:02}")).collect();
    let rooms: Vec<_> = rooms.iter().map(String::as_str).collect();
    let mut config = Config::new(&script.config().url, "Teal", &rooms);
    config.seed = Some(7);
    let (_handle, mut events) = Client::start(config);
    let mut peer = script.accept().await;
    assert_eq!(peer.rooms.len(), 64, "a hello that passes");
    peer.welcome("r1", 60_000).await;
    let join = peer.receive().await;
    assert_eq!(join, ClientFrame::join("room 64", None));
    peer.refuse("room 64").await;
    assert_eq!(seen(&mut events, told).await, "refused");
    drop(peer);
    let mut peer = script.accept().await;
    assert_eq!(peer.rooms.len(), 64);
    peer.welcome("r1", 60_000).await;
    for room in peer.rooms.clone() {
        peer.enter(&room.room).await;
    }
    assert!(soon(events.all_live()).await, "and the one that was refused is not missed");
}

#[tokio::test]
async fn s13_rooms_that_a_hello_cannot_hold_are_joined_after_it() {
    let script = Script::listen().await;
    let rooms: Vec<_> = (0..64).map(|number| format!("{}{number:02}", "🦀".repeat(62))).collect();
    let rooms: Vec<_> = rooms.iter().map(String::as_str).collect();
    let mut config = Config::new(&script.config().url, "Teal", &rooms);
    config.seed = Some(7);
    let (_handle, mut events) = Client::start(config);
    for known in [false, true] {
        let mut peer = script.accept().await;
        assert!(peer.hello_bytes <= 16_384, "{} bytes", peer.hello_bytes);
        peer.welcome("r1", 60_000).await;
        let mut entered: Vec<_> = peer.rooms.iter().map(|room| room.room.clone()).collect();
        while entered.len() < 64 {
            let ClientFrame::Join { room, after, .. } = peer.receive().await else {
                panic!("a join")
            };
            assert_eq!(after.is_some(), known);
            entered.push(room);
        }
        for room in entered {
            peer.enter(&room).await;
        }
        assert!(soon(events.all_live()).await);
    }
}

fn log(event: Event) -> Option<(bool, usize)> {
    match event {
        Event::Log { up, kept } => Some((up, kept)),
        _ => None,
    }
}

#[tokio::test]
async fn what_is_sent_while_the_log_is_away_is_kept_and_goes_out_when_it_is_back() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    peer.send(ServerFrame::Status { log: LogStatus::Away }).await;
    assert_eq!(seen(&mut events, log).await, (false, 0));
    handle.send(ROOM, "one").await.expect("a ticket");
    handle.typing(ROOM).await.expect("a client");
    assert_eq!(peer.receive().await, ClientFrame::Typing { room: ROOM.to_owned() }, "no send");
    peer.send(ServerFrame::Status { log: LogStatus::Up }).await;
    assert_eq!(seen(&mut events, log).await, (true, 1));
    assert_eq!(peer.receive_send().await, (1, "one".to_owned()));
}

#[tokio::test]
async fn an_isolated_replica_that_has_the_log_again_keeps_its_client() {
    let script = Script::listen().await;
    let (handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(ServerFrame::Status { log: LogStatus::Away }).await;
    old.send(isolated()).await;
    script.refuse().await;
    let mut young = script.accept().await;
    assert_eq!(young.why, Why::Move);
    young.welcome("r2", 60_000).await;
    old.send(ServerFrame::Status { log: LogStatus::Up }).await;
    assert_eq!(young.closed().await, Some(1000), "the attempt is given up");
    handle.send(ROOM, "one").await.expect("a ticket");
    assert_eq!(old.receive_send().await.0, 1);
    old.send(ack(1)).await;
    assert_eq!(seen(&mut events, acked).await, (1, false));
    old.send(goaway(0)).await;
    let mut new = script.accept().await;
    new.serve("r2", 5).await;
    assert_eq!(seen(&mut events, moved).await.1, "r2");
}

#[tokio::test]
async fn a_client_of_an_isolated_replica_moves_to_one_that_delivers() {
    let script = Script::listen().await;
    let (handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(ServerFrame::Status { log: LogStatus::Away }).await;
    assert_eq!(seen(&mut events, log).await, (false, 0));
    old.send(isolated()).await;
    handle.send(ROOM, "one").await.expect("a ticket");
    let mut new = script.accept().await;
    new.serve("r2", 5).await;
    assert_eq!(seen(&mut events, log).await, (true, 1));
    assert_eq!(seen(&mut events, moved).await.1, "r2");
    assert_eq!(new.receive_send().await, (1, "one".to_owned()));
}

/// S24: the protocol calls them final.
#[tokio::test]
async fn s24_a_handshake_that_no_try_changes_ends_the_client() {
    for status in [403, 426] {
        let script = Script::listen().await;
        let (_handle, mut events) = Client::start(script.config());
        script.answer(status).await;
        let ended = seen(&mut events, |event| match event {
            Event::Ended(result) => Some(result),
            _ => None,
        });
        assert_eq!(ended.await, Err(Final::Handshake(status)));
    }
    let script = Script::listen().await;
    let (_handle, mut events) = Client::start(script.config());
    for status in [400, 404, 429, 500, 502, 503, 504] {
        script.answer(status).await;
    }
    script.accept().await.serve("r1", 5).await;
    assert!(soon(events.all_live()).await);
}
