//! The list of rooms, page by page and as it changes, and what nobody else is told of a room.

mod support;

use std::net::SocketAddr;

use rollcall_protocol::{ErrorCode, ServerFrame};
use serde_json::json;
use support::{
    PATIENCE, Socket,
    accounts::{KEY, ask, bearer, token_of},
    key,
    rooms::{Stack, eventually, made, member, names, with},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The last chunk of an answer.
const ENDED: &str = "\r\n0\r\n\r\n";

/// What a list that can be followed begins with: its whole line, since who has to come back later is told 1 to 2 s at random,
/// and "retry: 2000" begins as this does.
const FOLLOWED: &str = "retry: 200\n";

/// The list as an event stream.
struct Followed {
    stream: TcpStream,
    told: String,
}

impl Followed {
    async fn open(address: SocketAddr, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("a listener");
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "GET /api/v1/rooms HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("written");
        Self { stream, told: String::new() }
    }

    /// All that was told once `wanted` was.
    async fn until(&mut self, wanted: &str) -> &str {
        let mut bytes = [0; 4096];
        while !self.told.contains(wanted) {
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes)).await;
            let read = read.unwrap_or_else(|_| panic!("no {wanted} in {}", self.told));
            let read = read.expect("a stream");
            assert_ne!(read, 0, "no {wanted} in {}", self.told);
            self.told += &String::from_utf8_lossy(&bytes[..read]);
        }
        &self.told
    }
}

#[tokio::test]
async fn a_list_has_the_latest_first_on_every_replica_and_pages_meet() {
    let stack = Stack::start().await;
    for name in ["one", "two", "three"] {
        made(&stack, &json!({ "name": name })).await;
    }
    let list = async |path: &str| ask(stack.two.public, "GET", path, &[], None).await;
    eventually(async || names(&list("/api/v1/rooms").await).len() == 3).await;
    let all = list("/api/v1/rooms?active=true").await;
    let first = list("/api/v1/rooms?limit=2").await;
    assert_eq!(names(&first), names(&all)[..2]);
    let next = first.body["data"]["next"].as_str().expect("more");
    let rest = list(&format!("/api/v1/rooms?limit=2&after={next}")).await;
    assert_eq!(names(&rest), names(&all)[2..]);
    assert!(rest.body["data"]["next"].is_null());
    for wrong in ["?limit=0", "?limit=101", "?colour=red", "?mine=true"] {
        let answer = list(&format!("/api/v1/rooms{wrong}")).await;
        assert!([400, 401].contains(&answer.status), "{wrong}: {answer:?}");
    }
}

#[tokio::test]
async fn the_list_is_followed_on_another_replica() {
    let stack = Stack::start().await;
    made(&stack, &json!({ "name": "den", "access": "private" })).await;
    let mut list = Followed::open(stack.two.public, &[]).await;
    list.until(FOLLOWED).await;
    made(&stack, &json!({ "name": "hall", "topic": "Doors" })).await;
    let told = list.until("\"name\":\"hall\"").await;
    assert!(told.contains("event: room") && !told.contains("den"), "{told}");
    stack.two.drain(0, 5_000).await;
    // It is asked to go as every stream is.
    list.until(ENDED).await;
}

/// What somebody else is answered who asks for a room, without what differs from one request to the next.
async fn answers(stack: &Stack, token: &str, room: &str) -> Vec<String> {
    let auth = bearer(token);
    let mut told = Vec::new();
    let post = json!({ "client": "0123456789abcdef0123456789abcdef", "name": "Eve", "n": 1, "text": "hi" });
    let empty = json!({});
    for (method, path, body) in [
        ("GET", "", None),
        ("GET", "/members", None),
        ("GET", "/messages", None),
        ("GET", "/messages?after=0-0", None),
        ("GET", "/events", None),
        ("PUT", "/membership", Some(&empty)),
        ("PATCH", "", Some(&empty)),
        ("POST", "/messages", Some(&post)),
    ] {
        for headers in [&[("authorization", &*auth)][..], &[]] {
            if headers.is_empty() && ["PUT", "PATCH"].contains(&method) {
                continue;
            }
            let path = format!("/api/v1/rooms/{room}{path}");
            let mut answer = ask(stack.two.public, method, &path, headers, body).await;
            answer.body["error"].as_object_mut().expect("a refusal").remove("request_id");
            told.push(format!("{} {} {method} {path}", answer.status, answer.body));
        }
    }
    told
}

/// Its name follows from who they are: nobody else makes it, or is in it before it is made.
#[tokio::test]
async fn a_room_of_two_is_made_by_nobody_else() {
    let stack = Stack::start().await;
    let (_ada, adas) = member(&stack.one, &stack.ada, "lobby").await;
    let (_bob, bobs) = member(&stack.two, &stack.bob, "lobby").await;
    let room = rollcall_server::moderation::direct_room(&adas, &bobs);
    let eve = token_of(stack.one.public, "Eve").await;
    let answer = with(&stack.one, &eve, "POST /rooms", Some(&json!({ "name": room }))).await;
    assert_eq!((answer.status, answer.code()), (400, "bad_room"));
    let mut guest = Socket::open(stack.one.public).await;
    guest.hello(&key(), "fresh", &room, None).await;
    guest.until(|frame| matches!(frame, ServerFrame::Error { code: ErrorCode::Private, .. })).await;
    let post = json!({ "client": key(), "name": "Eve", "n": 1, "text": "first" });
    let path = format!("/api/v1/rooms/{room}/messages");
    assert_eq!(ask(stack.one.public, "POST", &path, &[], Some(&post)).await.status, 403);
    // Whether they talk with each other is told to nobody else: it is the same once the room is there.
    let before = answers(&stack, &eve, &room).await;
    let body = json!({ "member": bobs, "name": "Bob" });
    assert_eq!(with(&stack.one, &stack.ada, "POST /directs", Some(&body)).await.status, 200);
    let by_bob = format!("GET /rooms/{room}");
    eventually(async || with(&stack.two, &stack.bob, &by_bob, None).await.status == 200).await;
    assert_eq!(answers(&stack, &eve, &room).await, before);
    assert!(before.iter().all(|answer| answer.starts_with("403") && answer.contains("private")));
    let own = json!({ "member": adas, "name": "Ada" });
    let answer = with(&stack.one, &stack.ada, "POST /directs", Some(&own)).await;
    assert_eq!((answer.status, answer.code()), (409, "bad_member"));
}

/// Where the next page began told the names of rooms that were not for whoever asked, one after the other.
#[tokio::test]
async fn no_page_of_the_list_names_a_room_that_is_not_for_the_asker() {
    let stack = Stack::start().await;
    let (_bob, bobs) = member(&stack.two, &stack.bob, "lobby").await;
    let partner = json!({ "member": bobs, "name": "Bob" });
    for name in ["one", "den", "two", "cave", "three"] {
        let access = if ["den", "cave"].contains(&name) { "private" } else { "open" };
        made(&stack, &json!({ "name": name, "access": access })).await;
        if name == "two" {
            with(&stack.one, &stack.ada, "POST /directs", Some(&partner)).await;
        }
    }
    let pages = async |token: Option<&str>, limit: usize, mine: bool| {
        let auth = token.map(bearer).unwrap_or_default();
        let headers = [("authorization", &*auth)];
        let headers = if token.is_some() { &headers[..] } else { &[] };
        let (mut told, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/rooms?limit={limit}&mine={mine}{after}");
            let answer = ask(stack.two.public, "GET", &path, headers, None).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            told.extend(names(&answer).into_iter().map(str::to_owned));
            let Some(next) = answer.body["data"]["next"].as_str() else { return told };
            assert_eq!(Some(next), told.last().map(String::as_str), "a room that was told");
            after = format!("&after={next}");
        }
    };
    eventually(async || pages(Some(&stack.ada), 1, false).await.len() == 6).await;
    for limit in [1, 2, 3, 100] {
        assert_eq!(pages(None, limit, false).await, ["three", "two", "one"], "{limit}");
        assert_eq!(pages(Some(&stack.bob), limit, false).await.len(), 4, "with the room of two");
        assert_eq!(pages(Some(&stack.ada), limit, true).await.len(), 6, "all are Ada's");
        assert_eq!(pages(Some(&stack.bob), limit, true).await.len(), 1);
    }
    // A name that is not for them is no place in the list either.
    for after in ["den", "direct-0123456789abcdef0123456789abcdef", "nowhere"] {
        let path = format!("/api/v1/rooms?after={after}");
        let answer = ask(stack.two.public, "GET", &path, &[], None).await;
        assert_eq!(names(&answer), ["three", "two", "one"], "{after}");
    }
}

/// It went on for as long as somebody read it, and told them of rooms that only their account saw.
#[tokio::test]
async fn the_list_ends_for_who_signs_out_or_is_banned_or_is_no_moderator_any_more() {
    let stack = Stack::start().await;
    let by_key = [("x-api-key", KEY)];
    let operator = async |method: &str, path: &str, body| {
        let path = format!("/api/v1{path}");
        let answer = ask(stack.one.public, method, &path, &by_key, Some(&body)).await;
        assert!(answer.status < 300, "{answer:?}");
    };
    let eve = token_of(stack.one.public, "Eve").await;
    let role = |role: &str| json!({ "role": role });
    operator("PUT", "/accounts/Eve/role", role("moderator")).await;
    let (_bob, bobs) = member(&stack.two, &stack.bob, "lobby").await;
    let mut lists = Vec::new();
    for token in [&stack.ada, &stack.bob, &eve] {
        let mut list = Followed::open(stack.two.public, &[("authorization", &bearer(token))]).await;
        list.until(FOLLOWED).await;
        lists.push(list);
    }
    let mut key_holders = Followed::open(stack.two.public, &by_key).await;
    key_holders.until(FOLLOWED).await;
    let left = with(&stack.one, &stack.ada, "DELETE /sessions/current", None).await;
    assert_eq!(left.status, 204);
    operator("PUT", &format!("/bans/{bobs}"), json!({})).await;
    operator("PUT", "/accounts/Eve/role", role("registered")).await;
    for list in &mut lists {
        list.until(ENDED).await;
    }
    operator("POST", "/rooms", json!({ "name": "den", "access": "private" })).await;
    let told = key_holders.until("\"name\":\"den\"").await;
    assert!(!told.contains(ENDED), "{told}");
}

/// A browser gives up for good on anything but 200.
#[tokio::test]
async fn a_list_that_cannot_be_followed_now_says_when_to_come_back() {
    let stack = Stack::start().await;
    let by_key = [("x-api-key", KEY)];
    assert_eq!(ask(stack.two.admin, "DELETE", "/accepting", &by_key, None).await.status, 200);
    let mut list = Followed::open(stack.two.public, &[]).await;
    let told = list.until("\n: ").await;
    assert!(told.starts_with("HTTP/1.1 200") && !told.contains(FOLLOWED), "{told}");
}
