//! How fast clients, addresses and rooms may go, and how many connections an address may hold.
//!
//! Each limit is for something of its own; what is said must pass all of them:
//!
//! - **member** (`RATE_CLIENT`): one participant, over sockets and POST together. For those who are known by their key.
//! - **address** (`RATE_ADDRESS`): keys are free, addresses are not. High enough for a hall of phones behind one.
//! - **POST of an address** (`RATE_POSTS`): much lower, because phones in a hall hold connections, and those are counted:
//!   what comes without one is scripts.
//! - **room** (`RATE_ROOM`): what all others in it must read. It is shared among those who speak there ([`share`]):
//!   each participant who has a connection counts for one, and for one all those of an address that have none,
//!   or have just come. So a thousand fresh keys get no more of a room than one phone that has been there all along.
//!
//! Every table has a fixed number of places into which keys are hashed with a secret of this process, so none can be
//! made to grow without end. Two keys that share a place share a quota, on this replica and until it ends.

mod bucket;
mod left;
mod share;
mod sign_ins;
mod table;

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

pub use self::left::{Counted, Left};
use self::{
    bucket::{Bucket, Quota},
    table::{Shares, Table, locked},
};
use crate::config::Limits;

/// Places of a table.
const PLACES: u64 = 1 << 16;
/// How many frames of any kind, for each send that a client may make.
const FRAMES_A_SEND: u32 = 5;
/// How many files of the page, for each read of a log that an address may make: the page has about twenty.
const FILES_A_READ: u32 = 20;
/// With a connection of this age a participant has a share of its own in each room.
const SETTLED: Duration = Duration::from_secs(1);
/// A connection that enters rooms too fast is read on after this long at the latest, since its heartbeats wait, too.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What a connection's session asks of its rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// Whether one more message may pass; otherwise how long to wait.
    Send {
        /// Into which room.
        room: &'a str,
        /// By whom.
        member: &'a str,
    },
    /// The same of a message that cannot pass now, because `ahead` others of this member go first: always a time.
    Later {
        /// Into which room.
        room: &'a str,
        /// By whom.
        member: &'a str,
        /// How many others.
        ahead: u32,
    },
    /// Counts rooms that are entered or left, each a read of its log or more; how long to read nothing, if they are many.
    Rooms {
        /// By whom.
        member: &'a str,
        /// How many rooms.
        count: u32,
    },
}

/// The limiters that all connections share. Clones share them.
#[derive(Clone)]
pub struct Rates(Arc<Inner>);

struct Inner {
    hasher: RandomState,
    frames: Quota,
    connects: Table,
    reads: Table,
    files: Table,
    address_rooms: Table,
    member_rooms: Table,
    address_sends: Table,
    member_sends: Table,
    posts: Table,
    sign_ins: Table,
    wrong_passwords: Table,
    room_sends: Shares,
    held: Mutex<HashMap<IpAddr, usize>>,
    most_held: usize,
}

impl Rates {
    /// The rates of `limits`.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let burst_of = |rate: std::num::NonZeroU32, times: u32| rate.get().saturating_mul(times);
        let address = Quota::new(limits.rate_address, burst_of(limits.rate_address, 4));
        let files = limits.rate_reads.saturating_mul(not_zero(FILES_A_READ));
        let frames = limits.rate_client.saturating_mul(not_zero(FRAMES_A_SEND));
        let rooms = u32::try_from(limits.rooms_per_connection).unwrap_or(u32::MAX);
        // Other rooms wait behind a burst of this one: a small one.
        let room = Quota::new(limits.rate_room, limits.rate_room.get() / 2);
        Self(Arc::new(Inner {
            hasher: RandomState::new(),
            frames: Quota::new(frames, burst_of(frames, FRAMES_A_SEND)),
            connects: Table::new(address),
            reads: Table::new(Quota::new(limits.rate_reads, burst_of(limits.rate_reads, 4))),
            files: Table::new(Quota::new(files, burst_of(files, 4))),
            address_rooms: Table::new(address),
            member_rooms: Table::new(Quota::new(limits.rate_client, rooms.saturating_mul(2))),
            address_sends: Table::new(address),
            member_sends: Table::new(Quota::new(
                limits.rate_client,
                burst_of(limits.rate_client, 2),
            )),
            posts: Table::new(Quota::new(limits.rate_posts, burst_of(limits.rate_posts, 4))),
            sign_ins: Table::new(Quota::new(
                limits.rate_sign_ins,
                burst_of(limits.rate_sign_ins, 2),
            )),
            wrong_passwords: Table::new(sign_ins::WRONG_PASSWORDS),
            room_sends: Shares { quota: room, rooms: Mutex::default() },
            held: Mutex::default(),
            most_held: limits.connections_per_address,
        }))
    }

    /// Counts a new connection from `address`.
    ///
    /// # Errors
    /// How long to wait, if there were too many of late.
    pub fn allow_connection(&self, address: IpAddr) -> Result<(), Duration> {
        self.0.connects.check(self.place(network(address)))
    }

    /// Counts a read of a room log from `address`.
    ///
    /// # Errors
    /// How long to wait, if there were too many of late.
    pub fn allow_read(&self, address: IpAddr) -> Result<(), Duration> {
        self.allow_reads(address, 1)
    }

    /// The same of several: each counts, but one is allowed where one could be.
    ///
    /// # Errors
    /// As [`Self::allow_read`].
    pub fn allow_reads(&self, address: IpAddr, count: usize) -> Result<(), Duration> {
        let (reads, place) = (&self.0.reads, self.place(network(address)));
        reads.check(place)?;
        reads.take(place, u32::try_from(count).unwrap_or(u32::MAX).saturating_sub(1));
        Ok(())
    }

    /// Counts something that `member` does to rooms or people, from `address`.
    ///
    /// # Errors
    /// How long to wait, if there was too much of late.
    pub fn allow_deed(&self, address: IpAddr, member: &str) -> Result<(), Duration> {
        self.0.posts.check(self.place(network(address)))?;
        self.0.member_sends.check(self.place(member))
    }

    /// Counts a file of the page that `address` asks for.
    ///
    /// # Errors
    /// How long to wait, if there were too many of late.
    pub fn allow_file(&self, address: IpAddr) -> Result<(), Duration> {
        self.0.files.check(self.place(network(address)))
    }

    /// Holds one of the connections that `address` may have at the same time; none if it has as many as it may.
    #[must_use]
    pub fn hold(&self, address: IpAddr) -> Option<Held> {
        let address = network(address);
        let mut held = locked(&self.0.held);
        let count = held.entry(address).or_default();
        if *count >= self.0.most_held {
            return None;
        }
        *count += 1;
        Some(Held { rates: self.clone(), address })
    }

    /// The answers to what one connection's session asks.
    pub fn throttle(
        &self,
        address: IpAddr,
    ) -> impl FnMut(Ask<'_>) -> Result<(), Duration> + Send + 'static {
        let rates = self.clone();
        let opened = Instant::now();
        move |ask| match ask {
            Ask::Send { room, member } => {
                rates.take(address, room, member, opened.elapsed() >= SETTLED)
            }
            Ask::Later { room, member, ahead } => {
                let settled = opened.elapsed() >= SETTLED;
                Err(rates.wait(address, room, member, settled, ahead).max(Duration::from_millis(1)))
            }
            Ask::Rooms { member, count } => rates.count_rooms(address, member, count),
        }
    }

    /// The rate at which one connection's frames are read, whatever they are.
    #[must_use]
    pub fn frames(&self) -> FrameRate {
        FrameRate { quota: self.0.frames, bucket: Bucket::default() }
    }

    /// Counts one more message of `member` from `address` to `room`, sent by POST.
    ///
    /// # Errors
    /// How long to wait, if it may not pass. Then it used up nothing.
    pub fn allow_post(&self, address: IpAddr, room: &str, member: &str) -> Result<(), Duration> {
        let (posts, place) = (&self.0.posts, self.place(network(address)));
        let wait = posts.wait(place, 1);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.take(address, room, member, false)?;
        posts.take(place, 1);
        Ok(())
    }

    fn take(
        &self,
        address: IpAddr,
        room: &str,
        member: &str,
        settled: bool,
    ) -> Result<(), Duration> {
        let wait = self.wait(address, room, member, settled, 0);
        if !wait.is_zero() {
            return Err(wait);
        }
        let inner = &self.0;
        inner.member_sends.take(self.place(member), 1);
        inner.address_sends.take(self.place(network(address)), 1);
        inner.room_sends.take(self.place(room), self.sender(address, member, settled));
        Ok(())
    }

    /// How long until a message may pass, `ahead` others of the same sender before it. Takes nothing.
    fn wait(
        &self,
        address: IpAddr,
        room: &str,
        member: &str,
        settled: bool,
        ahead: u32,
    ) -> Duration {
        let inner = &self.0;
        let member_wait = inner.member_sends.wait(self.place(member), 1 + ahead);
        let address_wait = inner.address_sends.wait(self.place(network(address)), 1 + ahead);
        let own_wait = member_wait.max(address_wait);
        if !own_wait.is_zero() && ahead == 0 {
            // Not the room's doing, so it need not know.
            return own_wait;
        }
        let sender = self.sender(address, member, settled);
        own_wait.max(inner.room_sends.wait(self.place(room), sender, ahead))
    }

    fn count_rooms(&self, address: IpAddr, member: &str, count: u32) -> Result<(), Duration> {
        let inner = &self.0;
        let own = inner.member_rooms.owe(self.place(member), count);
        let wait = own.max(inner.address_rooms.owe(self.place(network(address)), count));
        if wait.is_zero() { Ok(()) } else { Err(wait.min(LONGEST_PAUSE)) }
    }

    /// Who takes a share of a room.
    fn sender(&self, address: IpAddr, member: &str, settled: bool) -> u32 {
        let place = match settled {
            true => self.0.hasher.hash_one((true, member)),
            false => self.0.hasher.hash_one((false, network(address))),
        };
        (place % u64::from(share::PLACES)) as u32
    }

    fn place(&self, key: impl Hash) -> u32 {
        (self.0.hasher.hash_one(key) % PLACES) as u32
    }

    /// Forgets whatever is as good as new.
    pub fn forget_quiet(&self) {
        let inner = &self.0;
        let now = Instant::now();
        for table in [
            &inner.connects,
            &inner.reads,
            &inner.files,
            &inner.address_rooms,
            &inner.member_rooms,
            &inner.address_sends,
            &inner.member_sends,
            &inner.posts,
            &inner.sign_ins,
            &inner.wrong_passwords,
        ] {
            locked(&table.buckets).retain(|_, bucket| !bucket.is_full(now));
        }
        locked(&inner.room_sends.rooms).retain(|_, share| !share.is_forgotten(now));
    }
}

/// One connection's frames.
pub struct FrameRate {
    quota: Quota,
    bucket: Bucket,
}

impl FrameRate {
    /// Counts a frame. How long to wait before the next is read, if it came too soon.
    #[must_use]
    pub fn count(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.bucket.take(self.quota, 1, now);
        Some(self.bucket.wait(self.quota, 0, now)).filter(|wait| !wait.is_zero())
    }
}

/// One of the connections that an address may hold, until dropped.
pub struct Held {
    rates: Rates,
    address: IpAddr,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = locked(&self.rates.0.held);
        if let Some(count) = held.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

/// What counts as one address: with an IPv6 address comes the whole network of 64 bits that it is in.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address => address,
    }
}

fn not_zero(factor: u32) -> std::num::NonZeroU32 {
    std::num::NonZeroU32::new(factor).unwrap_or(std::num::NonZeroU32::MIN)
}

#[cfg(test)]
mod tests;
