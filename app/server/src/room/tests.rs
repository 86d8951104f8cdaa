use std::sync::{Arc, Barrier};

use rollcall_protocol::{EntryId, Member, PresenceEvent};
use tokio::net::{TcpListener, TcpStream};

use super::{Listener, Out, Room};
use crate::{presence::Snapshot, socket::Outlet};

const ROUNDS: u64 = 2_000;
const COMING: u64 = 8;

fn member(number: u64) -> Member {
    Member { member: format!("member-{number}"), name: "Ada".to_owned() }
}

/// Several come, on other replicas, and are handed on to whoever listens by then.
fn come(room: &Room) {
    for number in 1..=COMING {
        room.presence(EntryId::new(number, 0), PresenceEvent::Join, member(number));
        while let Some((batch, listeners)) = room.take_batch() {
            listeners.iter().for_each(|listener| listener.hear(&batch));
        }
    }
}

/// Anomaly `presence`: whoever came between the list in `joined` and the listener's first frame was
/// in neither, until it left again.
#[tokio::test]
async fn presence_of_who_comes_while_another_enters() {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let tcp = TcpStream::connect(socket.local_addr().expect("an address")).await.expect("tcp");
    let outlet = Arc::new(Outlet::new(tcp));
    for round in 0..ROUNDS {
        let room = Room::new("hall".to_owned());
        room.settle(Snapshot { at: EntryId::ZERO, members: [].into() });
        let there = Arc::new(Listener::new(EntryId::ZERO, Out::Direct(outlet.clone())));
        room.attach(0, there, None);
        let entering = Arc::new(Listener::new(EntryId::ZERO, Out::Direct(outlet.clone())));
        let start = Barrier::new(2);
        let listed = std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                come(&room);
            });
            start.wait();
            room.attach(1, entering.clone(), None).0
        });
        let told_later = entering.place().presence_stale;
        let all = usize::try_from(COMING).expect("a few");
        assert!(listed == all || told_later, "round {round}: {listed} of {all}, and no more");
    }
}
