mod identity;

use rollcall_protocol::{EntryId, VERSION};

use super::{hello::MAX_HELLO_ROOMS, *};
use crate::accounts::Identity;

const KEY: &str = "00112233445566778899aabbccddeeff";

fn session() -> Session {
    let limits = Limits { text_bytes: 100, frame_bytes: 1000, rooms: 2, pending: 3 };
    Session::new(limits, greeting(), Box::new(|_| Ok(())))
}

fn greeting() -> Greeting {
    Greeting {
        replica: "r1".into(),
        release: "1.0.0".into(),
        heartbeat: Duration::from_secs(10),
        features: features(false, false),
    }
}

fn cursor(room: &str) -> RoomCursor {
    RoomCursor { room: room.into(), after: None }
}

fn hello(rooms: &[&str]) -> ClientFrame {
    ClientFrame::Hello {
        v: VERSION,
        client: KEY.into(),
        name: "Teal".into(),
        why: Why::Fresh,
        rooms: rooms.iter().map(|room| cursor(room)).collect(),
        moves: false,
        token: None,
    }
}

/// Says hello, and is known for a guest at once.
fn say_hello(session: &mut Session, frame: ClientFrame) -> Vec<Effect> {
    let effects = session.frame(frame);
    match &effects[..] {
        [Effect::Identify(arriving)] => {
            let name = arriving.name.clone();
            session.identified(Ok(Identity::Guest { name }))
        }
        _ => effects,
    }
}

fn greeted() -> Session {
    let mut session = session();
    say_hello(&mut session, hello(&["vault"]));
    session
}

fn send(n: u64) -> ClientFrame {
    ClientFrame::send("vault", n, format!("message {n}"))
}

fn error_code(effects: &[Effect]) -> Option<ErrorCode> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(ServerFrame::Error { code, .. }) => Some(*code),
        _ => None,
    })
}

fn reject_code(effects: &[Effect]) -> Option<RejectCode> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply(ServerFrame::Reject { code, .. }) => Some(*code),
        _ => None,
    })
}

fn closes(effects: &[Effect]) -> Option<CloseCode> {
    effects.iter().find_map(|effect| match effect {
        Effect::Close(code, _) => Some(*code),
        _ => None,
    })
}

#[test]
fn a_member_is_a_digest_of_the_key() {
    // printf %s KEY | sha256sum
    assert_eq!(member_of(KEY).len(), 16);
    assert_ne!(member_of(KEY), member_of("10112233445566778899aabbccddeeff"));
}

#[test]
fn hello_is_welcomed_and_enters_each_room_once() {
    let effects = say_hello(&mut session(), hello(&["vault", "vault"]));
    let entered = effects.iter().filter(|effect| matches!(effect, Effect::Enter(_))).count();
    assert_eq!(entered, 1);
    assert!(matches!(effects[0], Effect::Greet(Why::Fresh)));
    assert!(matches!(effects[1], Effect::Reply(ServerFrame::Welcome { .. })));
}

#[test]
fn a_bad_hello_names_its_fault_and_closes() {
    type Edit = fn(&mut ClientFrame);
    let edits: [(ErrorCode, Edit); 4] = [
        (ErrorCode::BadVersion, |f| {
            if let ClientFrame::Hello { v, .. } = f {
                *v = 2
            }
        }),
        (ErrorCode::BadClient, |f| {
            if let ClientFrame::Hello { client, .. } = f {
                client.push('0')
            }
        }),
        (ErrorCode::BadName, |f| {
            if let ClientFrame::Hello { name, .. } = f {
                name.push('\u{202e}')
            }
        }),
        (ErrorCode::TooManyRooms, |f| {
            if let ClientFrame::Hello { rooms, .. } = f {
                *rooms = (0..=MAX_HELLO_ROOMS).map(|i| cursor(&format!("room {i}"))).collect();
            }
        }),
    ];
    for (code, edit) in edits {
        let mut frame = hello(&["vault"]);
        edit(&mut frame);
        let effects = session().frame(frame);
        assert_eq!(error_code(&effects), Some(code));
        assert_eq!(closes(&effects), Some(CloseCode::BadHello));
    }
}

#[test]
fn nothing_goes_before_hello_and_hello_goes_once() {
    assert_eq!(error_code(&session().frame(send(1))), Some(ErrorCode::UnexpectedHello));
    assert_eq!(error_code(&greeted().frame(hello(&[]))), Some(ErrorCode::UnexpectedHello));
}

#[test]
fn ten_bad_frames_are_enough() {
    let mut session = greeted();
    for _ in 0..9 {
        assert_eq!(closes(&session.malformed("not JSON".into())), None);
    }
    let effects = session.frame(ClientFrame::Unknown);
    assert_eq!(error_code(&effects), Some(ErrorCode::UnknownType));
    assert_eq!(closes(&effects), Some(CloseCode::BadFrames));
}

#[test]
fn sends_are_appended_one_at_a_time_in_order() {
    let mut session = greeted();
    assert!(matches!(&session.frame(send(1))[..], [Effect::Append(entry)] if entry.n == 1));
    assert_eq!(session.frame(send(2)), []);
    let effects = session.appended(&Ok(Appended::Taken(EntryId::new(5, 0))));
    assert!(matches!(&effects[..], [
        Effect::Reply(ServerFrame::Ack { n: 1, duplicate: false, .. }),
        Effect::Append(next),
    ] if next.n == 2));
    let effects = session.appended(&Ok(Appended::Duplicate(None)));
    assert!(matches!(
        &effects[..],
        [Effect::Reply(ServerFrame::Ack { n: 2, id: None, duplicate: true, .. })]
    ));
}

#[test]
fn rejects_name_what_to_do() {
    let mut session = greeted();
    session.frame(send(5));
    let effects = session.appended(&Ok(Appended::Expected(2)));
    assert!(matches!(
        &effects[..],
        [Effect::Reply(ServerFrame::Reject { n: 5, expected: Some(2), .. })]
    ));
    session.frame(send(2));
    let effects = session.appended(&Err(LogError::Refused("OOM".into())));
    assert!(matches!(&effects[..], [Effect::Reply(ServerFrame::Reject { retry_ms: Some(_), .. })]));
}

#[test]
fn sends_are_bounded_checked_and_throttled() {
    let mut session = greeted();
    for n in 1..=3 {
        session.frame(send(n));
    }
    assert_eq!(reject_code(&session.frame(send(4))), Some(RejectCode::Busy));
    let elsewhere = ClientFrame::send("lobby", 1, "x");
    assert_eq!(reject_code(&greeted().frame(elsewhere)), Some(RejectCode::NotJoined));
    let empty = ClientFrame::send("vault", 1, " ");
    assert_eq!(reject_code(&greeted().frame(empty)), Some(RejectCode::BadText));
    let mut slow = greeted();
    slow.throttle = Box::new(|_| Err(Duration::from_millis(70)));
    let effects = slow.frame(send(1));
    assert!(matches!(
        &effects[..],
        [Effect::Reply(ServerFrame::Reject { retry_ms: Some(70), .. })]
    ));
}

#[test]
fn rooms_are_bounded_and_left() {
    let mut session = greeted();
    let join = |room: &str| ClientFrame::join(room, None);
    assert!(matches!(&session.frame(join("lobby"))[..], [Effect::Enter(_)]));
    assert_eq!(error_code(&session.frame(join("attic"))), Some(ErrorCode::TooManyRooms));
    assert_eq!(error_code(&session.frame(join(""))), Some(ErrorCode::BadRoom));
    let leave = ClientFrame::Leave { room: "vault".into() };
    assert_eq!(session.frame(leave.clone()), [Effect::Exit("vault".into())]);
    assert_eq!(session.frame(leave), []);
}

/// A log that remembers nothing of a member takes any first number.
#[test]
fn nothing_overtakes_a_refused_send() {
    let mut session = greeted();
    let refusals = [Err(Duration::from_millis(70)), Ok(())];
    let mut refusals = refusals.into_iter().chain(std::iter::repeat(Ok(())));
    session.throttle = Box::new(move |ask| match ask {
        Ask::Later { ahead, .. } => Err(Duration::from_millis(70) * (ahead + 1)),
        _ => refusals.next().expect("it repeats"),
    });
    assert_eq!(reject_code(&session.frame(send(1))), Some(RejectCode::RateLimited));
    assert_eq!(reject_code(&session.frame(send(2))), Some(RejectCode::RateLimited));
    assert!(matches!(&session.frame(send(1))[..], [Effect::Append(entry)] if entry.n == 1));
    assert_eq!(session.frame(send(2)), []);
}

#[test]
fn a_refusal_by_the_log_refuses_what_waits_behind_it() {
    let mut session = greeted();
    for n in 1..=3 {
        session.frame(send(n));
    }
    let effects = session.appended(&Err(LogError::Refused("OOM".into())));
    let refused: Vec<_> = effects
        .iter()
        .map(|effect| match effect {
            Effect::Reply(ServerFrame::Reject { n, expected, .. }) => (*n, *expected),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(refused, [(1, None), (2, Some(1)), (3, Some(1))]);
    assert!(matches!(&session.frame(send(1))[..], [Effect::Append(entry)] if entry.n == 1));
}

/// Fault S29: `retry_ms` told the time to one token, so the window behind it was refused again and again.
#[test]
fn s29_each_of_a_refused_window_is_told_its_own_time() {
    let mut session = greeted();
    session.throttle = Box::new(|ask| match ask {
        Ask::Later { ahead, .. } => Err(Duration::from_millis(50) * (ahead + 1)),
        _ => Err(Duration::from_micros(49_001)),
    });
    let told = |effects: Vec<Effect>| match &effects[..] {
        [Effect::Reply(ServerFrame::Reject { code: RejectCode::RateLimited, retry_ms, .. })] => {
            *retry_ms
        }
        other => panic!("{other:?}"),
    };
    let waits: Vec<_> = (1..=4).map(|n| told(session.frame(send(n)))).collect();
    assert_eq!(waits, [Some(50), Some(100), Some(150), Some(200)]);
}

/// Fault S13: a `hello` with 65 rooms, or one that cannot be entered, was refused for good, and so was every later one.
#[test]
fn s13_a_hello_enters_the_rooms_that_it_can() {
    let mut session = session();
    let rooms = ["vault", "a\nb", "lobby", "vault", "attic", "cellar"];
    let effects = say_hello(&mut session, hello(&rooms));
    let entered: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Enter(RoomCursor { room, .. }) => Some(room.as_str()),
            _ => None,
        })
        .collect();
    let refused: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Reply(ServerFrame::Error { code, room: Some(room), .. }) => {
                Some((*code, room.as_str()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(entered, ["vault", "lobby"]);
    assert_eq!(
        refused,
        [
            (ErrorCode::BadRoom, "a\nb"),
            (ErrorCode::TooManyRooms, "attic"),
            (ErrorCode::TooManyRooms, "cellar")
        ]
    );
    assert_eq!(closes(&effects), None);
}

/// Fault S13: 64 rooms with long names made a `hello` longer than any frame may be.
#[test]
fn s13_every_hello_that_the_limits_allow_fits() {
    let limits = Limits { text_bytes: 4096, frame_bytes: 16 * 1024, rooms: 64, pending: 32 };
    // As JSON writers that keep to ASCII have it.
    let escaped = |count: usize| "\\ud83d\\ude00".repeat(count);
    let cursor = EntryId::new(u64::MAX, u64::MAX);
    let rooms = (0..limits.rooms)
        .map(|_| format!(r#"{{ "room": "{}", "after": "{cursor}" }}"#, escaped(64)))
        .collect::<Vec<_>>()
        .join(", ");
    let hello = format!(
        r#"{{ "type": "hello", "v": 1, "client": "{KEY}", "name": "{}", "why": "resume", "moves": true, "rooms": [ {rooms} ] }}"#,
        escaped(32)
    );
    assert!(serde_json::from_str::<ClientFrame>(&hello).is_ok());
    assert!(hello.len() <= hello_bytes(&limits), "{} > {}", hello.len(), hello_bytes(&limits));
    let session = Session::new(limits.clone(), greeting(), Box::new(|_| Ok(())));
    assert_eq!(session.longest_frame(), hello_bytes(&limits));
    assert_eq!(greeted().longest_frame(), 1000);
}

fn taken_by_another(session: &mut Session, expected: u64) -> Vec<(RejectCode, u64, Option<u64>)> {
    let effects = session.appended(&Ok(Appended::NumberTaken { expected }));
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Reply(ServerFrame::Reject { code, n, expected, retry_ms: None, .. }) => {
                (*code, *n, *expected)
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

/// Fault S30: the same `n` with another text was acknowledged, and the text dropped.
#[test]
fn s30_a_number_of_another_text_is_refused_and_nothing_overtakes_that_text() {
    let mut session = greeted();
    for n in 5..=7 {
        session.frame(send(n));
    }
    let refused = taken_by_another(&mut session, 6);
    assert_eq!(
        refused,
        [
            (RejectCode::NumberTaken, 5, Some(6)),
            (RejectCode::OutOfOrder, 6, Some(6)),
            (RejectCode::OutOfOrder, 7, Some(6))
        ]
    );
    // What was on its way, too, while the client knew nothing of it.
    assert_eq!(reject_code(&session.frame(send(8))), Some(RejectCode::OutOfOrder));
    let renumbered = ClientFrame::send("vault", 6, "message 5");
    assert!(matches!(&session.frame(renumbered)[..], [Effect::Append(entry)] if entry.n == 6));
}

#[test]
fn s30_the_text_with_its_new_number_passes_at_once_and_another_at_its_second_try() {
    let mut session = greeted();
    session.frame(send(5));
    assert_eq!(taken_by_another(&mut session, 6), [(RejectCode::NumberTaken, 5, Some(6))]);
    let renumbered = ClientFrame::send("vault", 6, "message 5");
    assert!(matches!(&session.frame(renumbered)[..], [Effect::Append(_)]));
    session.appended(&Ok(Appended::NumberTaken { expected: 7 }));
    // One that dropped its text instead.
    assert_eq!(reject_code(&session.frame(send(7))), Some(RejectCode::OutOfOrder));
    assert!(matches!(&session.frame(send(7))[..], [Effect::Append(_)]));
}

/// Fault S21: joins and leaves were as fast as frames may come.
#[test]
fn s21_rooms_entered_and_left_are_counted() {
    use std::sync::{Arc, Mutex};
    let counted = Arc::new(Mutex::new(Vec::new()));
    let mut session = session();
    let counts = counted.clone();
    session.throttle = Box::new(move |ask| {
        if let Ask::Rooms { count, .. } = ask {
            counts.lock().expect("no panic").push(count);
            return Err(Duration::from_millis(30));
        }
        Ok(())
    });
    let pause = Effect::Pause(Duration::from_millis(30));
    assert_eq!(say_hello(&mut session, hello(&["vault", "lobby"])).last(), Some(&pause));
    let leave = ClientFrame::Leave { room: "vault".into() };
    assert_eq!(session.frame(leave), [Effect::Exit("vault".into()), pause.clone()]);
    let join = ClientFrame::join("vault", None);
    assert_eq!(session.frame(join.clone()), [Effect::Enter(cursor("vault")), pause.clone()]);
    assert_eq!(session.frame(join), [pause], "also what has no effect");
    assert_eq!(*counted.lock().expect("no panic"), [2, 1, 1, 1]);
}

/// Fault S21: clients were told what Redis said.
#[test]
fn s21_what_redis_said_reaches_no_client() {
    let mut session = greeted();
    session.frame(send(1));
    let effects = session.appended(&Err(LogError::Refused("OOM command not allowed".into())));
    assert!(!format!("{effects:?}").contains("OOM"), "{effects:?}");
}

#[test]
fn clients_that_say_that_they_obey_goaway_are_known() {
    assert!(!greeted().moves(), "older ones say nothing");
    let mut session = session();
    let obedient = format!(
        r#"{{"type":"hello","v":1,"client":"{KEY}","name":"Teal","why":"fresh","moves":true}}"#
    );
    say_hello(&mut session, serde_json::from_str(&obedient).expect("a hello"));
    assert!(session.moves());
    // A second hello is refused, and says nothing.
    say_hello(&mut session, hello(&[]));
    assert!(session.moves());
}
