//! Accounts by way of REST and sockets: one replica without Redis, or several with one.

mod support;

use std::time::{Duration, Instant};

use rollcall_protocol::{Account, ErrorCode, Mark, PresenceEvent, ServerFrame};
use serde_json::json;
use support::{
    Redis, Replica, Socket,
    accounts::{
        KEY, QUICK, another_token_of, arrive, ask, bearer, enter, register, shown_as, sign_in,
        token_of,
    },
    events::Events,
    is_leave, key,
};

#[tokio::test]
async fn an_account_is_made_signed_in_to_and_spoken_as() {
    let replica = Replica::start(None, &QUICK).await;
    let token = token_of(replica.public, "Ada").await;
    let (mut guest, _) = enter(replica.public, &key(), "Teal", None, "vault").await;
    let device = key();
    let (mut ada, first) =
        arrive(replica.public, &device, "Somebody", Some(&token), &["vault"]).await;
    let ServerFrame::Welcome { member, name, sender, account, features, .. } = first else {
        panic!("{first:?}")
    };
    assert_eq!(name.as_deref(), Some("Ada"), "the account's, whatever the hello says");
    assert_eq!(account, Some(Account { name: "Ada".to_owned(), role: Mark::Registered }));
    assert!(features.contains(&"accounts".to_owned()));
    ada.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;
    ada.send_acked("vault", 1, "it is me").await;
    let message = guest.messages(1).await.remove(0);
    assert_eq!((&message.member, &*message.name), (&member, "Ada"));
    assert_eq!(message.extra.mark, Some(Mark::Registered));
    assert_eq!(message.extra.sender, sender, "its number is the device's");
    assert_ne!(sender.as_ref(), Some(&member));

    let current = ask(
        replica.public,
        "GET",
        "/api/v1/sessions/current",
        &[("authorization", &bearer(&token))],
        None,
    )
    .await;
    assert_eq!((current.status, &current.body["data"]["account"]["name"]), (200, &json!("Ada")));
}

#[tokio::test]
async fn a_wrong_password_and_a_name_that_nobody_has_are_told_alike() {
    let replica = Replica::start(None, &QUICK).await;
    token_of(replica.public, "Ada").await;
    let wrong = sign_in(replica.public, "Ada", "not that one").await;
    let nobody = sign_in(replica.public, "Nobody", "not that one").await;
    assert_eq!((wrong.status, wrong.code()), (401, "wrong_password"));
    assert_eq!((nobody.status, nobody.code()), (401, wrong.code()));
    assert_eq!(nobody.body["error"]["detail"], wrong.body["error"]["detail"]);
    for password in ["short", &"x".repeat(257)] {
        let body = json!({ "name": "Teal", "password": password });
        let made = ask(replica.public, "POST", "/api/v1/accounts", &[], Some(&body)).await;
        assert_eq!((made.status, made.code()), (400, "bad_password"));
    }
}

#[tokio::test]
async fn a_guest_with_somebodys_name_is_shown_as_a_guest_and_not_refused() {
    let replica = Replica::start(None, &QUICK).await;
    let (mut early, _) = enter(replica.public, &key(), "Ada", None, "vault").await;
    token_of(replica.public, "Ada").await;
    early.send_acked("vault", 1, "still here").await;
    assert_eq!(shown_as(replica.public, "ADA").await, "ADA (guest)");
    assert_eq!(shown_as(replica.public, "Grace").await, "Grace");
    assert_eq!(shown_as(replica.public, "Operator").await, "Operator (guest)");
    let body = json!({ "client": key(), "name": "Ada", "n": 1, "text": "by post" });
    let path = "/api/v1/rooms/vault/messages";
    assert_eq!(ask(replica.public, "POST", path, &[], Some(&body)).await.status, 200);
    let messages = early.messages(2).await;
    assert_eq!(messages[1].name, "Ada (guest)");
}

#[tokio::test]
async fn a_post_with_a_token_speaks_as_the_account() {
    let replica = Replica::start(None, &QUICK).await;
    let token = token_of(replica.public, "Ada").await;
    let (mut teal, _) = enter(replica.public, &key(), "Teal", None, "vault").await;
    let path = "/api/v1/rooms/vault/messages";
    let body = json!({ "client": key(), "n": 1, "text": "by post" });
    let sent =
        ask(replica.public, "POST", path, &[("authorization", &bearer(&token))], Some(&body)).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let message = teal.messages(1).await.remove(0);
    assert_eq!((&*message.name, message.extra.mark), ("Ada", Some(Mark::Registered)));
    let bad = bearer(&"x".repeat(43));
    let sent = ask(replica.public, "POST", path, &[("authorization", &bad)], Some(&body)).await;
    assert_eq!(sent.status, 401, "never as a guest: {sent:?}");
}

#[tokio::test]
async fn two_devices_on_two_replicas_are_one_person() {
    let redis = Redis::start().await;
    let one = Replica::start(Some(&redis), &QUICK).await;
    let other = Replica::start(Some(&redis), &["--replica", "other"]).await;
    let token = token_of(one.public, "Ada").await;
    let (mut witness, _) = enter(one.public, &key(), "Teal", None, "vault").await;
    let (mut phone, member) = enter(one.public, &key(), "x", Some(&token), "vault").await;
    let is_ada = |frame: &ServerFrame| matches!(frame, ServerFrame::Presence { member: its, .. } if *its == member);
    witness.until(is_ada).await;
    let (mut desk, same) = enter(other.public, &key(), "x", Some(&token), "vault").await;
    assert_eq!(member, same);
    phone.say(&json!({ "type": "bye" })).await;
    phone.closed().await;
    desk.send_acked("vault", 1, "still here").await;
    let told = witness.until(|frame| matches!(frame, ServerFrame::Message(_))).await;
    assert!(!told.iter().any(is_ada), "nobody is told of the one device: {told:?}");
    desk.say(&json!({ "type": "bye" })).await;
    desk.closed().await;
    let told = witness.until(is_leave).await;
    assert_eq!(told.iter().filter(|frame| is_ada(frame)).count(), 1, "{told:?}");
    let leave = ServerFrame::Presence {
        room: "vault".to_owned(),
        event: PresenceEvent::Leave,
        member,
        name: "Ada".to_owned(),
    };
    assert_eq!(told.last(), Some(&leave));
}

/// The error that a socket is told last, and how it is closed.
async fn sent_away(socket: &mut Socket) -> (Option<ErrorCode>, Option<u16>) {
    let mut code = None;
    loop {
        match socket.next().await {
            Ok(ServerFrame::Error { code: told, .. }) => code = Some(told),
            Ok(_) => {}
            Err(close) => return (code, close.map(|frame| frame.code.into())),
        }
    }
}

#[tokio::test]
async fn signing_out_everywhere_closes_the_sockets_and_streams_of_all_replicas_within_a_second() {
    let redis = Redis::start().await;
    let one = Replica::start(Some(&redis), &QUICK).await;
    let other = Replica::start(Some(&redis), &["--replica", "other"]).await;
    let token = token_of(one.public, "Ada").await;
    let second = another_token_of(one.public, "Ada").await;
    let (mut guest, _) = enter(other.public, &key(), "Teal", None, "vault").await;
    let (mut here, _) = enter(one.public, &key(), "x", Some(&token), "vault").await;
    let (mut there, _) = enter(other.public, &key(), "x", Some(&second), "vault").await;
    let mut stream = Events::open_as(other.public, "vault", &second).await;
    stream.until(|frame| matches!(frame, ServerFrame::Live { .. })).await;

    let began = Instant::now();
    let auth = bearer(&token);
    let out =
        ask(one.public, "DELETE", "/api/v1/sessions", &[("authorization", &auth)], None).await;
    assert_eq!(out.status, 204, "{out:?}");
    let expected = (Some(ErrorCode::BadToken), Some(4403));
    assert_eq!(sent_away(&mut here).await, expected);
    assert_eq!(sent_away(&mut there).await, expected);
    while stream.next().await.is_some() {}
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let again =
        ask(other.public, "GET", "/api/v1/sessions/current", &[("authorization", &auth)], None)
            .await;
    assert_eq!((again.status, again.code()), (401, "bad_token"));
    guest.send_acked("vault", 1, "others stay").await;
}

#[tokio::test]
async fn signing_out_ends_one_session_alone() {
    let replica = Replica::start(None, &QUICK).await;
    let token = token_of(replica.public, "Ada").await;
    let second = another_token_of(replica.public, "Ada").await;
    let (mut one, _) = enter(replica.public, &key(), "x", Some(&token), "vault").await;
    let (mut other, _) = enter(replica.public, &key(), "x", Some(&second), "vault").await;
    let path = "/api/v1/sessions/current";
    let out =
        ask(replica.public, "DELETE", path, &[("authorization", &bearer(&token))], None).await;
    assert_eq!(out.status, 204);
    assert_eq!(sent_away(&mut one).await, (Some(ErrorCode::BadToken), Some(4403)));
    other.send_acked("vault", 1, "still here").await;
}

#[tokio::test]
async fn a_ban_closes_what_is_there_and_keeps_out_what_comes() {
    let redis = Redis::start().await;
    let one = Replica::start(Some(&redis), &QUICK).await;
    let other = Replica::start(Some(&redis), &["--replica", "other"]).await;
    let device = key();
    let (mut guest, member) = enter(other.public, &device, "Troll", None, "vault").await;
    let path = format!("/api/v1/bans/{member}");
    let refused = ask(one.public, "PUT", &path, &[], Some(&json!({}))).await;
    assert_eq!(refused.status, 401);
    let operator = [("x-api-key", KEY)];
    let banned = ask(one.public, "PUT", &path, &operator, Some(&json!({}))).await;
    assert_eq!(banned.status, 204, "{banned:?}");
    let expected = (Some(ErrorCode::Banned), Some(4403));
    assert_eq!(sent_away(&mut guest).await, expected);
    let (mut again, first) = arrive(one.public, &device, "Troll", None, &[]).await;
    assert!(matches!(first, ServerFrame::Error { code: ErrorCode::Banned, .. }), "{first:?}");
    assert_eq!(again.closed().await, Some(4403));
    let body = json!({ "client": device, "name": "Troll", "n": 1, "text": "by post" });
    let sent = ask(one.public, "POST", "/api/v1/rooms/vault/messages", &[], Some(&body)).await;
    assert_eq!(sent.status, 403);
    assert_eq!(ask(one.public, "DELETE", &path, &operator, None).await.status, 204);
    enter(one.public, &device, "Troll", None, "vault").await;
}

/// Found out also where the feeds did not tell it.
#[tokio::test]
async fn a_session_that_ended_unheard_is_noticed_when_the_feeds_missed_something() {
    let redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let token = token_of(replica.public, "Ada").await;
    let (mut ada, _) = enter(replica.public, &key(), "x", Some(&token), "vault").await;
    let (mut guest, _) = enter(replica.public, &key(), "Teal", None, "vault").await;
    guest.send_acked("vault", 1, "so that there is a feed").await;
    let keys = redis.command(&["KEYS", "{chat}:session:*"]).await;
    let session = keys.lines().find(|line| line.starts_with("{chat}")).expect("a session");
    redis.command(&["DEL", session]).await;
    let feeds = redis.command(&["KEYS", "*:feed"]).await;
    for feed in feeds.lines().filter(|line| line.starts_with('{')) {
        redis.command(&["DEL", feed]).await;
    }
    assert_eq!(sent_away(&mut ada).await, (Some(ErrorCode::BadToken), Some(4403)));
    guest.send_acked("vault", 2, "others stay").await;
}

#[tokio::test]
async fn an_operator_makes_bots_and_moderators_and_nobody_else_does() {
    let replica = Replica::start(None, &QUICK).await;
    let bot = json!({ "name": "Herald" });
    for headers in [&[][..], &[("x-api-key", "another operator's")]] {
        let refused = ask(replica.public, "POST", "/api/v1/bots", headers, Some(&bot)).await;
        assert_eq!((refused.status, refused.code()), (401, "bad_key"));
    }
    let operator = [("x-api-key", KEY)];
    let made = ask(replica.public, "POST", "/api/v1/bots", &operator, Some(&bot)).await;
    assert_eq!(made.status, 201, "{made:?}");
    let old = made.body["data"]["token"].as_str().expect("a token").to_owned();
    let (mut herald, _) = enter(replica.public, &key(), "x", Some(&old), "vault").await;
    let again = ask(replica.public, "POST", "/api/v1/bots", &operator, Some(&bot)).await;
    let new = again.body["data"]["token"].as_str().expect("a token");
    assert_eq!(sent_away(&mut herald).await.1, Some(4403), "the old token is void");
    enter(replica.public, &key(), "x", Some(new), "vault").await;
    assert_eq!(sign_in(replica.public, "Herald", "any password").await.status, 401);

    let token = token_of(replica.public, "Ada").await;
    let (mut ada, _) = enter(replica.public, &key(), "x", Some(&token), "vault").await;
    let role = json!({ "role": "moderator" });
    let set = ask(replica.public, "PUT", "/api/v1/accounts/ada/role", &operator, Some(&role)).await;
    assert_eq!((set.status, &set.body["data"]["role"]), (200, &json!("moderator")));
    assert_eq!(sent_away(&mut ada).await, (None, Some(1012)), "it comes back with its role");
    let (_, first) = arrive(replica.public, &key(), "x", Some(&token), &[]).await;
    let ServerFrame::Welcome { account: Some(account), .. } = first else { panic!("{first:?}") };
    assert_eq!(account.role, Mark::Moderator);
    let of_bot =
        ask(replica.public, "PUT", "/api/v1/accounts/Herald/role", &operator, Some(&role)).await;
    assert_eq!(of_bot.status, 409);
    let keyless = Replica::start(None, &[]).await;
    let refused = ask(keyless.public, "POST", "/api/v1/bots", &operator, Some(&bot)).await;
    assert_eq!(refused.status, 404);
}

#[tokio::test]
async fn an_account_outlives_redis_and_is_known_to_every_replica() {
    let mut redis = Redis::start().await;
    let replica = Replica::start(Some(&redis), &QUICK).await;
    let token = token_of(replica.public, "Ada").await;
    assert!(redis.append_only_text().contains("{chat}:account:ada"), "it is on disk");
    assert!(!redis.append_only_text().contains(&token), "and the token is not");
    redis.kill();
    redis.launch().await;
    let fresh = Replica::start(Some(&redis), &QUICK).await;
    enter(fresh.public, &key(), "x", Some(&token), "vault").await;
    assert_eq!(register(fresh.public, "\u{410}da").await.status, 409);
}

#[tokio::test]
async fn while_redis_is_away_guests_are_let_in_as_ever_and_tokens_never_turn_into_guests() {
    let redis = Redis::start().await;
    let settings =
        [&QUICK[..], &["--redis-timeout-ms", "200", "--isolated-after-ms", "60000"]].concat();
    let replica = Replica::start(Some(&redis), &settings).await;
    let token = token_of(replica.public, "Ada").await;
    let mut with_token = Socket::open(replica.public).await;
    redis.pause(true);
    let first = support::accounts::introduce(&mut with_token, &key(), "x", Some(&token), &[]).await;
    assert!(matches!(first, ServerFrame::Error { code: ErrorCode::Unavailable, .. }), "{first:?}");
    assert_eq!(with_token.closed().await, Some(1013));
    // Nobody knows whose name it is.
    let (name, shown) = ("Ada", "Ada (guest)");
    for name in [name, shown] {
        let mut without = Socket::open(replica.public).await;
        let first = support::accounts::introduce(&mut without, &key(), name, None, &[]).await;
        let ServerFrame::Welcome { name: Some(name), .. } = first else { panic!("{first:?}") };
        assert_eq!(name, shown);
    }
    redis.pause(false);
}
