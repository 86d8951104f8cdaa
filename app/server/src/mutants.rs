//! Being wrong on purpose, in one way at a time: what the chaos harness must catch, and what drills deploy.
//!
//! Only the cargo feature `mutants` can choose one, and no release is built with it: without the feature [`active`]
//! is a constant false, and what hangs on it compiles to nothing. The mutants of the log are those of the log in Redis.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tracing::error;

/// A way to be wrong: what is done, what a client sees of it, and the fault that brings it out if it takes one.
/// Where the server would heal itself before anybody saw it, that net is off too, and the line says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "mutants", derive(clap::ValueEnum))]
pub enum Mutant {
    /// A retried `n` is appended again. Seen as one message under two IDs, after any retry: a lost connection, a
    /// Redis timeout, a resend storm.
    NoDedup,
    /// A cursor is told `resumed`, but starts at the head. Seen as `live` above the cursor and a broken chain, by
    /// clients that resume or move while others talk.
    ResumeFromTail,
    /// The `ack` (without an ID) goes out before the log is asked. Seen as an acknowledged message in no log, when
    /// the connection or the replica ends first, or the log refuses.
    AckBeforeAppend,
    /// A Redis timeout is told as a final `reject`, without `retry_ms`. Seen as a rejected message that appears after
    /// all, and as the next one, which is refused since its number is taken; while Redis stands still.
    TimeoutIsFailure,
    /// What was trimmed from a feed before it was read is not made up from the log. Seen as a broken chain without
    /// `gap`, after a pause that a feed outruns. Off with it: a live listener's chain check, which would read the log.
    IgnoreFallingBehind,
    /// One in DOSE (8) hand-overs to a listener has its first two messages swapped. Seen as a broken chain. Rooms
    /// wait 50 ms for a second message.
    SwapDeliveries,
    /// One in DOSE (10,000) deliveries does not happen. Seen as a broken chain at that listener's next message. Its
    /// cursor moves on, so that no check sees a hole.
    DropOne,
    /// A log that cannot continue a cursor goes on as if it could. Seen as a broken chain without `gap`, and as
    /// `resumed` where it was not, after a trim or lost data.
    NeverGap,
    /// After a reconnect the feeds are read from `$`. Seen as a broken chain without `gap`, when messages came while
    /// Redis was away from a replica. Off with it: the repair after a reconnect, and a live listener's chain check.
    ForgetFeedCursor,
    /// No lease ends: neither by `bye` or `leave` nor by time. Seen as members who left and stay in the list.
    PresenceStays,
    /// One in DOSE (20) messages of the feeds does not reach its room. Seen as a message that never comes, where no later one
    /// breaks the chain. Off with it: the comparison with a log that is ahead.
    DropFeedEntry,
    /// 15 s after its start it hears nothing of the feeds for 30 s, and says that all is well. Seen as messages that are late.
    #[cfg_attr(feature = "mutants", value(name = "deaf-30s"))]
    Deaf30s,
    /// A member that comes back with a cursor leaves and joins. Seen as comings and goings of members who only move.
    LeaveJoinOnMove,
    /// A client that has moved is told to go once more. Seen as clients that move twice in a roll.
    GoawayTwice,
    /// Every other connection is not told of a drain. Seen as closes at its deadline.
    HalfUntold,
    /// The log forgets a sender's number after DOSE (60) s. Seen as one message under two IDs, after a late retry.
    #[cfg_attr(feature = "mutants", value(name = "forget-number-60s"))]
    ForgetNumber60s,
    /// One in DOSE (20) messages comes with another name. Seen as a name that is not the sender's.
    WrongName,
    /// Lists of members lack one. Seen as a member that is there and not in the list.
    MembersCut,
    /// An event stream is cut at its moment in a drain, and not ended. Seen as abrupt ends.
    StreamCut,
    /// It tells Redis not to wait for the disk before it answers. Seen as acknowledged messages in no log, after a power
    /// failure. Done before every append, since a Redis that starts anew goes by its own setting again; and by the server,
    /// since the setting itself is the stack's, which has no switch to get this wrong by.
    NoFsync,

    /// `/readyz` never answers 200; the process lives.
    NeverReady,
    /// Exits with 70 soon after its DOSE-th (20th) request or append: in service, since its smoke test has but three.
    DiesInHold,
    /// One in DOSE (20) requests is answered 500, one in as many sends rejected as `unavailable`.
    FivePercentErrors,
    /// Every request and every append takes DOSE (50) ms longer.
    TenTimesSlower,
    /// SIGTERM does nothing.
    IgnoresSigterm,

    /// Not wrong but of a later release: each frame has a field that this one does not know, each reply is followed by
    /// a frame, and each message in a feed by an entry; clients that are too fast are told a code. Seen by nobody, as
    /// long as all ignore what they do not know.
    SaysMore,
}

#[cfg(feature = "mutants")]
static CHOSEN: std::sync::OnceLock<(Mutant, u64)> = std::sync::OnceLock::new();

/// Makes this process wrong in one way, for good. A dose of 0 is the mutant's own.
#[cfg(feature = "mutants")]
pub fn choose(mutant: Mutant, dose: u64) {
    tracing::warn!(?mutant, dose, "wrong on purpose");
    // Asked twice, it stays with the first.
    let _ = CHOSEN.set((mutant, dose));
}

/// Whether this process is wrong in this way.
#[cfg(feature = "mutants")]
#[must_use]
pub fn active(mutant: Mutant) -> bool {
    CHOSEN.get().is_some_and(|(chosen, _)| *chosen == mutant)
}

/// Whether this process is wrong in this way: never.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn active(_: Mutant) -> bool {
    false
}

/// How much of it: as chosen, or by default.
#[cfg(feature = "mutants")]
fn dose(default: u64) -> u64 {
    CHOSEN.get().map_or(default, |(_, dose)| if *dose == 0 { default } else { *dose })
}

#[cfg(not(feature = "mutants"))]
const fn dose(default: u64) -> u64 {
    default
}

/// True at every so-manyth call. Only one mutant is active, so one count will do.
fn one_in(default: u64) -> bool {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    CALLS.fetch_add(1, Ordering::Relaxed).is_multiple_of(dose(default))
}

/// Whether live delivery takes what the feeds bring without comparing it with the cursor.
#[must_use]
pub fn chain_unchecked() -> bool {
    active(Mutant::IgnoreFallingBehind) || active(Mutant::ForgetFeedCursor)
}

/// Which of `count` messages a listener is handed, and in what order; none if all, and in theirs.
#[must_use]
pub fn spoiled(count: usize) -> Option<Vec<usize>> {
    let whole = || (0..count).collect::<Vec<_>>();
    if active(Mutant::SwapDeliveries) && count > 1 && one_in(8) {
        let mut order = whole();
        order.swap(0, 1);
        return Some(order);
    }
    let dropped = (0..count).find(|_| active(Mutant::DropOne) && one_in(10_000))?;
    Some(whole().into_iter().filter(|index| *index != dropped).collect())
}

/// Whether a message of the feeds gets lost on its way to its room.
#[must_use]
pub fn drops_feed_entry() -> bool {
    active(Mutant::DropFeedEntry) && one_in(20)
}

/// Whether the feeds are not heard at this moment.
#[must_use]
pub fn is_deaf() -> bool {
    static BEGAN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    active(Mutant::Deaf30s) && (15..45).contains(&BEGAN.elapsed().as_secs())
}

/// Whether a connection is not told that it should go.
#[must_use]
pub fn leaves_untold() -> bool {
    active(Mutant::HalfUntold) && one_in(2)
}

/// Whether a message gets another name.
#[must_use]
pub fn wrong_name() -> bool {
    active(Mutant::WrongName) && one_in(20)
}

/// How long the log remembers a sender's number, if not as long as it should.
#[must_use]
pub fn number_kept() -> Option<Duration> {
    active(Mutant::ForgetNumber60s).then(|| Duration::from_secs(dose(60)))
}

/// Lets a second message come, to be swapped with the first.
pub async fn wait_for_a_second() {
    if active(Mutant::SwapDeliveries) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a bad release does to a request or an append.
///
/// # Errors
/// What to say when it fails.
pub async fn trouble() -> Result<(), String> {
    if active(Mutant::TenTimesSlower) {
        tokio::time::sleep(Duration::from_millis(dose(50))).await;
    }
    if active(Mutant::DiesInHold) && one_in(20) {
        tokio::spawn(die());
    }
    if active(Mutant::FivePercentErrors) && one_in(20) {
        return Err("wrong on purpose".to_owned());
    }
    Ok(())
}

/// A field of a later release in a frame's JSON.
pub fn say_more(json: &mut Vec<u8>) {
    if active(Mutant::SaysMore) && json.pop().is_some() {
        json.extend_from_slice(br#","later":["field"]}"#);
    }
}

/// Ends the process, once whoever has just asked has an answer.
async fn die() {
    tokio::time::sleep(Duration::from_millis(100)).await;
    error!("dies on purpose");
    crate::logging::finish();
    std::process::exit(70);
}
