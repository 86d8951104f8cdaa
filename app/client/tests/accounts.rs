//! Who a client is: by its token, and among the devices of one person.
#![allow(missing_docs)]

#[allow(dead_code, reason = "each test uses its part")]
mod script;

use rollcall_client::{Client, Event, Final};
use rollcall_protocol::{ClientFrame, Extra, Mark, Message, ServerFrame};
use script::{ROOM, Script, ack, entry, goaway, id, live_at, messages, moved, seen, soon};
use serde_json::{Value, json};

fn ended(event: Event) -> Option<Result<(), Final>> {
    match event {
        Event::Ended(result) => Some(result),
        _ => None,
    }
}

/// What a server with accounts says to a device of Ada's.
fn ada() -> Value {
    json!({
        "name": "Ada", "sender": "phone", "account": { "name": "Ada", "role": "bot" },
        "features": ["accounts", "edit", "rooms", "read"]
    })
}

/// A message of this person's, from one of their devices.
fn said_on(device: &str, at: u64, n: u64, text: &str) -> ServerFrame {
    let ServerFrame::Message(message) = entry(at) else { unreachable!("an entry is a message") };
    let extra = Extra { sender: Some(device.to_owned()), ..Extra::default() };
    let (member, text) = ("m".to_owned(), text.to_owned());
    ServerFrame::Message(Message { member, n, text, extra, ..message })
}

#[tokio::test]
async fn a_token_is_shown_and_who_one_is_is_told() {
    let script = Script::listen().await;
    let mut config = script.config();
    config.token = Some("secret".to_owned());
    let (_handle, mut events) = Client::start(config);
    let mut peer = script.accept().await;
    assert_eq!(peer.token.as_deref(), Some("secret"));
    peer.welcome_with("r1", 60_000, &ada()).await;
    let (member, sender, name, account) = seen(&mut events, |event| match event {
        Event::Connected { member, sender, name, account, .. } => {
            Some((member, sender, name, account))
        }
        _ => None,
    })
    .await;
    assert_eq!((member.as_str(), sender.as_str(), name.as_str()), ("m", "phone", "Ada"));
    assert_eq!(account.map(|account| account.role), Some(Mark::Bot));
}

#[tokio::test]
async fn a_guest_of_a_release_before_accounts_is_told_who_it_is_too() {
    let script = Script::listen().await;
    let (_handle, mut events) = Client::start(script.config());
    let mut peer = script.accept().await;
    assert_eq!(peer.token, None);
    peer.serve("r1", 5).await;
    let who = seen(&mut events, |event| match event {
        Event::Connected { member, sender, name, account, features, .. } => {
            Some((member, sender, name, account.is_some(), features.len()))
        }
        _ => None,
    });
    assert_eq!(who.await, ("m".to_owned(), "m".to_owned(), "Teal".to_owned(), false, 0));
}

#[tokio::test]
async fn a_bad_token_ends_the_client_and_says_so() {
    let script = Script::listen().await;
    let mut config = script.config();
    config.token = Some("old".to_owned());
    let (_handle, mut events) = Client::start(config);
    let mut peer = script.accept().await;
    peer.say(&json!({ "type": "error", "code": "bad_token", "detail": "signed out" })).await;
    peer.close(4401).await;
    let end = seen(&mut events, ended).await;
    assert_eq!(end, Err(Final::BadToken { detail: "signed out".to_owned() }));
}

/// A release before accounts ignores the token and takes whoever comes for a guest.
#[tokio::test]
async fn a_client_with_a_token_is_no_guest_anywhere() {
    let script = Script::listen().await;
    let mut config = script.config();
    config.token = Some("secret".to_owned());
    let (handle, mut events) = Client::start(config);
    handle.send(ROOM, "as Ada").await.expect("a ticket");
    let mut old = script.accept().await;
    old.serve("r1", 5).await;
    let failed = seen(&mut events, |event| match event {
        Event::ConnectFailed { error, .. } => Some(error),
        Event::Connected { .. } => panic!("as a guest"),
        _ => None,
    });
    assert_eq!(failed.await, "r1 knows no accounts");
    assert_eq!(old.closed().await, Some(1000));
    let mut new = script.accept().await;
    new.welcome_with("r2", 60_000, &ada()).await;
    new.joined(5).await;
    new.live(5).await;
    assert_eq!(new.receive_send().await, (1, "as Ada".to_owned()));
    // Nor does it move there.
    new.send(goaway(0)).await;
    let mut old = script.accept().await;
    old.serve("r1", 5).await;
    assert_eq!(old.closed().await, Some(1000));
    new.send(ack(1)).await;
    seen(&mut events, |event| matches!(event, Event::Acked { .. }).then_some(())).await;
    let mut newer = script.accept().await;
    newer.welcome_with("r3", 60_000, &ada()).await;
    newer.joined(5).await;
    newer.live(5).await;
    assert_eq!(seen(&mut events, moved).await.1, "r3");
}

#[tokio::test]
async fn whoever_is_dismissed_does_not_come_back() {
    let script = Script::listen().await;
    let (_handle, mut events, peer) = live_at(&script, 5).await;
    peer.close(4403).await;
    let end = seen(&mut events, ended).await;
    assert!(matches!(end, Err(Final::Dismissed { .. })), "{end:?}");
}

/// Both devices of a person have its member, and each has numbers of its own: what the other one said under the same number
/// and in the same words is no proof that ours is in the log.
#[tokio::test]
async fn the_words_of_another_device_are_not_taken_for_ones_own() {
    let script = Script::listen().await;
    let (handle, mut events) = Client::start(script.config());
    let mut peer = script.accept().await;
    peer.welcome_with("r1", 60_000, &ada()).await;
    peer.joined(5).await;
    peer.live(5).await;
    handle.send(ROOM, "yes").await.expect("a ticket");
    assert_eq!(peer.receive_send().await, (1, "yes".to_owned()));
    drop(peer); // and with it the send

    let mut peer = script.accept().await;
    peer.welcome_with("r2", 60_000, &ada()).await;
    peer.joined(6).await;
    peer.send(said_on("laptop", 6, 1, "yes")).await;
    peer.live(6).await;
    assert_eq!(messages(&mut events, 1).await, [1]);
    assert_eq!(peer.receive_send().await, (1, "yes".to_owned()), "it is not in the log");
    drop(peer); // this time the log took it

    let mut peer = script.accept().await;
    peer.welcome_with("r3", 60_000, &ada()).await;
    peer.joined(7).await;
    peer.send(said_on("phone", 7, 1, "yes")).await;
    peer.live(7).await;
    let duplicate = seen(&mut events, |event| match event {
        Event::Acked { ticket: 1, id: Some(it), duplicate, .. } if it == id(7) => Some(duplicate),
        _ => None,
    });
    assert!(duplicate.await);
    handle.send(ROOM, "no").await.expect("a ticket");
    assert_eq!(peer.receive_send().await, (2, "no".to_owned()), "once");
}

#[tokio::test]
async fn what_was_read_is_told_once_there_is_somebody_to_keep_it() {
    let script = Script::listen().await;
    let (handle, mut events, mut peer) = live_at(&script, 5).await;
    handle.read(ROOM, id(4)).await.expect("a client that lives");
    handle.read(ROOM, id(5)).await.expect("a client that lives");
    handle.send(ROOM, "after it").await.expect("a ticket");
    // A release before this one would count the frame as a bad one.
    assert_eq!(peer.receive_send().await.0, 1);
    drop(peer);

    let mut peer = script.accept().await;
    peer.serve_all("r2", 5).await;
    let frames = [soon(peer.receive()).await, soon(peer.receive()).await];
    let read = |frame: &ClientFrame| matches!(frame, ClientFrame::Read { room, id: it } if room == ROOM && *it == id(5));
    assert_eq!(frames.iter().filter(|frame| read(frame)).count(), 1, "{frames:?}");
    for at in [3, 3, 2, 5] {
        peer.send(ServerFrame::Read { room: ROOM.to_owned(), id: id(at) }).await;
    }
    for at in [3, 5] {
        let told = seen(&mut events, |event| match event {
            Event::Read { id, .. } => Some(id),
            _ => None,
        });
        assert_eq!(told.await, id(at), "each once, and never back");
    }
}
