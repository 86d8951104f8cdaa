//! The session against a simulated service: any mixture of posts, moves, losses and failed
//! attempts, in any order, delivers the room log once and in order, and logs what was said once.

mod world;

use proptest::prelude::*;
use rollcall_protocol::{JoinStatus, PresenceEvent, RejectCode, ServerFrame};

use self::world::{ROOM, Step, World, joined, steps};
use super::*;

/// A `hello` may carry a cursor of a room that was left and entered again before its answer came:
/// the head that the answer names is not where the messages after it begin.
#[test]
fn no_skipped_message_after_a_return_while_connecting() {
    let mut world = World::new();
    world.step(&Step::Dial { ok: true });
    let (id, now) = (world.link(0).expect("a connection"), world.now);
    world.session.leave(ROOM, now);
    world.session.join(ROOM.to_owned(), None, now);
    world.session.frame(id, joined(3, JoinStatus::Resumed), now);
    assert_eq!(world.session.rooms[ROOM].cursor.at(), None);
    let asked = world.session.effects.iter().rev().take(2).rev().collect::<Vec<_>>();
    assert!(
        matches!(
            asked[..],
            [
                Effect::Write(_, ClientFrame::Leave { .. }),
                Effect::Write(_, ClientFrame::Join { after: None, .. }),
            ]
        ),
        "{asked:?}"
    );
}

/// The answer to the first time in a room may come when the client has left and entered it again.
#[test]
fn no_skipped_message_after_a_quick_return() {
    let mut world = World::new();
    world.step(&Step::Dial { ok: true });
    let (id, now) = (world.link(0).expect("a connection"), world.now);
    world.session.leave(ROOM, now);
    world.session.join(ROOM.to_owned(), None, now);
    world.session.frame(id, joined(3, JoinStatus::Fresh), now);
    world.session.frame(id, joined(5, JoinStatus::Fresh), now);
    world.session.frame(id, ServerFrame::Live { room: ROOM.to_owned(), id: World::id(5) }, now);
    assert_eq!(world.session.rooms[ROOM].cursor.at(), Some(World::id(5)));
    world.carry_out(); // panics at a broken chain
}

/// A message that was refused for now waits for its moment. That may come when nothing can be sent: in a room that was left
/// meanwhile, or while others before it have no answer. Then a clock is no help, and must not run hot.
#[test]
fn a_held_message_wakes_nobody_while_it_cannot_go() {
    for leave in [true, false] {
        let mut world = World::new();
        world.step(&Step::Dial { ok: true });
        let id = world.link(0).expect("a connection");
        world.session.frame(id, joined(0, JoinStatus::Fresh), world.now);
        world.step(&Step::Say);
        world.session.frame(id, ack(1), world.now);
        world.step(&Step::Say);
        world.step(&Step::Say);
        let refused = [Some(2), leave.then_some(3)];
        for n in refused.into_iter().flatten() {
            world.session.frame(id, for_now(n), world.now);
        }
        if leave {
            world.session.leave(ROOM, world.now);
        }
        world.now += 2 * FOR_NOW;
        world.session.tick(world.now);
        let next = world.session.wake_at().expect("a ping");
        assert!(next > world.now, "left: {leave}");
    }
}

/// A member that came back at once seemed to have left: the connection that was being left told its leaving after the next
/// one's list.
#[test]
fn who_is_there_is_told_by_the_connection_that_has_the_newer_list() {
    let told = |lost: bool| {
        let mut world = World::new();
        world.step(&Step::Dial { ok: true });
        let first = world.link(0).expect("a connection");
        world.session.frame(first, joined(0, JoinStatus::Fresh), world.now);
        world.session.frame(first, live(), world.now);
        world.step(&Step::Goaway { link: 0 });
        world.step(&Step::Wait);
        world.step(&Step::Dial { ok: true });
        let second = world.link(1).expect("another one");
        world.session.frame(first, left("before"), world.now);
        world.session.frame(second, joined(0, JoinStatus::Resumed), world.now);
        world.session.frame(first, left("outdated"), world.now);
        world.session.frame(second, left("newer"), world.now);
        let loss = Loss::Broke("reset".to_owned());
        match lost {
            true => world.session.lost(second, loss, world.now),
            false => world.session.frame(second, live(), world.now),
        }
        let mut who = Vec::new();
        while let Some(effect) = world.session.next_effect() {
            if let Effect::Emit(Event::Presence { member, .. }) = effect {
                who.push(member);
            }
        }
        who
    };
    assert_eq!(told(false), ["before", "newer"]);
    assert_eq!(told(true), ["before", "newer", "outdated"], "it goes on with the first");
}

fn live() -> ServerFrame {
    ServerFrame::Live { room: ROOM.to_owned(), id: World::id(0) }
}

fn left(member: &str) -> ServerFrame {
    let (room, member) = (ROOM.to_owned(), member.to_owned());
    ServerFrame::Presence { room, event: PresenceEvent::Leave, name: member.clone(), member }
}

const FOR_NOW: Duration = Duration::from_millis(200);

fn ack(n: u64) -> ServerFrame {
    ServerFrame::Ack { room: ROOM.to_owned(), n, id: None, duplicate: false }
}

fn for_now(n: u64) -> ServerFrame {
    let (room, code, detail) = (ROOM.to_owned(), RejectCode::RateLimited, String::new());
    let retry_ms = u64::try_from(FOR_NOW.as_millis()).ok();
    ServerFrame::Reject { room, n, code, detail, expected: None, retry_ms }
}

proptest! {
    #[test]
    fn the_log_is_heard_once_in_order_and_holds_once_what_was_said(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.come_to_rest();
        let texts: Vec<_> = world.log.iter().map(|(text, _)| text.clone()).collect();
        let from = world.started_at.expect("it was in the room");
        prop_assert_eq!(&world.heard, &texts[from..].to_vec());
        let mine: Vec<_> = texts.into_iter().filter(|text| text.starts_with("mine")).collect();
        prop_assert_eq!(&mine, &world.said);
        prop_assert_eq!(world.acked, world.said.len());
        prop_assert_eq!(world.peers.len(), 1, "one connection is left");
    }
}
