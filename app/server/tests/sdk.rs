//! The client crate against a server: its example, as people copy it, and what it does with an account.
#![allow(missing_docs)]

mod support;

#[allow(dead_code, reason = "its main function is for people")]
#[path = "../../client/examples/echo.rs"]
mod echo;

use std::net::SocketAddr;

use rollcall_client::{Client, Config, Event, Events, Final, Handle};
use rollcall_protocol::{EntryId, ErrorCode, Kind, Mark, Message};
use serde_json::json;
use support::{
    PATIENCE, Replica,
    accounts::{KEY, QUICK, another_token_of, ask, bearer, token_of},
};
use tokio::time::timeout;

const DEN: &str = "den";

/// The first event that fits; a test that waits in vain fails.
async fn seen<T>(events: &mut Events, fits: impl FnMut(Event) -> Option<T>) -> T {
    timeout(PATIENCE, events.find(fits)).await.expect("in time").expect("a client that lives")
}

async fn heard(events: &mut Events) -> Message {
    seen(events, |event| match event {
        Event::Message { message, .. } => Some(message),
        _ => None,
    })
    .await
}

/// The entry of what was said last, once it is in the log.
async fn acked(events: &mut Events) -> EntryId {
    seen(events, |event| match event {
        Event::Acked { id, .. } => id,
        Event::Rejected { detail, .. } => panic!("{detail}"),
        _ => None,
    })
    .await
}

/// A client that is live in the room; and who it is.
async fn live(public: SocketAddr, name: &str, token: Option<String>) -> (Handle, Events, String) {
    let mut config = Config::new(&format!("http://{public}"), name, &[DEN]);
    config.token = token;
    let (handle, mut events) = Client::start(config);
    let sender = seen(&mut events, |event| match event {
        Event::Connected { sender, .. } => Some(sender),
        Event::Ended(end) => panic!("{end:?}"),
        _ => None,
    })
    .await;
    assert!(timeout(PATIENCE, events.all_live()).await.expect("in time"));
    (handle, events, sender)
}

#[tokio::test]
async fn the_example_echoes_each_message_once() {
    let replica = Replica::start(None, &[]).await;
    let (handle, mut events, _) = live(replica.public, "Ada", None).await;
    let url = format!("http://{}", replica.public);
    let echo = tokio::spawn(async move { echo::echo(&url, DEN).await });
    seen(&mut events, |event| match event {
        Event::Presence { name, .. } if name == "Echo" => Some(()),
        Event::Members { members, .. } if members.iter().any(|it| it.name == "Echo") => Some(()),
        _ => None,
    })
    .await;
    for text in ["hello", "once more"] {
        handle.send(DEN, text).await.expect("a ticket");
    }
    let mut echoes = Vec::new();
    for _ in 0..4 {
        let message = heard(&mut events).await;
        echoes.extend((message.name == "Echo").then_some(message.text));
    }
    assert_eq!(echoes, ["Ada said: hello", "Ada said: once more"]);
    assert!(!echo.is_finished());
}

#[tokio::test]
async fn a_bot_says_edits_and_takes_back() {
    let replica = Replica::start(None, &QUICK).await;
    let made = json!({ "name": "Teal" });
    let key = [("x-api-key", KEY)];
    let made = ask(replica.public, "POST", "/api/v1/bots", &key, Some(&made)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = made.body["data"]["token"].as_str().map(str::to_owned);

    let (_guest, mut guest, _) = live(replica.public, "Gus", None).await;
    let (bot, mut events, sender) = live(replica.public, "Teal", token).await;
    bot.send(DEN, "helo").await.expect("a ticket");
    let said = acked(&mut events).await;
    bot.edit(DEN, said, "hello").await.expect("a ticket");
    acked(&mut events).await;
    bot.remove(DEN, said).await.expect("a ticket");
    acked(&mut events).await;
    let came = [heard(&mut guest).await, heard(&mut guest).await, heard(&mut guest).await];
    let kinds = [None, Some(Kind::Edit), Some(Kind::Remove)];
    let texts = ["helo", "hello", ""];
    for ((it, kind), (text, n)) in came.iter().zip(kinds).zip(texts.into_iter().zip(1..)) {
        assert_eq!((it.extra.kind, it.text.as_str(), it.n), (kind, text, n));
        assert_eq!((it.name.as_str(), it.extra.mark), ("Teal", Some(Mark::Bot)));
        assert_eq!((it.sender(), it.extra.of), (sender.as_str(), kind.map(|_| said)));
    }
    // What was taken back cannot be edited any more, and the text comes back.
    bot.edit(DEN, said, "too late").await.expect("a ticket");
    let refused = seen(&mut events, |event| match event {
        Event::Rejected { text, retried, .. } => Some((text, retried)),
        _ => None,
    });
    assert_eq!(refused.await, ("too late".to_owned(), false));
}

#[tokio::test]
async fn two_devices_of_one_person_do_not_take_each_others_words_for_their_own() {
    let replica = Replica::start(None, &QUICK).await;
    let first = token_of(replica.public, "Ada").await;
    let second = another_token_of(replica.public, "Ada").await;
    let (phone, mut on_phone, as_phone) = live(replica.public, "x", Some(first)).await;
    let (laptop, mut on_laptop, as_laptop) = live(replica.public, "y", Some(second)).await;
    assert_ne!(as_phone, as_laptop);
    let ada = bearer(&another_token_of(replica.public, "Ada").await);
    let path = format!("/api/v1/rooms/{DEN}/membership");
    let header = [("authorization", ada.as_str())];
    let joined = ask(replica.public, "PUT", &path, &header, Some(&json!({}))).await;
    assert!(joined.status < 300, "{joined:?}");
    phone.send(DEN, "yes").await.expect("a ticket");
    let one = acked(&mut on_phone).await;
    laptop.send(DEN, "yes").await.expect("a ticket");
    let other = acked(&mut on_laptop).await;
    assert_ne!(one, other, "the same number and text, and two messages");
    // What one has said, the other may edit: it is the person's.
    laptop.edit(DEN, one, "no").await.expect("a ticket");
    acked(&mut on_laptop).await;
    // How far one has read, the other is told.
    phone.read(DEN, one).await.expect("a client that lives");
    let read = seen(&mut on_laptop, |event| match event {
        Event::Read { id, .. } => Some(id),
        _ => None,
    });
    assert_eq!(read.await, one);
}

#[tokio::test]
async fn a_token_that_is_none_ends_the_client() {
    let replica = Replica::start(None, &QUICK).await;
    let mut config = Config::new(&format!("http://{}", replica.public), "Ada", &[DEN]);
    config.token = Some("none".to_owned());
    let (_handle, mut events) = Client::start(config);
    let end = seen(&mut events, |event| match event {
        Event::Connected { .. } => panic!("as a guest"),
        Event::Ended(end) => Some(end),
        _ => None,
    });
    let end = end.await;
    assert!(matches!(end, Err(Final::BadToken { .. })), "{end:?}");
}

#[tokio::test]
async fn whoever_is_asked_to_leave_a_room_is_told_and_stays_in_the_others() {
    let replica = Replica::start(None, &QUICK).await;
    let token = token_of(replica.public, "Ada").await;
    let made = json!({ "name": DEN });
    let owner = [("authorization", bearer(&token))];
    let owner = owner.each_ref().map(|(name, value)| (*name, value.as_str()));
    let made = ask(replica.public, "POST", "/api/v1/rooms", &owner, Some(&made)).await;
    assert_eq!(made.status, 201, "{made:?}");

    let (guest, mut events, sender) = live(replica.public, "Gus", None).await;
    guest.join("lobby", None).await.expect("a client that lives");
    seen(&mut events, |event| match event {
        Event::Live { room } if room == "lobby" => Some(()),
        _ => None,
    })
    .await;
    let kicked = json!({ "member": sender });
    let path = format!("/api/v1/rooms/{DEN}/kicks");
    let done = ask(replica.public, "POST", &path, &owner, Some(&kicked)).await;
    assert!(done.status < 300, "{done:?}");
    let (room, code) = seen(&mut events, |event| match event {
        Event::PutOut { room, code, .. } => Some((room, code)),
        _ => None,
    })
    .await;
    assert_eq!((room.as_str(), code), (DEN, ErrorCode::Kicked));
    guest.send("lobby", "still here").await.expect("a ticket");
    acked(&mut events).await;
}
