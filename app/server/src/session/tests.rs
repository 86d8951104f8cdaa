mod identity;
mod sends;

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
