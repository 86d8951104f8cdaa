//! S2: room logs, feeds and what is remembered of senders are bounded in bytes, and a full log heals by itself.

mod support;

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rollcall_protocol::{Access, EntryId, Extra, GapReason, Kind, Member};
use rollcall_server::{
    config::LogBounds,
    log::{Changed, Forbidden, Log, LogError, NewEntry, Refusal, feed_key, room_key, splice},
    moderation::{Actor, Wishes},
};
use support::{
    Redis,
    logs::{bounds, entry, eventually, long_entry, memory_log, redis_log, refusal, taken},
};
use tokio::task::JoinHandle;

const NEW_ROOM: Result<(), Refusal> = Err(Refusal::NewRoom);
const LIMIT: u64 = 64 << 20;

/// Keeps the log within its bounds until the test ends.
fn keep(log: &Log) -> JoinHandle<()> {
    let log = log.clone();
    tokio::spawn(async move { log.keep().await })
}

/// Without its file, whose writing would be the bottleneck.
async fn quick_redis() -> Redis {
    let redis = Redis::start().await;
    redis.command(&["CONFIG", "SET", "appendonly", "no"]).await;
    redis
}

async fn set_limit(redis: &Redis, bytes: u64) {
    redis.command(&["CONFIG", "SET", "maxmemory", &bytes.to_string()]).await;
}

async fn used(redis: &Redis) -> u64 {
    let info = redis.command(&["INFO", "memory"]).await;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    used.and_then(|used| used.trim().parse().ok()).expect("a number")
}

async fn bytes_of(redis: &Redis, key: &str) -> u64 {
    let mut usage = redis::cmd("MEMORY");
    usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
    let bytes: Option<u64> =
        usage.query_async(&mut redis.connect().await).await.expect("an answer");
    bytes.unwrap_or(0)
}

async fn exists(redis: &Redis, key: &str) -> bool {
    redis.command(&["EXISTS", key]).await.starts_with(":1")
}

/// Sends `count` long messages from each of 32 loops at once; `room` names the room of a loop's message. A loop ends at
/// the first refusal. Returns the refusals.
async fn flood(log: &Log, count: u64, room: impl Fn(u64, u64) -> String) -> Vec<Refusal> {
    let room = &room;
    let loops = (0..32).map(|number| async move {
        for n in 1..=count {
            let new = long_entry(&room(number, n), &format!("flood {number} {n}"), 1, 4096);
            if let Err(refused) = refusal(log.append(&new, None).await) {
                return Some(refused);
            }
        }
        None
    });
    futures_util::future::join_all(loops).await.into_iter().flatten().collect()
}

/// Speaks in a room that was there before, again and again until `done`, and notes how full Redis is. Returns how often,
/// and the most bytes.
async fn go_on(log: &Log, redis: &Redis, said: &AtomicU64, done: &AtomicBool) -> (u64, u64) {
    let (mut times, mut most) = (0, 0);
    while !done.load(Relaxed) {
        taken(log, &entry("quiet", "teal", said.fetch_add(1, Relaxed) + 1)).await;
        most = most.max(used(redis).await);
        times += 1;
    }
    (times, most)
}

/// S2 itself: 32 loops of long texts, first into 16 rooms, then each into a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_a_flood_ends_nobody_elses_sending_and_heals() {
    let redis = quick_redis().await;
    set_limit(&redis, LIMIT).await;
    let log = redis_log(&redis, LogBounds { room_expiry: Duration::from_secs(10), ..bounds() });
    let (said, done) = (AtomicU64::new(0), AtomicBool::new(false));
    taken(&log, &entry("quiet", "teal", said.fetch_add(1, Relaxed) + 1)).await;
    let janitor = keep(&log);

    // 16,000 messages of 4 KB, each twice in memory if nothing made room: 150 MB.
    let into_16_rooms = async {
        let refused = flood(&log, 500, |number, _| format!("room {}", number % 16)).await;
        done.store(true, Relaxed);
        refused
    };
    let (refused, (times, most)) = tokio::join!(into_16_rooms, go_on(&log, &redis, &said, &done));
    assert_eq!(refused, [], "rooms that are there go on");
    assert!(times > 10 && most < LIMIT, "{times} times, {most} bytes at most");

    // Without a janitor, which would not wait until it is as full as can be.
    janitor.abort();
    done.store(false, Relaxed);
    let into_new_rooms = async {
        let refused = flood(&log, 2_000, |number, n| format!("new {number} {n}")).await;
        done.store(true, Relaxed);
        refused
    };
    let (refused, (times, most)) = tokio::join!(into_new_rooms, go_on(&log, &redis, &said, &done));
    assert_eq!(refused, vec![Refusal::NewRoom; 32], "new rooms are refused, and nothing else");
    assert!(times > 10 && most < LIMIT, "{times} times, {most} bytes at most");
    // The flood ends at the very edge, and what its last requests took themselves is free again: well beyond it.
    set_limit(&redis, used(&redis).await * 10 / 9).await;
    keep(&log);
    eventually("a join of a new room is refused", async || {
        matches!(log.open("nobody was here").await, Err(LogError::Refused(Refusal::NewRoom)))
    })
    .await;
    set_limit(&redis, LIMIT).await;
    assert!(log.open("quiet").await.is_ok(), "a room that is there can be entered");

    eventually("new rooms are welcome again", async || {
        refusal(log.append(&entry("after", "teal", 1), None).await) != NEW_ROOM
    })
    .await;
    eventually("they can be entered, too", async || log.open("later").await.is_ok()).await;
    let usage = log.usage();
    assert!(usage.limit == LIMIT && usage.used > 0 && usage.ratio() < 0.75, "{usage:?}");
}

/// The same where the log is in memory.
#[tokio::test]
async fn s2_a_log_in_memory_refuses_new_rooms_and_heals() {
    let log = memory_log(LogBounds {
        logs_bytes: 1 << 20,
        room_expiry: Duration::from_secs(2),
        ..bounds()
    });
    taken(&log, &entry("quiet", "teal", 1)).await;
    keep(&log);
    let refused = flood(&log, 100, |number, n| format!("new {number} {n}")).await;
    assert!(refused.contains(&Refusal::NewRoom), "{refused:?}");
    assert!(log.open("nobody was here").await.is_err());
    taken(&log, &entry("quiet", "teal", 2)).await;
    let usage = log.usage();
    assert!(usage.limit == 1 << 20 && usage.ratio() < 1.0, "{usage:?}");
    eventually("new rooms are welcome again", async || {
        refusal(log.append(&entry("after", "teal", 1), None).await) != NEW_ROOM
    })
    .await;
}

#[tokio::test]
async fn s2_a_log_and_a_feed_have_bounds_in_bytes() {
    let small = LogBounds { log_bytes: 100_000, feed_bytes: 200_000, ..bounds() };
    let redis = quick_redis().await;
    for log in [redis_log(&redis, small.clone()), memory_log(small.clone())] {
        for n in 1..=400 {
            taken(&log, &long_entry("vault", "teal", n, 2_000)).await;
        }
        let page = log.read_after("vault", EntryId::ZERO, 1_000).await.expect("a page");
        let kept: usize = page.entries.iter().map(|entry| entry.text.len()).sum();
        assert!((20_000..400_000).contains(&kept), "{kept} bytes");
        let gap = splice::gap(EntryId::ZERO, &page).expect("a gap");
        assert_eq!((gap.reason, gap.resumes_at), (GapReason::Trimmed, page.entries[0].prev));
        assert_eq!(page.entries.last().expect("the newest").n, 400);
    }
    let feed = bytes_of(&redis, &feed_key("vault")).await;
    assert!((50_000..500_000).contains(&feed), "{feed} bytes");
}

/// Emptied, then forgotten, but for where somebody is.
#[tokio::test]
async fn s2_silent_rooms_end_and_tell_it_honestly() {
    let short = LogBounds { room_expiry: Duration::from_secs(2), ..bounds() };
    let redis = quick_redis().await;
    redis.command(&["ZADD", &room_key("held", "present"), "1", "somebody"]).await;
    for log in [redis_log(&redis, short.clone()), memory_log(short.clone())] {
        taken(&log, &entry("held", "teal", 1)).await;
        let member = Member { member: "teal".to_owned(), name: "Teal".to_owned() };
        let teal = Actor { member, mark: None, has_power: false };
        log.change(&teal.make("den", Access::Open, "plans", 1)).await.expect("an answer");
        let first = taken(&log, &entry("vault", "teal", 1)).await;
        let last = taken(&log, &entry("vault", "teal", 2)).await;
        keep(&log);
        eventually("it is emptied", async || kept(&log, "vault").await == 0).await;
        let page = log.read_after("vault", first, 10).await.expect("a page");
        let gap = splice::Gap { resumes_at: last, reason: GapReason::Trimmed };
        assert_eq!(splice::gap(first, &page), Some(gap));
        assert_eq!(splice::gap(last, &page), None, "nothing is missing here");
        taken(&log, &entry("vault", "teal", 3)).await;
        let page = log.read_after("vault", last, 10).await.expect("a page");
        assert_eq!(page.entries[0].prev, last, "the chain goes on");
        eventually("it is forgotten", async || {
            log.last("vault").await.expect("an answer") == EntryId::ZERO
        })
        .await;
        // What somebody made stays, empty, while there is memory for it.
        assert_eq!(kept(&log, "den").await, 0);
        assert_eq!(log.about("den").await.expect("an answer").state().topic, "plans");
        let listed = log.rooms(10).await.expect("a list");
        let is_listed = |name: &str| listed.iter().any(|(room, _)| room == name);
        assert!(is_listed("den") && !is_listed("vault"), "{listed:?}");
    }
    assert!(exists(&redis, &room_key("held", "log")).await, "somebody is there");
}

/// O21: each roll left some 90 messages in rooms that everybody could enter, for as long as nobody spoke there for a week.
#[tokio::test]
async fn o21_what_probes_said_goes_soon_and_nothing_else_does() {
    let bounds = LogBounds { probe_expiry: Duration::from_secs(1), ..bounds() };
    let redis = quick_redis().await;
    let probe = "rollcall-probe-0123456789abcdef0123456789abcdef";
    for log in [redis_log(&redis, bounds.clone()), memory_log(bounds.clone())] {
        let mut lasts = Vec::new();
        for room in ["vault", "rollcall-probe", probe] {
            lasts.push((room, taken(&log, &entry(room, "teal", 1)).await));
        }
        keep(&log);
        eventually("it is forgotten", async || {
            log.last(probe).await.expect("an answer") == EntryId::ZERO
        })
        .await;
        for (room, last) in &lasts[..2] {
            assert_eq!(log.last(room).await.expect("an answer"), *last, "{room} is nobody's probe");
        }
    }
    assert!(!exists(&redis, &room_key(probe, "log")).await);
    assert!(!exists(&redis, &room_key(probe, "senders")).await);
}

/// Functions cannot be loaded into a full Redis; it must make room all the same, by whatever filled it.
#[tokio::test]
async fn s2_a_redis_that_is_full_makes_room_by_itself() {
    let redis = quick_redis().await;
    redis.load_release_before().await;
    let log = redis_log(&redis, bounds());
    let fill = "for i = 1, 500 do redis.call('XADD', KEYS[1], '*', 'prev', '0-0', 'member', 'm', 'name', 'N', 'n', i, \
         'text', string.rep('x', 4000)) end return 'OK'";
    for number in 0..16 {
        redis.command(&["EVAL", fill, "1", &room_key(&format!("room {number}"), "log")]).await;
    }
    redis.command(&["FUNCTION", "FLUSH"]).await;
    set_limit(&redis, used(&redis).await * 9 / 10).await;
    let new = entry("room 0", "teal", 1);
    assert!(matches!(refusal(log.append(&new, None).await), Err(Refusal::Store(_))));
    keep(&log);
    eventually("it takes messages again", async || refusal(log.append(&new, None).await).is_ok())
        .await;
}

/// Nobody could be muted, and nothing be removed, just when somebody had filled it.
#[tokio::test]
async fn a_redis_that_is_full_takes_what_moderators_do() {
    let redis = quick_redis().await;
    let log = redis_log(&redis, bounds());
    let member = |name: &str| Member { member: name.to_owned(), name: name.to_owned() };
    let teal = Actor { member: member("teal"), mark: None, has_power: false };
    log.change(&teal.make("den", Access::Open, "", 1)).await.expect("an answer");
    let said = taken(&log, &entry("den", "plum", 1)).await;
    set_limit(&redis, 1).await;
    let refused = refusal(log.append(&entry("den", "plum", 2), None).await);
    assert!(matches!(refused, Err(Refusal::Store(_))), "{refused:?}");
    let extra = Extra { kind: Some(Kind::Remove), of: Some(said), ..Extra::default() };
    let removal = NewEntry { extra, text: String::new(), ..entry("den", "teal", 1) };
    taken(&log, &removal).await;
    let frozen = Wishes { frozen: Some(true), ..Wishes::default() };
    for change in [
        teal.mute("den", &member("plum"), None, 1),
        teal.ban("den", &member("plum"), None, 1),
        teal.wish("den", &frozen).expect("a change"),
    ] {
        assert!(matches!(log.change(&change).await, Ok(Changed::Yes(_))), "{change:?}");
    }
}

#[tokio::test]
async fn one_replica_at_a_time_tidies() {
    let redis = quick_redis().await;
    let log = redis_log(&redis, LogBounds { room_expiry: Duration::from_secs(1), ..bounds() });
    redis.command(&["SET", "rollcall:janitor", "another", "PX", "4000"]).await;
    let began = Instant::now();
    taken(&log, &entry("vault", "teal", 1)).await;
    keep(&log);
    let is_emptied = async || kept(&log, "vault").await == 0;
    eventually("the other's lease ends", async || {
        let emptied = is_emptied().await;
        let theirs = redis.command(&["GET", "rollcall:janitor"]).await.contains("another");
        assert!(!(emptied && theirs), "it is the other's to do");
        assert!(theirs || began.elapsed() > Duration::from_secs(3), "it is the other's lease");
        !theirs
    })
    .await;
    eventually("this one does it", is_emptied).await;
}

/// A clock that jumps by a month must not empty every room.
#[tokio::test]
async fn a_clock_that_was_set_ends_no_room() {
    let redis = Redis::start_with_faults().await;
    let log = redis_log(&redis, LogBounds { log_bytes: 50_000, ..bounds() });
    taken(&log, &entry("vault", "teal", 1)).await;
    redis.set_clock_ahead(30 * 24 * 3600);
    keep(&log);
    for _ in 0..2 {
        a_round(&redis).await;
        // The next one begins at once while memory is short.
        set_limit(&redis, used(&redis).await * 10 / 8).await;
    }
    assert_eq!(kept(&log, "vault").await, 1);
}

/// Waits for a round of the janitor that reached every room: it trims a log that no append did.
async fn a_round(redis: &Redis) {
    let large = room_key("large", "log");
    let fill = "#!lua flags=allow-oom
        for i = 1, 100 do redis.call('XADD', KEYS[1], '*', 'text', string.rep('x', 4000)) end return 'OK'";
    redis.command(&["EVAL", fill, "1", &large]).await;
    eventually("a round", async || bytes_of(redis, &large).await < 100_000).await;
}

/// How many entries a room has.
async fn kept(log: &Log, room: &str) -> usize {
    log.read_after(room, EntryId::ZERO, 1_000).await.expect("a page").entries.len()
}

/// `CONFIG SET maxmemory` with a digit too few: within a minute every room had lost its history. Nothing that is thrown
/// away makes enough room then, so nothing is.
#[tokio::test]
async fn a_limit_that_was_lowered_by_far_costs_no_room_its_history() {
    let redis = quick_redis().await;
    let short = Duration::from_secs(8);
    let log = redis_log(&redis, LogBounds { log_bytes: 90_000, room_expiry: short, ..bounds() });
    for n in 1..=25 {
        taken(&log, &long_entry("vault", "teal", n, 2_000)).await;
    }
    set_limit(&redis, 1).await;
    keep(&log);
    for _ in 0..2 {
        a_round(&redis).await;
    }
    assert_eq!(kept(&log, "vault").await, 25);
    // Nor a sender its number: a POST that is sent again after a minute would be taken twice.
    assert!(log.usage().ratio() > 1.0, "as Redis said last");
    set_limit(&redis, 0).await;
    taken(&log, &entry("vault", "teal", 26)).await;
    let left = redis.command(&["PTTL", &room_key("vault", "sent:teal")]).await;
    let left: u64 = left.trim_start_matches(':').trim().parse().expect("ms");
    assert!((500_000..=600_000).contains(&left), "{left} ms");
    set_limit(&redis, used(&redis).await * 100 / 99).await;
    eventually("a Redis that is full makes room", async || kept(&log, "vault").await < 26).await;
}

/// The state of a private room went with its log: whoever named it next had it, with all that its people said there.
#[tokio::test]
async fn a_private_room_is_private_still_when_memory_was_short() {
    let redis = quick_redis().await;
    let short = LogBounds { room_expiry: Duration::from_secs(1), ..bounds() };
    let log = redis_log(&redis, LogBounds { log_bytes: 50_000, ..short });
    let actor = |member: &str| {
        let member = Member { member: member.to_owned(), name: member.to_owned() };
        Actor { member, mark: None, has_power: false }
    };
    log.change(&actor("teal").make("den", Access::Private, "", 1)).await.expect("an answer");
    taken(&log, &entry("den", "teal", 1)).await;
    taken(&log, &entry("tower", "teal", 1)).await;
    // Full of something else, so that no round ends the shortage.
    redis
        .command(&["EVAL", "return redis.call('SET', KEYS[1], string.rep('x', 2e7))", "1", "cargo"])
        .await;
    set_limit(&redis, used(&redis).await * 11 / 10).await;
    keep(&log);
    let mut n = 1;
    eventually("its log is gone", async || {
        n += 1;
        taken(&log, &entry("tower", "teal", n)).await;
        !exists(&redis, &room_key("den", "log")).await
    })
    .await;
    assert_eq!(log.about("den").await.expect("an answer").access(), Access::Private);
    set_limit(&redis, 0).await;
    let made = log.change(&actor("plum").make("den", Access::Open, "", 1)).await;
    assert_eq!(made.expect("an answer"), Changed::Exists);
    let why = refusal(log.append(&entry("den", "plum", 1), None).await);
    assert_eq!(why, Err(Refusal::Forbidden(Forbidden::Private)));
    taken(&log, &entry("den", "teal", 2)).await;
}

/// Redis was full for a minute and took nothing: then all rooms had been silent for a minute, and all were emptied at once.
#[tokio::test]
async fn rooms_in_which_nobody_could_speak_are_not_silent() {
    let redis = Redis::start_with_faults().await;
    redis.command(&["CONFIG", "SET", "appendonly", "no"]).await;
    let log = redis_log(&redis, LogBounds { log_bytes: 50_000, ..bounds() });
    taken(&log, &entry("vault", "teal", 1)).await;
    taken(&log, &entry("tower", "teal", 1)).await;
    // Full of something else, so that no round ends the shortage.
    redis
        .command(&["EVAL", "return redis.call('SET', KEYS[1], string.rep('x', 2e7))", "1", "cargo"])
        .await;
    set_limit(&redis, used(&redis).await * 11 / 10).await;
    // The clocks still agree, or no room's silence could be told.
    redis.set_clock_ahead(59);
    keep(&log);
    let began = Instant::now();
    eventually("a minute has passed, and all logs are as small as they may be", async || {
        a_round(&redis).await;
        began.elapsed() > Duration::from_secs(4)
    })
    .await;
    assert_eq!(kept(&log, "vault").await, 1, "nobody spoke meanwhile");
    taken(&log, &entry("tower", "teal", 2)).await;
    eventually("others spoke for a minute", async || kept(&log, "vault").await == 0).await;
    assert_eq!(kept(&log, "tower").await, 2);
}
