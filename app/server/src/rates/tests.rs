use clap::Parser;

use super::*;
use crate::config::Config;

const HALL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn rates(settings: &[&str]) -> Rates {
    Rates::new(&Config::parse_from([&["test"], settings].concat()).limits)
}

fn fresh(count: usize) -> String {
    format!("{count:016x}")
}

/// Members that do not share a place with those of the address, as one in 65,536 does by chance.
fn apart(rates: &Rates) -> impl Iterator<Item = String> {
    let strangers = rates.sender(HALL, "", false);
    (0..).map(fresh).filter(move |it| rates.sender(HALL, it, true) != strangers)
}

#[tokio::test(start_paused = true)]
async fn frames_beyond_the_burst_wait_for_the_rate() {
    let mut frames = rates(&["--rate-client", "2"]).frames();
    let at_once = (0..100).take_while(|_| frames.count().is_none()).count();
    assert_eq!(at_once, 50, "five times the rate, five times");
    assert!(frames.count().is_some_and(|wait| wait <= Duration::from_millis(200)));
}

/// Anomaly `noisy-neighbour`: the burst of a room is what its neighbours wait behind.
#[tokio::test(start_paused = true)]
async fn a_room_takes_half_a_second_at_once_and_others_are_not_asked() {
    let rates = rates(&["--rate-room", "40"]);
    let passes = |count: &usize| rates.allow_post(HALL, "loud", &fresh(*count)).is_ok();
    assert_eq!((0..100).take_while(passes).count(), 20, "half of its rate");
    assert_eq!(rates.allow_post(HALL, "quiet", &fresh(0)), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_and_then_the_rate_holds() {
    let mut throttle = rates(&["--rate-client", "2"]).throttle(HALL);
    let mut send = || throttle(Ask::Send { room: "vault", member: "one" });
    assert_eq!((0..100).filter(|_| send().is_ok()).count(), 4, "a burst of twice the rate");
    assert_eq!(send(), Err(Duration::from_millis(500)));
    tokio::time::advance(Duration::from_millis(499)).await;
    assert!(send().is_err());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(send(), Ok(()));
}

/// Fault S2, the rates' side: POST obeyed no client's limit, whoever the client was.
#[tokio::test(start_paused = true)]
async fn s2_a_member_has_one_rate_over_sockets_and_post_together() {
    let rates = rates(&["--rate-client", "2"]);
    let mut throttle = rates.throttle(HALL);
    let mut by_socket = || throttle(Ask::Send { room: "vault", member: "one" }).is_ok();
    assert!(by_socket() && by_socket());
    let by_post = || rates.allow_post(HALL, "attic", "one").is_ok();
    assert!(by_post() && by_post() && !by_post() && !by_socket());
    assert!(rates.allow_post(HALL, "attic", "another").is_ok());
}

/// Fault S2: with a fresh key for each message only the address is left to hold them.
#[tokio::test(start_paused = true)]
async fn s2_fresh_keys_are_held_by_their_address() {
    let rates = rates(&["--rate-posts", "10"]);
    let passed = |from: usize| {
        let room = |count: usize| format!("room {}", count % 16);
        let sends = from..from + 1000;
        sends.filter(|count| rates.allow_post(HALL, &room(*count), &fresh(*count)).is_ok()).count()
    };
    assert_eq!(passed(0), 40, "four times the rate at once");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(passed(1000), 10);
    let elsewhere = IpAddr::from([192, 0, 2, 1]);
    assert!(rates.allow_post(elsewhere, "room 1", &fresh(0)).is_ok());
}

/// A hall of phones behind one address: each says something every ten seconds, all of them in one room.
#[tokio::test(start_paused = true)]
async fn a_hall_of_500_phones_behind_one_address_chats() {
    let rates = rates(&[]);
    let mut phones: Vec<_> = (0..500).map(|_| rates.throttle(HALL)).collect();
    tokio::time::advance(SETTLED).await;
    let mut refused = 0;
    for round in 0..1500 {
        let phone = round % 500;
        let member = fresh(phone);
        let ask = Ask::Send { room: "hall", member: &member };
        refused += usize::from(phones[phone](ask).is_err());
        tokio::time::advance(Duration::from_millis(20)).await;
    }
    assert_eq!(refused, 0);
}

/// Fault S26 with keys that are new for each message, from the very address of the quiet ones.
#[tokio::test(start_paused = true)]
async fn s26_fresh_keys_without_a_connection_share_one_share() {
    let rates = rates(&["--rate-posts", "100000"]);
    let mut quiet: Vec<_> = apart(&rates).take(10).map(|it| (it, rates.throttle(HALL))).collect();
    tokio::time::advance(SETTLED).await;
    let mut waited = Vec::new();
    let mut flood = 0;
    for tick in 0..20_000 {
        for _ in 0..6 {
            flood += 1;
            let _ = rates.allow_post(HALL, "room", &fresh(1_000_000 + flood));
        }
        if tick % 100 == 0 {
            let (member, throttle) = &mut quiet[(tick / 100) % 10];
            let ask = Ask::Send { room: "room", member };
            waited.push(throttle(ask).err().unwrap_or_default());
        }
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    waited.sort();
    assert_eq!(waited[waited.len() / 2], Duration::ZERO);
    let slow = waited.iter().filter(|wait| **wait > Duration::from_millis(100)).count();
    assert!(slow * 100 <= waited.len(), "{waited:?}");
}

/// Fault S26: a connection for each message is no way around it, since a share of one's own takes a while to earn.
#[tokio::test(start_paused = true)]
async fn s26_fresh_connections_share_one_share_too() {
    let rates = rates(&[]);
    let mut quiet = rates.throttle(HALL);
    tokio::time::advance(SETTLED).await;
    let mut refused = 0;
    for tick in 0..10_000 {
        let member = fresh(1_000_000 + tick);
        let _ = rates.throttle(HALL)(Ask::Send { room: "room", member: &member });
        if tick % 1000 == 999 {
            let passes = quiet(Ask::Send { room: "room", member: "quiet" }).is_ok();
            refused += usize::from(!passes);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(refused <= 1, "{refused}");
}

/// Fault S29: each of a window that is refused is told its own time, so that all of them pass when they come again.
#[tokio::test(start_paused = true)]
async fn s29_a_time_to_wait_counts_those_who_go_first() {
    let mut throttle = rates(&["--rate-client", "20"]).throttle(HALL);
    let mut send = || throttle(Ask::Send { room: "vault", member: "one" });
    assert_eq!((0..25).filter(|_| send().is_ok()).count(), 25, "what a room takes at once");
    assert!(send().is_err());
    let last = throttle(Ask::Later { room: "vault", member: "one", ahead: 19 });
    tokio::time::advance(last.expect_err("always a time")).await;
    let mut send = || throttle(Ask::Send { room: "vault", member: "one" });
    assert_eq!((0..20).filter(|_| send().is_ok()).count(), 20);
}

/// Fault S21: nothing kept one address from holding every connection that there can be.
#[test]
fn s21_an_address_holds_so_many_connections_and_no_more() {
    let rates = rates(&["--connections-per-address", "2"]);
    let (one, two) = (rates.hold(HALL), rates.hold(HALL));
    assert!(one.is_some() && two.is_some() && rates.hold(HALL).is_none());
    assert!(rates.hold(IpAddr::from([192, 0, 2, 1])).is_some());
    drop(one);
    assert!(rates.hold(HALL).is_some());
}

/// Relative of S21: an IPv6 network has more addresses than can be counted.
#[test]
fn an_ipv6_network_of_64_bits_is_one_address() {
    let parse = |address: &str| network(address.parse().expect("an address"));
    assert_eq!(parse("2001:db8:1:2:aaaa::1"), parse("2001:db8:1:2::2"));
    assert_ne!(parse("2001:db8:1:3::1"), parse("2001:db8:1:2::1"));
    assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
    assert_ne!(parse("::ffff:192.0.2.1"), parse("::ffff:192.0.2.2"));
}

/// Fault S21: joins and leaves, each a read of the log and more, were as fast as frames may come.
#[tokio::test(start_paused = true)]
async fn s21_entering_rooms_too_fast_makes_a_pause() {
    let settings = ["--rate-client", "10", "--max-rooms-per-connection", "4"];
    let mut throttle = rates(&settings).throttle(HALL);
    let mut enter = |count| throttle(Ask::Rooms { member: "one", count });
    assert_eq!(enter(8), Ok(()), "all its rooms, twice");
    assert_eq!(enter(2), Err(Duration::from_millis(200)));
    assert_eq!(enter(100), Err(LONGEST_PAUSE));
}

/// Fault P8 of the rates: keys are free, so a table that grew with them would have no end.
#[test]
fn tables_have_so_many_places() {
    let rates = rates(&[
        "--rate-address",
        "4000000000",
        "--rate-posts",
        "4000000000",
        "--rate-room",
        "4000000000",
    ]);
    for count in 0..80_000 {
        let _ = rates.allow_post(HALL, &fresh(count), &fresh(count));
    }
    assert!(locked(&rates.0.member_sends.buckets).len() <= PLACES as usize);
    assert!(locked(&rates.0.room_sends.rooms).len() <= PLACES as usize);
}
