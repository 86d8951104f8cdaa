//! Who the client is.

use rollcall_protocol::EntryId;

use super::*;
use crate::accounts::{Dismissed, NotIdentified, Person};

fn ada() -> Person {
    Person {
        member: "00000000000000ad".into(),
        name: "Ada".into(),
        folded: "ada".into(),
        role: rollcall_protocol::Mark::Moderator,
        session: "hash".into(),
        left_ms: None,
    }
}

#[test]
fn nothing_is_answered_before_it_is_known_who_says_hello() {
    let mut session = session();
    let effects = session.frame(hello(&["vault"]));
    assert!(matches!(&effects[..], [Effect::Identify(arriving)] if arriving.name == "Teal"));
    assert!(session.is_asking() && session.me().is_none());
    assert_eq!(error_code(&session.frame(hello(&[]))), Some(ErrorCode::UnexpectedHello));
    let effects = session.identified(Ok(Identity::Guest { name: "Teal (guest)".into() }));
    assert!(effects.iter().any(|effect| matches!(effect,
        Effect::Reply(ServerFrame::Welcome { name: Some(name), account: None, .. })
            if name == "Teal (guest)")));
    assert_eq!(session.me().map(|me| &*me.name), Some("Teal (guest)"));
    assert!(!session.is_asking());
}

#[test]
fn somebody_with_an_account_speaks_as_its_member_and_counts_by_the_device() {
    let mut session = session();
    session.frame(hello(&["vault"]));
    let effects = session.identified(Ok(Identity::Person(ada())));
    assert!(effects.iter().any(|effect| matches!(effect,
        Effect::Reply(ServerFrame::Welcome { member, sender: Some(sender), account: Some(_), .. })
            if *member == ada().member && *sender == member_of(KEY))));
    assert!(session.has_power());
    let effects = session.frame(send(1));
    let [Effect::Append(entry)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((&*entry.member, &*entry.name, entry.has_power), (&*ada().member, "Ada", true));
    assert_eq!(entry.sender(), member_of(KEY));
    assert_eq!(entry.extra.mark, Some(ada().role));
}

#[test]
fn a_token_that_is_not_known_is_never_a_guests() {
    for (why, code, close) in [
        (NotIdentified::BadToken, ErrorCode::BadToken, CloseCode::BadHello),
        (NotIdentified::Banned, ErrorCode::Banned, CloseCode::Dismissed),
        (NotIdentified::Unavailable, ErrorCode::Unavailable, CloseCode::TryAgainLater),
    ] {
        let mut session = session();
        session.frame(hello(&["vault"]));
        let effects = session.identified(Err(why));
        assert_eq!((error_code(&effects), closes(&effects)), (Some(code), Some(close)));
        assert_eq!(session.me(), None);
    }
}

#[test]
fn whoever_is_dismissed_says_no_more() {
    let mut session = greeted();
    session.frame(send(1));
    session.frame(send(2));
    let effects = session.dismissed(Dismissed::Banned);
    assert_eq!(error_code(&effects), Some(ErrorCode::Banned));
    assert_eq!(closes(&effects), Some(CloseCode::Dismissed));
    assert!(effects.contains(&Effect::Bye));
    let effects = session.appended(&Ok(Appended::Taken(EntryId::new(5, 0))));
    assert!(matches!(&effects[..], [Effect::Reply(ServerFrame::Ack { n: 1, .. })]));
    let effects = greeted().dismissed(Dismissed::Changed);
    assert_eq!(closes(&effects), Some(CloseCode::Restart), "it comes back, and nobody sees it go");
}

/// It costs as much as entering a room does.
#[test]
fn what_is_read_is_counted_as_rooms_are_and_kept_for_accounts_alone() {
    let read = || ClientFrame::Read { room: "vault".into(), id: EntryId::new(7, 1) };
    assert_eq!(greeted().frame(read()), [], "a guest's is kept nowhere");
    let limits = Limits { text_bytes: 100, frame_bytes: 1000, rooms: 2, pending: 3 };
    let wait = Duration::from_millis(100);
    let throttle = move |ask: Ask<'_>| match ask {
        Ask::Rooms { .. } => Err(wait),
        _ => Ok(()),
    };
    let mut session = Session::new(limits, greeting(), Box::new(throttle));
    session.frame(hello(&["vault"]));
    session.identified(Ok(Identity::Person(ada())));
    let kept = Effect::Read("vault".into(), EntryId::new(7, 1));
    assert_eq!(session.frame(read()), [kept, Effect::Pause(wait)]);
}
