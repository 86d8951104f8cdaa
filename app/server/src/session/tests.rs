use super::*;

const KEY: &str = "00112233445566778899aabbccddeeff";

fn session() -> Session {
    let limits = Limits { text_bytes: 100, frame_bytes: 1000, rooms: 2, pending: 3 };
    let greeting = Greeting {
        replica: "r1".into(),
        release: "1.0.0".into(),
        heartbeat: Duration::from_secs(10),
    };
    Session::new(limits, greeting, Box::new(|_| Ok(())))
}

fn hello(rooms: &[&str]) -> ClientFrame {
    ClientFrame::Hello {
        v: VERSION,
        client: KEY.into(),
        name: "Teal".into(),
        why: Why::Fresh,
        rooms: rooms.iter().map(|&room| RoomCursor { room: room.into(), after: None }).collect(),
        moves: true,
    }
}

fn greeted() -> Session {
    let mut session = session();
    session.frame(hello(&["vault"]));
    session
}

fn send(n: u64) -> ClientFrame {
    ClientFrame::Send { room: "vault".into(), n, text: format!("message {n}") }
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
    let effects = session().frame(hello(&["vault", "vault"]));
    let entered = effects.iter().filter(|effect| matches!(effect, Effect::Enter(_))).count();
    assert_eq!(entered, 1);
    assert!(matches!(effects[0], Effect::Greet(Why::Fresh)));
    assert!(matches!(effects[1], Effect::Reply(ServerFrame::Welcome { .. })));
}

#[test]
fn a_bad_hello_names_its_fault_and_closes() {
    type Edit = fn(&mut ClientFrame);
    let edits: [(ErrorCode, Edit); 5] = [
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
        (ErrorCode::BadRoom, |f| {
            if let ClientFrame::Hello { rooms, .. } = f {
                rooms.push(RoomCursor { room: "a\nb".into(), after: None });
            }
        }),
        (ErrorCode::TooManyRooms, |f| {
            if let ClientFrame::Hello { rooms, .. } = f {
                *rooms =
                    (0..3).map(|i| RoomCursor { room: format!("room {i}"), after: None }).collect();
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
    let elsewhere = ClientFrame::Send { room: "lobby".into(), n: 1, text: "x".into() };
    assert_eq!(reject_code(&greeted().frame(elsewhere)), Some(RejectCode::NotJoined));
    let empty = ClientFrame::Send { room: "vault".into(), n: 1, text: " ".into() };
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
    let join = |room: &str| ClientFrame::Join { room: room.into(), after: None };
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
    session.throttle = Box::new(move |_| refusals.next().expect("it repeats"));
    assert_eq!(reject_code(&session.frame(send(1))), Some(RejectCode::RateLimited));
    assert_eq!(reject_code(&session.frame(send(2))), Some(RejectCode::OutOfOrder));
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
