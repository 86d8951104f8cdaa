//! Fault S25: a room wrote to sockets under its lock, so one hot room's avalanche held up the feeds, and by them all rooms.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use rollcall_protocol::EntryId;
use tokio::sync::Notify;

use super::{at, go_on, message, room};
use crate::{
    delivery::{Listener, Sink, Visit, Visitor, fan_out::fan_out, rooms::Start},
    metrics::Metrics,
    room::Room,
};

/// What needs no more than a room's lock takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(10);

/// A write that blocks until [`Release`] is dropped.
struct Blocking {
    inside: Sender<()>,
    released: Mutex<Receiver<()>>,
}

/// The other end of a [`Blocking`].
struct Release {
    inside: Receiver<()>,
    _released: Sender<()>,
}

fn blocking() -> (Blocking, Release) {
    let (inside, is_inside) = channel();
    let (release, released) = channel();
    let blocking = Blocking { inside, released: Mutex::new(released) };
    (blocking, Release { inside: is_inside, _released: release })
}

impl Blocking {
    fn write(&self) {
        // Nobody waits for it any more once it has been released.
        let _ = self.inside.send(());
        let released = self.released.lock().expect("no panic");
        released.recv().expect_err("it is dropped, and nothing is sent");
    }
}

impl Release {
    fn wait_until_inside(&self) {
        self.inside.recv_timeout(PATIENCE).expect("a write that begins");
    }
}

impl Sink for Blocking {
    fn offer(&self, _frames: &[u8]) -> bool {
        self.write();
        true
    }

    fn wake(&self) {}
}

/// A way out that takes everything, and counts.
#[derive(Default)]
struct Counting(Mutex<usize>);

impl Sink for Counting {
    fn offer(&self, _frames: &[u8]) -> bool {
        *self.0.lock().expect("no panic") += 1;
        true
    }

    fn wake(&self) {}
}

/// All that others want of a room whose messages are 1 and 2: a listener enters and catches up, the feed pushes, the
/// listener is handed a batch, and leaves.
fn others_use(room: &Room<Listener>) {
    let sink = Arc::new(Counting::default());
    let listener = Arc::new(Listener::new(at(1), sink.clone()));
    room.attach(9, listener.clone(), None);
    assert_eq!(go_on(&mut listener.place(), room), (vec![2], vec!["live"], None));
    room.push(message(2, 3));
    let (batch, _) = room.take_batch().expect("what was pushed");
    listener.hear(&batch);
    assert_eq!(*sink.0.lock().expect("no panic"), 1);
    room.detach(9);
}

/// Lets others use a room, and `write` be inside a write meanwhile.
fn assert_others_go_on(room: &Room<Listener>, release: Release, write: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(write);
        release.wait_until_inside();
        let (done, is_done) = channel();
        scope.spawn(move || {
            others_use(room);
            done.send(()).expect("somebody waits for it");
        });
        let went_on = is_done.recv_timeout(PATIENCE);
        drop(release);
        went_on.expect("others have the room while one write blocks");
    });
}

#[test]
fn s25_a_hand_over_that_blocks_keeps_the_room_from_nobody() {
    let room = room();
    room.fill(vec![message(0, 1)], at(1));
    let (sink, release) = blocking();
    let stuck = Arc::new(Listener::new(at(1), Arc::new(sink)));
    assert_eq!(go_on(&mut stuck.place(), &room).1, ["live"]);
    room.attach(0, stuck, None);
    room.push(message(1, 2));
    let metrics = Metrics::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    assert_others_go_on(&room, release, || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = fan_out(&room, &metrics) => {}
                // It has handed over what there was, and waits for more.
                () = std::future::ready(()) => {}
            }
        });
    });
}

#[test]
fn s25_a_catch_up_that_blocks_keeps_the_room_from_nobody() {
    let room = Arc::new(room());
    room.fill(vec![message(0, 1), message(1, 2)], at(2));
    let (sink, release) = blocking();
    let start = Start::Resumed(EntryId::ZERO);
    let begun = Visit::begin(room.clone(), start, 0, Visitor::default(), Arc::new(Notify::new()));
    let (visit, _) = begun.expect("a room that is open to all");
    assert_others_go_on(&room, release, || {
        visit.advance(|| true, |_| sink.write());
    });
}
