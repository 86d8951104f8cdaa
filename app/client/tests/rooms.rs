//! What rooms tell of themselves, edits and removals, and rooms that a client is put out of.
#![allow(missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod script;

use rollcall_client::{Change, Client, Event, SendError};
use rollcall_protocol::{
    ClientFrame, ErrorCode, Extra, Kind, Message, RejectCode, RoomState, ServerFrame, Standing, Why,
};
use script::{
    Peer, ROOM, Script, ack, entry, goaway, id, live_at, messages, moved, own_entry, seen, soon,
};
use serde_json::json;

/// A client that is live where edits are known.
async fn live(script: &Script) -> (rollcall_client::Handle, rollcall_client::Events, Peer) {
    let (handle, mut events) = Client::start(script.config());
    let mut peer = script.accept().await;
    peer.serve_all("r1", 5).await;
    assert!(soon(events.all_live()).await);
    (handle, events, peer)
}

/// The next `send`, of any kind: its number, its text, and what it is about.
async fn sent(peer: &mut Peer) -> (u64, String, Option<Change>) {
    loop {
        match peer.receive().await {
            ClientFrame::Send { n, text, edit, remove, .. } => {
                let change = edit.map(Change::Edit).or(remove.map(Change::Remove));
                return (n, text, change);
            }
            ClientFrame::Ping { .. } => {}
            other => panic!("{other:?} instead of a send"),
        }
    }
}

fn refusal(room: &str, code: &str) -> serde_json::Value {
    json!({ "type": "error", "code": code, "detail": "for a reason", "room": room })
}

fn put_out(event: Event) -> Option<(String, ErrorCode)> {
    match event {
        Event::PutOut { room, code, .. } => Some((room, code)),
        Event::Disconnected { loss, .. } => panic!("{loss}"),
        _ => None,
    }
}

fn rejected(event: Event) -> Option<(u64, RejectCode, String, bool)> {
    match event {
        Event::Rejected { ticket, code, text, retried, .. } => Some((ticket, code, text, retried)),
        _ => None,
    }
}

#[tokio::test]
async fn an_edit_and_a_removal_go_out_once_and_in_turn_over_a_loss() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live(&script).await;
    assert_eq!(handle.send(ROOM, "helo").await, Ok(1));
    assert_eq!(sent(&mut peer).await, (1, "helo".to_owned(), None));
    peer.send(ack(1)).await;
    let it = id(101);
    assert_eq!(handle.edit(ROOM, it, "hello").await, Ok(2));
    assert_eq!(handle.remove(ROOM, it).await, Ok(3));
    assert_eq!(sent(&mut peer).await, (2, "hello".to_owned(), Some(Change::Edit(it))));
    assert_eq!(sent(&mut peer).await, (3, String::new(), Some(Change::Remove(it))));
    drop(peer); // of these the log took the first

    let mut peer = script.accept().await;
    let features = json!({ "features": ["edit"] });
    peer.welcome_with("r2", 60_000, &features).await;
    peer.joined(6).await;
    let ServerFrame::Message(message) = own_entry(6, 2, "hello") else { unreachable!() };
    let extra = Extra { kind: Some(Kind::Edit), of: Some(it), ..Extra::default() };
    peer.send(ServerFrame::Message(Message { extra, ..message })).await;
    peer.live(6).await;
    assert_eq!(sent(&mut peer).await, (3, String::new(), Some(Change::Remove(it))), "only that");
    peer.send(ack(3)).await;
    for change in [None, Some(Change::Edit(it)), Some(Change::Remove(it))] {
        let acked = seen(&mut events, |event| match event {
            Event::Acked { change, .. } => Some(change),
            _ => None,
        });
        assert_eq!(acked.await, change);
    }
}

/// It would take them for messages.
#[tokio::test]
async fn a_release_that_knows_no_edits_is_sent_none() {
    let script = Script::listen().await;
    let (handle, _events, _peer) = live_at(&script, 5).await;
    assert_eq!(handle.edit(ROOM, id(3), "new").await, Err(SendError::NotSupported));
    assert_eq!(handle.remove(ROOM, id(3)).await, Err(SendError::NotSupported));
}

#[tokio::test]
async fn an_edit_under_way_to_such_a_release_is_given_back() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live(&script).await;
    assert_eq!(handle.edit(ROOM, id(3), "new").await, Ok(1));
    assert_eq!(handle.edit(ROOM, id(4), "newer").await, Ok(2));
    assert_eq!(handle.send(ROOM, "after them").await, Ok(3));
    assert_eq!(sent(&mut peer).await.0, 1);
    drop(peer);
    let mut old = script.accept().await;
    old.serve("r2", 5).await;
    // The first may be in the log, and the second was never sent.
    let told = seen(&mut events, |event| match event {
        Event::Unknown { ticket, text, .. } => Some((ticket, text)),
        _ => None,
    });
    assert_eq!(told.await, (1, "new".to_owned()));
    let (ticket, _, text, retried) = seen(&mut events, rejected).await;
    assert_eq!((ticket, text.as_str(), retried), (2, "newer", false));
    assert_eq!(sent(&mut old).await, (3, "after them".to_owned(), None));
}

/// A release before tells an edit as if it were a message.
#[tokio::test]
async fn an_edit_is_known_again_where_its_kind_is_not_told() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live(&script).await;
    handle.edit(ROOM, id(3), "new").await.expect("a ticket");
    assert_eq!(sent(&mut peer).await.0, 1);
    drop(peer);
    let mut old = script.accept().await;
    old.welcome("r2", 60_000).await;
    old.joined(6).await;
    old.send(own_entry(6, 1, "new")).await;
    old.live(6).await;
    let acked = seen(&mut events, |event| match event {
        Event::Acked { ticket, id, .. } => Some((ticket, id)),
        Event::Unknown { .. } => panic!("it was seen"),
        _ => None,
    });
    assert_eq!(acked.await, (1, Some(id(6))));
}

#[tokio::test]
async fn what_is_refused_for_good_comes_back_with_its_text() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live(&script).await;
    handle.send(ROOM, "let me in").await.expect("a ticket");
    assert_eq!(sent(&mut peer).await.0, 1);
    let reject = |n: u64, code: &str, retry: Option<u64>| {
        let detail = "for a reason";
        let mut it =
            json!({ "type": "reject", "room": ROOM, "n": n, "code": code, "detail": detail });
        if let Some(retry) = retry {
            it["retry_ms"] = retry.into();
        }
        it
    };
    // Slow mode is a matter of time.
    peer.say(&reject(1, "slow_mode", Some(1))).await;
    let told = seen(&mut events, rejected).await;
    assert_eq!(told, (1, RejectCode::SlowMode, "let me in".to_owned(), true));
    assert_eq!(sent(&mut peer).await.0, 1);
    for (ticket, code, known) in [
        (1, "read_only", RejectCode::ReadOnly),
        (2, "muted", RejectCode::Muted),
        (3, "not_yours", RejectCode::NotYours),
    ] {
        peer.say(&reject(1, code, None)).await;
        let told = seen(&mut events, rejected).await;
        assert_eq!(told, (ticket, known, "let me in".to_owned(), false));
        handle.send(ROOM, "let me in").await.expect("a ticket");
        assert_eq!(sent(&mut peer).await.0, 1, "the number is free");
    }
}

#[tokio::test]
async fn the_state_of_a_room_is_told() {
    let script = Script::listen().await;
    let (_handle, mut events, mut peer) = live(&script).await;
    let (room, topic) = (ROOM.to_owned(), "gears".to_owned());
    let state = RoomState { topic, slow_ms: 2_000, ..RoomState::default() };
    let you = Standing { moderates: true, muted_until: None };
    peer.send(ServerFrame::Room { room, state: state.clone(), you: you.clone() }).await;
    let told = seen(&mut events, |event| match event {
        Event::RoomState { state, you, .. } => Some((state, you)),
        _ => None,
    });
    assert_eq!(told.await, (state, you));
}

#[tokio::test]
async fn whoever_is_put_out_of_a_room_goes_on_in_the_others() {
    for code in ["banned", "private", "kicked"] {
        let script = Script::listen().await;
        let (handle, mut events, mut peer) = live(&script).await;
        handle.join("den", None).await.expect("a client that lives");
        assert!(matches!(peer.receive().await, ClientFrame::Join { room, .. } if room == "den"));
        peer.enter("den").await;
        seen(&mut events, |event| {
            matches!(event, Event::Live { room } if room == "den").then_some(())
        })
        .await;
        for text in ["one", "two"] {
            handle.send("den", text).await.expect("a ticket");
        }
        assert_eq!(sent(&mut peer).await.0, 1);
        peer.say(&refusal("den", code)).await;
        assert_eq!(seen(&mut events, put_out).await.0, "den");
        // What has gone out is answered; what has not is given back.
        let (ticket, _, text, retried) = seen(&mut events, rejected).await;
        assert_eq!((ticket, text.as_str(), retried), (2, "two", false));
        assert_eq!(handle.send("den", "three").await, Err(SendError::NotInRoom));
        peer.say(&json!({ "type": "ack", "room": "den", "n": 1, "id": "9-0", "duplicate": false }))
            .await;
        seen(&mut events, |event| matches!(event, Event::Acked { ticket: 1, .. }).then_some(()))
            .await;

        peer.send(entry(6)).await;
        assert_eq!(messages(&mut events, 1).await, [6], "the other room goes on");
        drop(peer);
        let peer = script.accept().await;
        assert_eq!(peer.rooms.len(), 1, "{code}: not asked for again");
    }
}

/// What had gone out and has lost its answer with the connection is told to be unknown: nobody looks into that room again.
#[tokio::test]
async fn an_answer_that_is_lost_with_a_room_is_told() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live(&script).await;
    handle.send(ROOM, "one").await.expect("a ticket");
    assert_eq!(sent(&mut peer).await.0, 1);
    peer.say(&refusal(ROOM, "kicked")).await;
    assert_eq!(seen(&mut events, put_out).await.1, ErrorCode::Kicked);
    drop(peer);
    let told = seen(&mut events, |event| match event {
        Event::Unknown { ticket, text, .. } => Some((ticket, text)),
        _ => None,
    });
    assert_eq!(told.await, (1, "one".to_owned()));
}

#[tokio::test]
async fn a_move_does_not_fail_for_a_room_that_is_closed_to_the_client() {
    let script = Script::listen().await;
    let (handle, mut events, mut old) = live(&script).await;
    handle.join("den", None).await.expect("a client that lives");
    assert!(matches!(old.receive().await, ClientFrame::Join { .. }));
    old.enter("den").await;
    seen(&mut events, |event| matches!(event, Event::Live { room } if room == "den").then_some(()))
        .await;
    old.send(goaway(0)).await;
    let mut new = script.accept().await;
    assert_eq!((new.why, new.rooms.len()), (Why::Move, 2));
    new.welcome_with("r2", 60_000, &json!({ "features": ["edit"] })).await;
    new.say(&refusal("den", "banned")).await;
    assert_eq!(seen(&mut events, put_out).await, ("den".to_owned(), ErrorCode::Banned));
    let left = soon(old.receive()).await;
    assert!(matches!(&left, ClientFrame::Leave { room } if room == "den"), "{left:?}");
    // The first tells it, too.
    old.say(&refusal("den", "banned")).await;
    let state = json!({ "type": "joined", "room": ROOM, "head": "5-0", "status": "resumed", "present": 0, "members": [] });
    new.say(&state).await;
    new.live(5).await;
    let told = seen(&mut events, |event| match put_out(event.clone()) {
        Some(again) => panic!("{again:?} was told before"),
        None => moved(event),
    });
    assert_eq!(told.await.1, "r2");
    assert_eq!(old.closed().await, Some(1000));
}

#[tokio::test]
async fn a_room_that_a_client_was_put_out_of_can_be_asked_for_again() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live(&script).await;
    peer.say(&refusal(ROOM, "kicked")).await;
    seen(&mut events, put_out).await;
    handle.join(ROOM, None).await.expect("a client that lives");
    let asked = peer.receive().await;
    assert!(matches!(asked, ClientFrame::Join { after: None, .. }), "{asked:?}");
    peer.enter(ROOM).await;
    handle.send(ROOM, "back").await.expect("a ticket");
    assert_eq!(sent(&mut peer).await.1, "back");
}
