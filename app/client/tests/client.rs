//! The client against a server that plays scripts: moves, losses, refusals.
#![allow(missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod script;

use std::time::Duration;

use rollcall_client::{Client, Event, Final, Loss, SendError};
use rollcall_protocol::{ClientFrame, ErrorCode, GapReason, RejectCode, ServerFrame, Why};
use script::{ROOM, Script, ack, entry, goaway, id, live_at, messages, moved, seen, soon, told};
use serde_json::json;

fn disconnected(event: Event) -> Option<(Loss, bool)> {
    match event {
        Event::Disconnected { loss, abrupt, .. } => Some((loss, abrupt)),
        _ => None,
    }
}

fn acked(event: Event) -> Option<(u64, bool)> {
    match event {
        Event::Acked { ticket, duplicate, .. } => Some((ticket, duplicate)),
        _ => None,
    }
}

#[tokio::test]
async fn a_move_overlaps_and_delivers_each_message_once() {
    let script = Script::listen().await;
    let (_handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(entry(6)).await;
    assert_eq!(messages(&mut events, 1).await, [6]);
    old.send(goaway(0)).await;
    let mut new = script.accept().await;
    assert_eq!((new.why, new.after()), (Why::Move, Some(id(6))));
    old.send(entry(7)).await;
    new.welcome("r2", 60_000).await;
    new.joined(8).await;
    new.send(entry(7)).await;
    new.send(entry(8)).await;
    old.send(entry(8)).await;
    old.send(entry(9)).await;
    assert_eq!(messages(&mut events, 3).await, [7, 8, 9]);
    new.live(8).await;
    let (from, to, silence) = seen(&mut events, moved).await;
    assert_eq!((from.as_str(), to.as_str(), silence), ("r1", "r2", Duration::ZERO));
    new.send(entry(9)).await;
    new.send(entry(10)).await;
    assert_eq!(messages(&mut events, 1).await, [10]);
    assert_eq!(old.closed().await, Some(1000), "closed without bye");
}

#[tokio::test]
async fn a_goaway_for_balance_is_a_move_like_any() {
    let script = Script::listen().await;
    let (_handle, mut events, mut old) = live_at(&script, 5).await;
    let reason = "rebalance".to_owned();
    // No deadline: the replica goes on, and closes nobody.
    old.send(ServerFrame::Goaway { in_ms: 0, deadline_ms: 86_400_000, reason }).await;
    let mut new = script.accept().await;
    assert_eq!(new.why, Why::Move);
    old.send(entry(6)).await;
    assert_eq!(messages(&mut events, 1).await, [6], "the old one serves meanwhile");
    // Perhaps to the same replica: then what was new a moment ago is the old one.
    new.serve("r1", 6).await;
    assert_eq!(seen(&mut events, moved).await, ("r1".into(), "r1".into(), Duration::ZERO));
    assert_eq!(old.closed().await, Some(1000), "closed without bye");
}

#[tokio::test]
async fn the_new_connection_takes_over_only_when_live_in_every_room() {
    let script = Script::listen().await;
    let (handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(goaway(0)).await;
    let mut new = script.accept().await;
    new.welcome("r2", 60_000).await;
    new.joined(5).await;
    seen(&mut events, |event| matches!(event, Event::Joined { .. }).then_some(())).await;
    handle.send(ROOM, "before").await.expect("a ticket");
    assert_eq!(old.receive_send().await, (1, "before".to_owned()), "still on the old one");
    new.live(5).await;
    assert_eq!(new.receive_send().await, (1, "before".to_owned()), "unacknowledged: again");
    new.send(ack(1)).await;
    assert_eq!(seen(&mut events, acked).await.0, 1);
}

#[tokio::test]
async fn a_second_goaway_during_and_after_a_move_is_followed() {
    let script = Script::listen().await;
    let (_handle, mut events, mut first) = live_at(&script, 5).await;
    first.send(goaway(0)).await;
    let mut second = script.accept().await;
    second.welcome("r2", 60_000).await;
    second.send(goaway(0)).await;
    second.joined(5).await;
    second.live(5).await;
    assert_eq!(seen(&mut events, moved).await.1, "r2");
    let mut third = script.accept().await;
    third.serve("r3", 5).await;
    assert_eq!(seen(&mut events, moved).await, ("r2".into(), "r3".into(), Duration::ZERO));
    third.send(goaway(0)).await;
    let mut fourth = script.accept().await;
    fourth.serve("r1", 5).await;
    assert_eq!(seen(&mut events, moved).await.1, "r1");
}

#[tokio::test]
async fn a_move_that_finds_no_connection_tries_again_while_the_old_one_serves() {
    let script = Script::listen().await;
    let (_handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(goaway(0)).await;
    script.refuse().await;
    script.refuse().await;
    old.send(entry(6)).await;
    assert_eq!(messages(&mut events, 1).await, [6]);
    let mut new = script.accept().await;
    new.serve("r2", 6).await;
    assert_eq!(seen(&mut events, moved).await.2, Duration::ZERO);
}

#[tokio::test]
async fn an_old_connection_lost_in_mid_move_counts_as_silence() {
    let script = Script::listen().await;
    let (_handle, mut events, mut old) = live_at(&script, 5).await;
    old.send(goaway(0)).await;
    let mut new = script.accept().await;
    old.close(1012).await;
    assert!(matches!(
        seen(&mut events, disconnected).await,
        (Loss::Closed { code: 1012, .. }, false)
    ));
    new.serve("r2", 5).await;
    let (from, to, silence) = seen(&mut events, moved).await;
    assert_eq!((from.as_str(), to.as_str()), ("r1", "r2"));
    assert!(silence > Duration::ZERO);
}

#[tokio::test]
async fn an_abrupt_loss_is_told_and_resumed_with_everything_unacknowledged() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    handle.send(ROOM, "one").await.expect("a ticket");
    assert_eq!(peer.receive_send().await.0, 1);
    peer.send(ack(1)).await;
    for text in ["two", "three"] {
        handle.send(ROOM, text).await.expect("a ticket");
    }
    assert_eq!((peer.receive_send().await.0, peer.receive_send().await.0), (2, 3));
    drop(peer);
    let (_, abrupt) = seen(&mut events, disconnected).await;
    assert!(abrupt);
    let mut peer = script.accept().await;
    assert_eq!((peer.why, peer.after()), (Why::Resume, Some(id(5))));
    peer.serve("r2", 5).await;
    assert_eq!(peer.receive_send().await, (2, "two".to_owned()));
    peer.send(ack(2)).await;
    assert_eq!(peer.receive_send().await, (3, "three".to_owned()));
    let silence = seen(&mut events, |event| match event {
        Event::Silence { lasted } => Some(lasted),
        _ => None,
    });
    assert!(silence.await > Duration::ZERO);
}

#[tokio::test]
async fn out_of_order_and_a_bad_text_lead_to_renumbering() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    let reject = |n, code, expected| ServerFrame::Reject {
        room: ROOM.to_owned(),
        n,
        code,
        detail: String::new(),
        expected,
        retry_ms: None,
    };
    handle.send(ROOM, "one").await.expect("a ticket");
    assert_eq!(peer.receive_send().await.0, 1);
    peer.send(ack(1)).await;
    for text in ["bad", "three"] {
        handle.send(ROOM, text).await.expect("a ticket");
    }
    assert_eq!((peer.receive_send().await.0, peer.receive_send().await.0), (2, 3));
    peer.send(reject(2, RejectCode::BadText, None)).await;
    peer.send(reject(3, RejectCode::OutOfOrder, Some(2))).await;
    assert_eq!(peer.receive_send().await, (2, "three".to_owned()));
    peer.send(ack(2)).await;
    let dropped = seen(&mut events, |event| match event {
        Event::Rejected { ticket, retried: false, .. } => Some(ticket),
        _ => None,
    });
    assert_eq!(dropped.await, 2);
    let acked = seen(&mut events, |event| match event {
        Event::Acked { ticket, n, .. } => Some((ticket, n)),
        _ => None,
    });
    assert_eq!(acked.await, (3, 2), "the third message has the second number");
}

#[tokio::test]
async fn restart_comes_back_and_refusal_ends() {
    let script = Script::listen().await;
    let (_handle, mut events, peer) = live_at(&script, 5).await;
    peer.close(1012).await;
    let mut peer = script.accept().await;
    peer.serve("r2", 5).await;
    assert!(soon(events.all_live()).await);
    peer.close(1013).await;
    let mut peer = script.accept().await;
    peer.serve("r1", 5).await;
    assert!(soon(events.all_live()).await);
    peer.close(1008).await;
    let ended = seen(&mut events, |event| match event {
        Event::Ended(result) => Some(result),
        _ => None,
    });
    assert!(matches!(ended.await, Err(Final::Closed { code: 1008, .. })));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_refused_hello_ends_with_the_servers_reason() {
    let script = Script::listen().await;
    let (_handle, mut events) = Client::start(script.config());
    let mut peer = script.accept().await;
    let (code, detail) = (ErrorCode::BadName, "a name is missing".to_owned());
    peer.send(ServerFrame::Error { code, detail: detail.clone(), room: None }).await;
    peer.close(4401).await;
    let Some(Event::Ended(Err(Final::Closed { code: 4401, detail: told, .. }))) =
        events.next().await
    else {
        panic!("not ended");
    };
    assert_eq!(told, Some(detail));
}

#[tokio::test]
async fn a_gap_is_told_and_the_chain_goes_on_from_where_it_resumes() {
    let script = Script::listen().await;
    let (_handle, mut events, peer) = live_at(&script, 5).await;
    drop(peer);
    let mut peer = script.accept().await;
    peer.welcome("r1", 60_000).await;
    peer.joined(9).await;
    let (room, reason) = (ROOM.to_owned(), GapReason::Trimmed);
    peer.send(ServerFrame::Gap { room, after: id(5), resumes_at: id(8), reason }).await;
    peer.send(entry(9)).await;
    peer.live(9).await;
    let gap = seen(&mut events, |event| match event {
        Event::Gap { after, resumes_at, .. } => Some((after, resumes_at)),
        _ => None,
    });
    assert_eq!(gap.await, (id(5), id(8)));
    assert_eq!(messages(&mut events, 1).await, [9]);
}

/// During a roll a client is served by a later release, which has more to say than it knows.
#[tokio::test]
async fn a_code_of_a_later_release_is_no_protocol_error() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    handle.send(ROOM, "one").await.expect("a ticket");
    let reject = json!({ "type": "reject", "room": ROOM, "n": 1, "code": "cloudy", "detail": "" });
    let mut for_now = reject.clone();
    for_now["retry_ms"] = json!(1);
    for (reject, outcome) in [(for_now, "again"), (reject, "dropped")] {
        assert_eq!(peer.receive_send().await, (1, "one".to_owned()));
        peer.say(&reject).await;
        assert_eq!(seen(&mut events, told).await, outcome);
    }
    peer.say(&json!({ "type": "error", "code": "cloudy", "detail": "" })).await;
    assert_eq!(seen(&mut events, told).await, "refused");
    let mut gap = json!({ "type": "gap", "room": ROOM, "reason": "cloudy" });
    (gap["after"], gap["resumes_at"]) = (json!(id(5)), json!(id(8)));
    peer.say(&gap).await;
    assert_eq!(seen(&mut events, told).await, "gap");
    peer.send(entry(9)).await;
    assert_eq!(messages(&mut events, 1).await, [9]);
}

#[tokio::test]
async fn a_broken_chain_is_told_not_delivered_and_repaired() {
    let script = Script::listen().await;
    let (_handle, mut events, mut peer) = live_at(&script, 5).await;
    peer.send(entry(7)).await;
    let broken = seen(&mut events, |event| match event {
        Event::Broken { expected, got, .. } => Some((expected, got)),
        Event::Message { message, .. } => panic!("delivered {message:?}"),
        _ => None,
    });
    assert_eq!(broken.await, (id(5), id(6)));
    let mut peer = script.accept().await;
    assert_eq!(peer.after(), Some(id(5)));
    peer.welcome("r1", 60_000).await;
    peer.joined(7).await;
    peer.send(entry(6)).await;
    peer.send(entry(7)).await;
    peer.live(7).await;
    assert_eq!(messages(&mut events, 2).await, [6, 7]);
}

#[tokio::test]
async fn live_without_what_lies_before_it_is_a_broken_chain() {
    let script = Script::listen().await;
    let (_handle, mut events, peer) = live_at(&script, 5).await;
    drop(peer);
    let mut peer = script.accept().await;
    peer.serve("r1", 6).await;
    let broken = seen(&mut events, |event| matches!(event, Event::Broken { .. }).then_some(()));
    broken.await;
}

#[tokio::test]
async fn a_silent_server_is_given_up_after_two_and_a_half_heartbeats() {
    let script = Script::listen().await;
    let (_handle, mut events) = Client::start(script.config());
    let mut peer = script.accept().await;
    peer.welcome("r1", 400).await;
    peer.joined(5).await;
    peer.live(5).await;
    assert!(soon(events.all_live()).await);
    assert!(matches!(peer.receive().await, ClientFrame::Ping { .. }));
    let (loss, abrupt) = seen(&mut events, disconnected).await;
    assert_eq!((loss, abrupt), (Loss::Silent(Duration::from_millis(1_000)), true));
    let mut peer = script.accept().await;
    peer.serve("r2", 5).await;
    let silence = seen(&mut events, |event| match event {
        Event::Silence { lasted } => Some(lasted),
        _ => None,
    });
    let lasted = silence.await;
    assert!(lasted >= Duration::from_millis(1_000), "counted from the last frame: {lasted:?}");
}

#[tokio::test]
async fn a_slow_caller_stops_the_reading_and_misses_nothing() {
    let script = Script::listen().await;
    let mut config = script.config();
    config.events = 1;
    let (handle, mut events) = Client::start(config);
    let mut peer = script.accept().await;
    peer.serve("r1", 5).await;
    for n in 6..=300 {
        peer.send(entry(n)).await;
    }
    // Commands are served although nobody takes the events.
    assert!(handle.send(ROOM, "still here").await.is_ok());
    assert_eq!(messages(&mut events, 295).await, (6..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn rooms_are_joined_and_left_and_bye_is_the_end() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    assert_eq!(handle.send("roof", "hello").await, Err(SendError::NotInRoom));
    assert_eq!(handle.send(ROOM, "x".repeat(4097)).await, Err(SendError::TooLong));
    handle.join("roof", None).await.expect("a client");
    let join = peer.receive().await;
    assert_eq!(join, ClientFrame::join("roof", None));
    handle.leave("roof").await.expect("a client");
    assert_eq!(peer.receive().await, ClientFrame::Leave { room: "roof".to_owned() });
    handle.bye().await.expect("a client");
    assert_eq!(peer.receive().await, ClientFrame::Bye);
    peer.close(1000).await;
    let ended = seen(&mut events, |event| match event {
        Event::Ended(result) => Some(result),
        _ => None,
    });
    assert_eq!(ended.await, Ok(()));
}
