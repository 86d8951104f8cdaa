use super::*;

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

/// What was waited for there was kept for as long as the connection lived: a room of another name each time filled the memory.
#[test]
fn of_a_room_that_was_not_entered_nothing_is_kept() {
    let mut session = greeted();
    let join = || ClientFrame::Join { room: "den".into(), after: None, invite: None };
    session.frame(join());
    let refused = session.frame(ClientFrame::send("den", 1, String::new()));
    assert_eq!(reject_code(&refused), Some(RejectCode::BadText));
    session.not_entered("den");
    session.frame(join());
    let taken = session.frame(ClientFrame::send("den", 2, "hello".to_owned()));
    assert!(matches!(&taken[..], [Effect::Append(entry)] if entry.n == 2), "{taken:?}");
}
