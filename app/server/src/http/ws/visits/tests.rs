use std::sync::Arc;

use clap::Parser;
use rollcall_protocol::{ErrorCode, Member, RoomCursor};
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Done, Visits};
use crate::{
    accounts::{self, Accounts, MemoryAccounts},
    app::App,
    budget::Budget,
    config::Config,
    delivery::{Parts, Rooms},
    directory::Directory,
    health::Health,
    http::ws::{outlet::Outlet, voice::Voice},
    log::{Log, MemoryLog},
    memberships::{Memberships, MemoryMemberships},
    metrics::Metrics,
    moderation::Actor,
    people::People,
    presence::{MemoryPresence, Presence, Seat, Store},
    supervise::Supervisor,
};

const ROOMS: usize = 26;
/// As many as a room names.
const MEMBERS: usize = 200;
/// What the kernel is asked to hold on each side of the socket.
const KERNEL_BYTES: u32 = 4096;

/// What all connections of a replica share, its logs in memory.
fn app() -> App {
    let config = Config::parse_from(["rollcall-server"]);
    let (metrics, health, tasks) = (Metrics::new(), Health::new(), TaskTracker::new());
    let (supervisor, _) = Supervisor::new(tasks.clone(), CancellationToken::new());
    let log = MemoryLog::new(config.limits.log.clone());
    let store = Store::Memory(MemoryPresence::new(config.lease, log.feed()));
    let parts = Parts {
        log: Log::Memory(log),
        presence: Presence::new(store, "r1", config.lease),
        rings: Budget::new(config.limits.rings_bytes),
        metrics: metrics.clone(),
        health: health.clone(),
        directory: Directory::new(config.limits.listed_rooms),
        people: People::default(),
        supervisor,
    };
    let rooms = Rooms::new(&config.limits, parts);
    let memberships = Memberships::Memory(MemoryMemberships::default());
    let accounts = accounts::Store::Memory(MemoryAccounts::default());
    let accounts = Accounts::new(accounts, config.accounts.session());
    App::new(config, rooms, accounts, memberships, health, metrics, tasks)
}

fn member(number: usize) -> Member {
    Member { member: format!("{number:032x}"), name: format!("Ada Lovelace {number}") }
}

fn room(number: usize) -> String {
    format!("hall {number}")
}

/// Seats that fill each room's roster.
async fn fill_rosters(app: &App) -> Vec<Seat> {
    let mut seats = Vec::new();
    for room in (0..ROOMS).map(room) {
        for number in 0..MEMBERS {
            let seat = app.rooms.presence().enter(&room, &member(number)).await;
            seats.push(seat.expect("a store in memory"));
        }
    }
    seats
}

/// The server's end of a socket that holds little, and its client's.
async fn small_socket() -> (TcpStream, TcpStream) {
    let listener = TcpSocket::new_v4().expect("a socket");
    listener.set_send_buffer_size(KERNEL_BYTES).expect("a small buffer");
    listener.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let listener = listener.listen(1).expect("a listener");
    let client = TcpSocket::new_v4().expect("a socket");
    client.set_recv_buffer_size(KERNEL_BYTES).expect("a small buffer");
    let address = listener.local_addr().expect("an address");
    let (accepted, client) = tokio::join!(listener.accept(), client.connect(address));
    (accepted.expect("a connection").0, client.expect("a connection"))
}

/// Fault S11: what 26 rooms with 200 members each had to tell passed what may wait for a connection; it ended without a
/// close frame, and its client came back with the same `hello`, for ever.
#[tokio::test]
async fn s11_rooms_are_entered_as_the_way_out_takes_them() {
    let app = app();
    let _seats = fill_rosters(&app).await;
    let (tcp, mut client) = small_socket().await;
    let outlet_bytes = app.config.limits.outlet_bytes;
    let outlet = Arc::new(Outlet::new(tcp, outlet_bytes, &app.outlets));
    let waiting = || app.outlets.used_ratio() * app.config.limits.outlets_bytes as f64;
    let me = Actor { member: member(MEMBERS), mark: None, has_power: false };
    let mut visits = Visits::new(app.clone(), Voice::new(outlet.clone(), app.metrics.clone()), 1);
    (0..ROOMS).for_each(|number| visits.enter(RoomCursor { room: room(number), after: None }));

    let (mut read, mut most_waited, mut rooms_waited) = (Vec::new(), 0.0_f64, 0);
    let is_live = |read: &[u8]| String::from_utf8_lossy(read).matches(r#""type":"live""#).count();
    while is_live(&read) < ROOMS {
        visits.catch_up(&me, |_| true);
        assert!(!outlet.is_closed(), "more waits than replies may add, after {}", read.len());
        most_waited = most_waited.max(waiting());
        rooms_waited = rooms_waited.max(visits.arrived.len());
        if visits.under_way() > 0 {
            let done = visits.next().await;
            assert!(visits.done(done).is_ok(), "a room in memory is entered");
            continue;
        }
        // The slow reader reads when there is nothing else to do.
        tokio::select! {
            count = client.read_buf(&mut read) => assert!(count.expect("an open socket") > 0),
            flushed = outlet.flush_some(), if outlet.is_waiting() => flushed.expect("an open socket"),
        }
    }
    assert!(
        rooms_waited > ROOMS / 2,
        "{rooms_waited} rooms at once waited for room on the way out"
    );
    assert!(read.len() > 4 * outlet_bytes, "{} bytes are too few to pass the limit", read.len());
    let largest = read.len() / ROOMS * 2;
    assert!(most_waited <= (outlet_bytes + largest) as f64, "{most_waited} bytes waited");
}

/// A ban that met a join was never applied: the room's state was looked at before the seat was taken, and the batch that told
/// of the ban went out before the connection listened.
#[tokio::test]
async fn a_ban_that_comes_while_somebody_enters_keeps_them_out() {
    let app = app();
    let (tcp, _client) = small_socket().await;
    let outlet = Arc::new(Outlet::new(tcp, app.config.limits.outlet_bytes, &app.outlets));
    let me = Actor { member: member(1), mark: None, has_power: false };
    let mut visits = Visits::new(app.clone(), Voice::new(outlet, app.metrics.clone()), 1);
    visits.enter(RoomCursor { room: room(1), after: None });
    assert!(visits.catch_up(&me, |_| true).is_empty());
    let Done::Entered(cursor, Ok(entry)) = visits.next().await else { panic!("it is entered") };
    let operator = Actor { member: member(0), mark: None, has_power: true };
    let ban = operator.ban(&room(1), &me.member, None, 1);
    app.rooms.log().change(&ban).await.expect("a log in memory");
    app.rooms.refresh(&room(1)).await.expect("a log in memory");
    // The batch that tells of it goes to those who listen.
    let batch = entry.room.take_batch();
    assert!(batch.is_some_and(|(batch, listeners)| batch.has_state && listeners.is_empty()));
    assert!(visits.done(Done::Entered(cursor, Ok(entry))).is_ok());
    let barred = visits.catch_up(&me, |_| true);
    let codes: Vec<_> = barred.iter().map(|it| (it.room.clone(), it.error.code())).collect();
    assert_eq!(codes, [(room(1), ErrorCode::Banned)]);
    let Done::Exited(left) = visits.next().await else { panic!("its seat is given back") };
    assert_eq!(left, room(1));
    let present = app.rooms.presence().snapshot(&room(1)).await.expect("a store in memory");
    assert!(present.members.is_empty(), "{present:?}");
}
