//! Pages of the list of rooms: of those that the asker may see. What a page names, and where the next one begins, tells nothing
//! of any other room.

use std::{collections::HashMap, net::IpAddr};

use futures_util::{StreamExt, stream};
use rollcall_protocol::EntryId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    auth::{not_signed_in, too_many_requests},
    envelope::{Data, Failure},
    extract::checked_room,
    room_info::{RoomInfo, seen, visible, visitor},
};
use crate::{
    app::App,
    directory::Place,
    error::JoinError,
    log::{LogError, unix_ms},
    moderation::{Actor, is_direct},
};

/// A room in which somebody spoke within this time is active, ms.
const ACTIVE_MS: u64 = 10 * 60 * 1000;
/// Rooms of a page of the list, at most, and if nobody says how many.
const MOST: usize = 100;
pub const USUAL: usize = 50;
/// Rooms that are looked up at once.
const AT_ONCE: usize = 16;
/// Rooms that are looked up for one page, most of which may be private; then the page ends, and with none found the list.
const MOST_LOOKED_UP: usize = 1000;

/// Which rooms.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoomsQuery {
    /// Only those in which somebody spoke within the last ten minutes.
    #[serde(default)]
    active: bool,
    /// Only those that the asking account is in, with how much it has not read.
    #[serde(default)]
    pub mine: bool,
    /// How many at most.
    #[param(minimum = 1, maximum = 100)]
    pub limit: Option<usize>,
    /// The last room of the page before.
    #[param(min_length = 1, max_length = 64, format = "room")]
    after: Option<String>,
}

/// A page of the list of rooms.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoomsPage {
    /// Those that were spoken in last come first.
    rooms: Vec<RoomInfo>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Whose page it is.
struct Asker<'a> {
    app: &'a App,
    actor: Option<Actor>,
    /// The rooms that they are in, and how far they have read.
    reads: HashMap<String, EntryId>,
    address: IpAddr,
}

/// Names of rooms that may be of the page, in its order.
enum Names {
    /// Of all rooms that were spoken in since, after this place.
    All { since: u64, after: Option<Place> },
    /// Of one's own.
    Own(std::vec::IntoIter<String>),
}

/// A page of the list. The asker was let read one room by then.
pub async fn page(
    app: &App,
    actor: Option<Actor>,
    address: IpAddr,
    query: RoomsQuery,
) -> Result<Data<RoomsPage>, Failure> {
    let limit = query.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Failure::bad("bad_query", "limit: from 1 to 100"));
    }
    query.after.as_deref().map(checked_room).transpose()?;
    let since = if query.active { unix_ms().saturating_sub(ACTIVE_MS) } else { 0 };
    let reads = match (&actor, query.mine) {
        (Some(actor), _) => app.memberships.of(&actor.member.member).await,
        (None, true) => return Err(not_signed_in()),
        (None, false) => Ok(Vec::new()),
    };
    let reads = reads.map_err(JoinError::from)?.into_iter().collect();
    let asker = Asker { app, actor, reads, address };
    let names = match query.mine {
        true => Names::Own(asker.own(since, query.after.as_deref()).into_iter()),
        false => Names::All { since, after: asker.place(query.after).await? },
    };
    asker.page(names, limit, query.mine).await.map(Data)
}

impl Asker<'_> {
    async fn page(
        &self,
        mut names: Names,
        limit: usize,
        with_unread: bool,
    ) -> Result<RoomsPage, Failure> {
        let mut rooms = Vec::new();
        let mut looked_up = 0;
        // One more than fit says whether there are more.
        while rooms.len() <= limit && looked_up < MOST_LOOKED_UP {
            let count = if looked_up == 0 { limit } else { MOST } + 1;
            let Some(some) = self.some(&mut names, count) else { break };
            // Each of one's own rooms is read for what is new there; else a read is whatever is looked up at once, the first
            // of which was counted as the asking.
            let reads = match with_unread {
                true => some.len(),
                false => usize::from(looked_up > 0 && !some.is_empty()),
            };
            if reads > 0 {
                self.app.rates.allow_reads(self.address, reads).map_err(too_many_requests)?;
            }
            looked_up += some.len();
            rooms.extend(self.seen(some, with_unread).await.map_err(JoinError::from)?);
        }
        let has_more = rooms.len() > limit || looked_up >= MOST_LOOKED_UP;
        rooms.truncate(limit);
        let next = rooms.last().filter(|_| has_more).map(|room: &RoomInfo| room.name.clone());
        Ok(RoomsPage { rooms, next })
    }

    /// The next names, `count` at most; none if there are no more.
    fn some(&self, names: &mut Names, count: usize) -> Option<Vec<String>> {
        let (since, after) = match names {
            Names::Own(names) => {
                let some: Vec<_> = names.take(count).collect();
                return (!some.is_empty()).then_some(some);
            }
            Names::All { since, after } => (*since, after),
        };
        let latest = self.app.rooms.directory().latest(since, after.as_ref(), count);
        *after = Some(latest.last()?.clone());
        // Most rooms may be of two others: these need not be looked up.
        Some(
            latest.into_iter().map(|(name, _)| name).filter(|name| !self.is_others(name)).collect(),
        )
    }

    /// Whether it is a room of two others, by its name alone.
    fn is_others(&self, name: &str) -> bool {
        let has_power = self.actor.as_ref().is_some_and(|actor| actor.has_power);
        is_direct(name) && !has_power && !self.reads.contains_key(name)
    }

    async fn seen(&self, names: Vec<String>, with_unread: bool) -> Result<Vec<RoomInfo>, LogError> {
        let seen: Vec<_> = stream::iter(names)
            .map(|name| {
                seen(self.app, name, visitor(self.actor.as_ref()), &self.reads, with_unread)
            })
            .buffered(AT_ONCE)
            .filter_map(|seen| std::future::ready(seen.transpose()))
            .collect()
            .await;
        seen.into_iter().collect()
    }

    /// Where the page after a room begins: at the front of the list if there is no such room, or they may not see it.
    async fn place(&self, after: Option<String>) -> Result<Option<Place>, Failure> {
        let Some(name) = after.filter(|name| !self.is_others(name)) else { return Ok(None) };
        let seen = visible(self.app, name.clone(), visitor(self.actor.as_ref())).await;
        let is_seen = seen.map_err(JoinError::from)?.is_some();
        let at = self.app.rooms.directory().spoken_in(&name).filter(|_| is_seen);
        Ok(at.map(|at| (name, at)))
    }

    /// The names of one's own rooms after one of them, the latest first.
    fn own(&self, since: u64, after: Option<&str>) -> Vec<String> {
        let spoken_in = |name: &str| self.app.rooms.directory().spoken_in(name).unwrap_or_default();
        let mut rooms: Vec<_> = self.reads.keys().map(|name| (spoken_in(name), name)).collect();
        rooms.sort_by(|one, other| other.cmp(one));
        let before = rooms.iter().position(|(_, name)| Some(&***name) == after);
        let rest = rooms.into_iter().skip(before.map_or(0, |index| index + 1));
        rest.filter(|(at, _)| *at >= since).map(|(_, name)| name.clone()).collect()
    }
}
