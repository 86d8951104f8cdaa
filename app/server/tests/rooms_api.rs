//! Rooms by REST: made, listed, entered by invitation, read on one device and known on another, moderated.

mod support;

use rollcall_protocol::{EntryId, ErrorCode, ServerFrame};
use serde_json::json;
use support::{
    Replica, Socket,
    accounts::{KEY, QUICK, ask, token_of},
    key,
    rooms::{Stack, eventually, made, member, names, with},
};

#[tokio::test]
async fn a_room_is_made_by_key_and_its_name_is_read_back() {
    let replica = Replica::start(None, &QUICK).await;
    let room = json!({ "name": "Hall", "topic": "Doors" });
    let by_key: [(&str, &str); 1] = [("x-api-key", KEY)];
    let answer = ask(replica.public, "POST", "/api/v1/rooms", &by_key, Some(&room)).await;
    assert_eq!((answer.status, &answer.body["data"]["name"]), (201, &json!("Hall")), "{answer:?}");
    let answer = ask(replica.public, "GET", "/api/v1/rooms/Hall", &[], None).await;
    assert_eq!(answer.body["data"]["topic"], "Doors", "{answer:?}");
    let again = ask(replica.public, "POST", "/api/v1/rooms", &by_key, Some(&room)).await;
    assert_eq!((again.status, again.code()), (409, "room_exists"));
    let wrong = [("x-api-key", "no key")];
    let answer = ask(replica.public, "POST", "/api/v1/rooms", &wrong, Some(&room)).await;
    assert_eq!((answer.status, answer.code()), (401, "bad_key"));
    let nobody = ask(replica.public, "POST", "/api/v1/rooms", &[], Some(&room)).await;
    assert_eq!((nobody.status, nobody.code()), (401, "not_signed_in"));
}

#[tokio::test]
async fn rooms_of_an_audience_are_nobodys_but_an_operators() {
    let settings = [&QUICK[..], &["--hall"]].concat();
    let replica = Replica::start(None, &settings).await;
    let token = token_of(replica.public, "Eve").await;
    let eve = format!("Bearer {token}");
    for room in ["hall", "the-plan"] {
        let room = json!({ "name": room });
        let of = async |header| {
            ask(replica.public, "POST", "/api/v1/rooms", &[header], Some(&room)).await
        };
        let hers = of(("authorization", &eve)).await;
        assert_eq!((hers.status, hers.code()), (403, "forbidden"), "{hers:?}");
        assert_eq!(of(("x-api-key", KEY)).await.status, 201);
    }
    let other = json!({ "name": "attic" });
    let by_eve = [("authorization", &*eve)];
    let made = ask(replica.public, "POST", "/api/v1/rooms", &by_eve, Some(&other)).await;
    assert_eq!(made.status, 201, "{made:?}");
}

#[tokio::test]
async fn a_private_room_is_entered_by_invitation_and_listed_for_nobody_else() {
    let stack = Stack::start().await;
    made(&stack, &json!({ "name": "den", "access": "private", "topic": "secrets" })).await;
    let listed = ask(stack.one.public, "GET", "/api/v1/rooms", &[], None).await;
    assert_eq!(names(&listed), [""; 0]);
    let answer = with(&stack.two, &stack.bob, "GET /rooms/den", None).await;
    assert_eq!((answer.status, answer.code()), (403, "private"));
    let invited = with(&stack.one, &stack.ada, "POST /rooms/den/invitations", None).await;
    assert_eq!(invited.status, 201, "{invited:?}");
    let invite = invited.body["data"]["invite"].as_str().expect("a token");
    let enter = async |token: &str, invite: &str| {
        let body = json!({ "invite": invite });
        with(&stack.two, token, "PUT /rooms/den/membership", Some(&body)).await
    };
    assert_eq!(enter(&stack.bob, "0123").await.code(), "bad_invite");
    assert_eq!(enter(&stack.bob, invite).await.status, 200);
    let messages =
        async |token: &str| with(&stack.two, token, "GET /rooms/den/messages", None).await;
    assert_eq!(messages(&stack.bob).await.status, 200);
    // A new invitation makes the one before void.
    with(&stack.one, &stack.ada, "POST /rooms/den/invitations", None).await;
    let eve = token_of(stack.one.public, "Eve").await;
    assert_eq!(enter(&eve, invite).await.code(), "bad_invite");
    let left = with(&stack.one, &stack.bob, "DELETE /rooms/den/membership", None).await;
    assert_eq!(left.status, 204);
    eventually(async || messages(&stack.bob).await.status == 403).await;
    let by_bob = with(&stack.one, &stack.bob, "POST /rooms/den/invitations", None).await;
    assert_eq!((by_bob.status, by_bob.code()), (403, "forbidden"));
}

#[tokio::test]
async fn what_one_device_has_read_the_other_knows_and_unread_is_counted_from_it() {
    let stack = Stack::start().await;
    made(&stack, &json!({ "name": "hall" })).await;
    let entered =
        with(&stack.one, &stack.bob, "PUT /rooms/hall/membership", Some(&json!({}))).await;
    assert_eq!(entered.status, 200, "{entered:?}");
    let (mut phone, bobs) = member(&stack.one, &stack.bob, "hall").await;
    let (mut desk, same) = member(&stack.two, &stack.bob, "hall").await;
    assert_eq!(bobs, same, "one person");
    let (mut ada, _) = member(&stack.one, &stack.ada, "hall").await;
    let mut ids = Vec::new();
    for n in 1..=3 {
        ids.push(ada.send_acked("hall", n, &format!("message {n}")).await);
    }
    let unread = async || {
        let mine = with(&stack.two, &stack.bob, "GET /rooms?mine=true", None).await;
        mine.body["data"]["rooms"][0]["unread"].as_u64()
    };
    assert_eq!(unread().await, Some(3));
    phone.say(&json!({ "type": "read", "room": "hall", "id": ids[1] })).await;
    let told = ServerFrame::Read { room: "hall".to_owned(), id: ids[1] };
    desk.until(|frame| *frame == told).await;
    assert_eq!(unread().await, Some(1));
    // What only tells of another message is none.
    ada.say(&json!({ "type": "send", "room": "hall", "n": 4, "text": "", "remove": ids[0] })).await;
    let is_removal = |frame: &ServerFrame| matches!(frame, ServerFrame::Message(it) if it.n == 4);
    let heard = phone.until(is_removal).await;
    assert!(!heard.contains(&told), "the device that said so is not told: {heard:?}");
    assert_eq!(unread().await, Some(1));
    // Never back.
    let back = json!({ "id": ids[0] });
    let answer = with(&stack.one, &stack.bob, "PUT /rooms/hall/read", Some(&back)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(unread().await, Some(1));
}

#[tokio::test]
async fn two_people_have_one_room_that_nobody_else_enters() {
    let stack = Stack::start().await;
    let (mut bob, bobs) = member(&stack.two, &stack.bob, "lobby").await;
    let body = json!({ "member": bobs, "name": "Bob" });
    let by_ada = with(&stack.one, &stack.ada, "POST /directs", Some(&body)).await;
    assert_eq!(by_ada.status, 200, "{by_ada:?}");
    let room = by_ada.body["data"]["name"].as_str().expect("a name").to_owned();
    // Bob's devices hear of it at once, on whichever replica they are.
    bob.until(|frame| matches!(frame, ServerFrame::Read { room: told, .. } if *told == room)).await;
    let mine = with(&stack.two, &stack.bob, "GET /rooms?mine=true", None).await;
    assert_eq!(names(&mine), [room.as_str()]);
    let (mut ada, adas) = member(&stack.one, &stack.ada, &room).await;
    ada.send_acked(&room, 1, "just us").await;
    let path = format!("/api/v1/rooms/{room}/messages");
    assert_eq!(ask(stack.one.public, "GET", &path, &[], None).await.status, 403);
    // Somebody who left is not brought back by the other, and comes back if they want to.
    let path = format!("DELETE /rooms/{room}/membership");
    assert_eq!(with(&stack.two, &stack.bob, &path, None).await.status, 204);
    let bobs_rooms = async || with(&stack.two, &stack.bob, "GET /rooms?mine=true", None).await;
    assert_eq!(with(&stack.one, &stack.ada, "POST /directs", Some(&body)).await.status, 200);
    assert_eq!(names(&bobs_rooms().await), [""; 0]);
    let adas = json!({ "member": adas, "name": "Ada" });
    let answer = with(&stack.two, &stack.bob, "POST /directs", Some(&adas)).await;
    assert_eq!((answer.status, names(&bobs_rooms().await)), (200, vec![&*room]));
}

/// A replica that had heard it gave a removed text to whoever caught up there.
#[tokio::test]
async fn what_was_removed_is_given_to_nobody_who_comes_later() {
    let stack = Stack::start().await;
    let (mut ada, _) = member(&stack.one, &stack.ada, "hall").await;
    let (mut bob, _) = member(&stack.two, &stack.bob, "hall").await;
    let id = ada.send_acked("hall", 1, "my password").await;
    ada.say(
        &json!({ "type": "send", "room": "hall", "n": 2, "text": "my passphrase", "edit": id }),
    )
    .await;
    ada.say(&json!({ "type": "send", "room": "hall", "n": 3, "text": "", "remove": id })).await;
    let is_removal = |frame: &ServerFrame| matches!(frame, ServerFrame::Message(it) if it.n == 3);
    bob.until(is_removal).await;
    ada.until(is_removal).await;
    for replica in [&stack.one, &stack.two] {
        for query in ["", "?after=0-0"] {
            let path = format!("/api/v1/rooms/hall/messages{query}");
            let told = ask(replica.public, "GET", &path, &[], None).await.body.to_string();
            assert!(!told.contains("my pass") && told.contains("removed"), "{query}: {told}");
        }
        let from = Some(EntryId::ZERO);
        let (_, frames) = Socket::join(replica.public, &key(), "hall", from).await;
        assert!(!format!("{frames:?}").contains("my pass"), "{frames:?}");
    }
}

/// A room is nobody's to take who comes later: whoever made it private would shut out all who talk there.
#[tokio::test]
async fn a_room_in_which_people_talk_cannot_be_made_ones_own() {
    let stack = Stack::start().await;
    let (mut bob, _) = member(&stack.two, &stack.bob, "lobby").await;
    bob.send_acked("lobby", 1, "hello").await;
    let mine = json!({ "name": "lobby", "access": "private" });
    let answer = with(&stack.one, &stack.ada, "POST /rooms", Some(&mine)).await;
    assert_eq!((answer.status, answer.code()), (409, "room_exists"));
    bob.send_acked("lobby", 2, "still here").await;
    let by_key = [("x-api-key", KEY)];
    let open = json!({ "name": "lobby", "topic": "Everybody" });
    let answer = ask(stack.one.public, "POST", "/api/v1/rooms", &by_key, Some(&open)).await;
    assert_eq!(answer.status, 201, "an operator may: {answer:?}");
}

#[tokio::test]
async fn a_guest_enters_a_private_room_by_its_invitation_over_the_socket() {
    let stack = Stack::start().await;
    made(&stack, &json!({ "name": "den", "access": "private" })).await;
    let invited = with(&stack.one, &stack.ada, "POST /rooms/den/invitations", None).await;
    let invite = invited.body["data"]["invite"].as_str().expect("a token");
    let guest = key();
    let mut socket = Socket::open(stack.two.public).await;
    socket.hello(&guest, "fresh", "lobby", None).await;
    socket.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    for wrong in [json!({}), json!({ "invite": "0123" })] {
        let mut join = json!({ "type": "join", "room": "den" });
        join.as_object_mut().expect("one").extend(wrong.as_object().expect("one").clone());
        socket.say(&join).await;
        let is_private = |frame: &ServerFrame| {
            matches!(frame, ServerFrame::Error { code: ErrorCode::Private, .. })
        };
        socket.until(is_private).await;
    }
    socket.say(&json!({ "type": "join", "room": "den", "invite": invite })).await;
    socket.until(|frame| matches!(frame, ServerFrame::Live { room, .. } if room == "den")).await;
    socket.send_acked("den", 1, "thank you").await;
    // It is let in for good, on every replica.
    let mut again = Socket::open(stack.one.public).await;
    again.hello(&guest, "resume", "den", None).await;
    again.until(|frame| matches!(frame, ServerFrame::Live { room, .. } if room == "den")).await;
    // What was said before, and who is there, its key shows it; nobody else's does, and none does what needs an account.
    let by = async |what: &str, client: &str| {
        let (method, path) = what.split_once(' ').expect("a method and a path");
        let path = format!("/api/v1/rooms/den{path}");
        ask(stack.two.public, method, &path, &[("x-client-key", client)], None).await.status
    };
    for path in ["GET ", "GET /messages", "GET /messages?after=0-0", "GET /members"] {
        let told = [by(path, &guest).await, by(path, &key()).await, by(path, "a key").await];
        assert_eq!(told, [200, 403, 400], "{path}");
    }
    assert_eq!([by("GET /events", &key()).await, by("GET /events", "a key").await], [403, 400]);
    assert_eq!(by("POST /invitations", &guest).await, 401);
    // Whoever is banned reads nothing more of it.
    let ban = format!("/api/v1/bans/{}", rollcall_server::session::member_of(&guest));
    let by_key = [("x-api-key", KEY)];
    let banned = ask(stack.one.public, "PUT", &ban, &by_key, Some(&json!({}))).await;
    assert_eq!(banned.status, 204, "{banned:?}");
    for path in ["GET ", "GET /messages", "GET /messages?after=0-0", "GET /members"] {
        assert_eq!(by(path, &guest).await, 403, "{path}");
    }
}

#[tokio::test]
async fn what_somebody_does_to_rooms_is_counted() {
    let settings = [&QUICK[..], &["--rate-posts", "1", "--rate-reads", "1"]].concat();
    let replica = Replica::start(None, &settings).await;
    let by_key = [("x-api-key", KEY)];
    let mut made = 0;
    let refused = loop {
        let room = json!({ "name": format!("room {made}") });
        let answer = ask(replica.public, "POST", "/api/v1/rooms", &by_key, Some(&room)).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
    };
    assert_eq!((refused.status, refused.code()), (429, "rate_limited"));
    assert!((4..=6).contains(&made), "four at once: {made}");
    // A list of one's own rooms counts a read for each.
    let mine = async |what: &str| {
        ask(replica.public, "GET", &format!("/api/v1/rooms{what}"), &by_key, None).await.status
    };
    assert_eq!(mine("?mine=true&limit=60").await, 200);
    assert_eq!(mine("").await, 429);
    // So does what anybody may ask of a room.
    for path in ["", "/members", "/messages"] {
        let path = format!("/api/v1/rooms/hall{path}");
        let answer = ask(replica.public, "GET", &path, &[], None).await;
        assert_eq!((answer.status, answer.code()), (429, "rate_limited"), "{path}");
    }
}

#[tokio::test]
async fn a_list_of_few_rooms_costs_few_reads() {
    let settings = [&QUICK[..], &["--rate-reads", "10"]].concat();
    let replica = Replica::start(None, &settings).await;
    let by_key = [("x-api-key", KEY)];
    for room in ["hall", "attic"] {
        let room = json!({ "name": room });
        assert_eq!(
            ask(replica.public, "POST", "/api/v1/rooms", &by_key, Some(&room)).await.status,
            201
        );
    }
    // Forty at once: each list is three, and not the hundred that it could have.
    let path = "/api/v1/rooms?mine=true&limit=100";
    let mut told = Vec::new();
    while told.last() != Some(&429) && told.len() < 100 {
        told.push(ask(replica.public, "GET", path, &by_key, None).await.status);
    }
    assert!((13..20).contains(&told.len()), "{}", told.len());
}

#[tokio::test]
async fn who_made_a_room_moderates_it_and_others_do_not() {
    let stack = Stack::start().await;
    made(&stack, &json!({ "name": "hall" })).await;
    let (mut bob, bobs) = member(&stack.two, &stack.bob, "hall").await;
    let mute = format!("PUT /rooms/hall/mutes/{bobs}");
    let minute = json!({ "seconds": 60 });
    let by_bob = with(&stack.two, &stack.bob, &mute, Some(&minute)).await;
    assert_eq!((by_bob.status, by_bob.code()), (403, "forbidden"));
    assert_eq!(with(&stack.one, &stack.ada, &mute, Some(&minute)).await.status, 204);
    let is_muted = |frame: &ServerFrame| matches!(frame, ServerFrame::Room { you, .. } if you.muted_until.is_some());
    bob.until(is_muted).await;
    let unmute = format!("DELETE /rooms/hall/mutes/{bobs}");
    assert_eq!(with(&stack.one, &stack.ada, &unmute, None).await.status, 204);
    bob.until(|frame| matches!(frame, ServerFrame::Room { you, .. } if you.muted_until.is_none()))
        .await;
    let slow = json!({ "slow_ms": 3_600_001 });
    assert_eq!(with(&stack.one, &stack.ada, "PATCH /rooms/hall", Some(&slow)).await.status, 400);
    let archived = json!({ "archived": true, "topic": "the end" });
    let answer = with(&stack.one, &stack.ada, "PATCH /rooms/hall", Some(&archived)).await;
    assert_eq!((answer.status, &answer.body["data"]["archived"]), (200, &json!(true)));
    let kick = json!({ "member": bobs });
    assert_eq!(
        with(&stack.one, &stack.ada, "POST /rooms/hall/kicks", Some(&kick)).await.status,
        204
    );
    bob.until(|frame| matches!(frame, ServerFrame::Error { code: ErrorCode::Kicked, .. })).await;
}

#[tokio::test]
async fn an_announcement_by_key_stands_in_every_room() {
    let stack = Stack::start().await;
    for name in ["one", "two"] {
        made(&stack, &json!({ "name": name })).await;
    }
    let (mut bob, _) = member(&stack.two, &stack.bob, "two").await;
    let said = json!({ "text": "A roll begins in a minute." });
    let by_ada = with(&stack.one, &stack.ada, "POST /announcements", Some(&said)).await;
    assert_eq!(by_ada.status, 403);
    let by_key = [("x-api-key", KEY)];
    let answer = ask(stack.one.public, "POST", "/api/v1/announcements", &by_key, Some(&said)).await;
    assert_eq!((answer.status, &answer.body["data"]["rooms"]), (200, &json!(2)), "{answer:?}");
    let told = bob.messages(1).await.remove(0);
    assert_eq!((told.text.as_str(), told.n), ("A roll begins in a minute.", 0));
}

/// The first room that could not be told kept it from all that came after.
#[tokio::test]
async fn an_announcement_passes_over_a_room_that_cannot_be_told() {
    let stack = Stack::start().await;
    for name in ["one", "broken", "two"] {
        made(&stack, &json!({ "name": name })).await;
    }
    let keys = stack.redis.command(&["KEYS", "*about*"]).await;
    let about = keys.lines().find(|key| key.contains("broken")).expect("what is true of it");
    stack.redis.command(&["SET", about, "no hash"]).await;
    let by_key = [("x-api-key", KEY)];
    let announce = async |said: serde_json::Value| {
        ask(stack.one.public, "POST", "/api/v1/announcements", &by_key, Some(&said)).await
    };
    let answer = announce(json!({ "text": "Good evening." })).await;
    assert_eq!((answer.status, &answer.body["data"]["rooms"]), (200, &json!(2)), "{answer:?}");
    for room in ["one", "two"] {
        let path = format!("/api/v1/rooms/{room}/messages");
        let told = ask(stack.two.public, "GET", &path, &[], None).await.body.to_string();
        assert!(told.contains("Good evening."), "{told}");
    }
    let answer = announce(json!({ "text": "Good evening.", "room": "broken" })).await;
    assert_eq!((answer.status, answer.code()), (503, "unavailable"));
}

/// Somebody in as many rooms as one can be was let in all the same, and everybody was told.
#[tokio::test]
async fn who_is_in_too_many_rooms_is_let_into_none() {
    let stack = Stack::start().await;
    made(&stack, &json!({ "name": "den", "access": "private" })).await;
    let invited = with(&stack.one, &stack.ada, "POST /rooms/den/invitations", None).await;
    let body = json!({ "invite": invited.body["data"]["invite"] });
    let (_bob, bobs) = member(&stack.two, &stack.bob, "lobby").await;
    // One of them, which says where they are kept.
    let hall = with(&stack.two, &stack.bob, "PUT /rooms/hall/membership", Some(&json!({}))).await;
    assert_eq!(hall.status, 200, "{hall:?}");
    let kept = stack.redis.command(&["KEYS", &format!("*{bobs}*")]).await;
    let kept = kept.lines().find(|key| key.contains("rooms")).expect("a hash").to_owned();
    let rooms: Vec<_> = (0..499).map(|number| format!("room {number}")).collect();
    let mut fill = vec!["HSET", &*kept];
    rooms.iter().for_each(|room| fill.extend([&**room, "0-0"]));
    stack.redis.command(&fill).await;
    let enter =
        async || with(&stack.two, &stack.bob, "PUT /rooms/den/membership", Some(&body)).await;
    let answer = enter().await;
    assert_eq!((answer.status, answer.code()), (409, "too_many_rooms"));
    let by_bob = with(&stack.two, &stack.bob, "GET /rooms/den", None).await;
    assert_eq!((by_bob.status, by_bob.code()), (403, "private"), "they were not let in");
    let left = with(&stack.two, &stack.bob, "DELETE /rooms/hall/membership", None).await;
    assert_eq!(left.status, 204);
    assert_eq!(enter().await.status, 200);
    // All of 500 are told, page by page.
    let (mut told, mut after) = (0, String::new());
    loop {
        let path = format!("GET /rooms?mine=true&limit=100{after}");
        let page = with(&stack.two, &stack.bob, &path, None).await;
        told += names(&page).len();
        let Some(next) = page.body["data"]["next"].as_str() else { break };
        after = format!("&after={}", next.replace(' ', "%20"));
    }
    assert_eq!(told, 500);
}

#[tokio::test]
async fn who_is_in_a_room_is_told_by_rest_too() {
    let stack = Stack::start().await;
    let (_bob, bobs) = member(&stack.two, &stack.bob, "hall").await;
    let path = "/api/v1/rooms/hall/members";
    let answer = ask(stack.one.public, "GET", path, &[], None).await;
    let listed = json!({ "present": 1, "members": [{ "member": bobs, "name": "Bob" }] });
    assert_eq!((answer.status, &answer.body["data"]), (200, &listed));
}
