//! Bringing a connection's rooms to live: from the ring where it reaches, else from the log.

use std::{sync::Arc, time::Duration};

use rollcall_protocol::{EntryId, GapReason, ServerFrame};

use super::{
    connection::{Connection, Done},
    wire,
};
use crate::{
    log::{LogError, Page, splice},
    room::{Frame, Listener, Pull, Room},
    session::gap_frame,
};

/// Entries of one log page.
const PAGE: usize = 128;
/// When to ask a log again that did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// A room that the connection is in.
pub(super) struct Joined {
    pub(super) room: Arc<Room>,
    listener: Arc<Listener>,
    /// The client has been told that catch-up is done.
    told_live: bool,
    /// A page is being read.
    reading: bool,
}

impl Joined {
    pub(super) fn new(room: Arc<Room>, listener: Arc<Listener>) -> Self {
        Self { room, listener, told_live: false, reading: false }
    }
}

impl Connection {
    /// Takes every room that fell behind as far as the ring and the outlet allow.
    pub(super) fn catch_up(&mut self) {
        let mut pages = Vec::new();
        for (name, joined) in &mut self.rooms {
            let place = *joined.listener.place();
            if joined.reading || (place.live && !place.presence_stale) {
                continue;
            }
            let outlet = &self.outlet;
            let told_live = &mut joined.told_live;
            let on_live = |id: EntryId, members: Option<(usize, Vec<_>)>| {
                let live = ServerFrame::Live { room: name.clone(), id };
                if !std::mem::replace(told_live, true) {
                    outlet.put_reply(&wire::text_frame(&live));
                }
                if let Some((present, members)) = members {
                    let members = ServerFrame::Members { room: name.clone(), present, members };
                    outlet.put_reply(&wire::text_frame(&members));
                }
            };
            let take = |frame: &Frame| outlet.offer(&frame.wire);
            if let Pull::NeedPage(cursor) = joined.room.pull(&joined.listener, take, on_live) {
                joined.reading = true;
                pages.push((name.clone(), cursor));
            }
        }
        for (room, cursor) in pages {
            self.read_page(room, cursor, Duration::ZERO);
        }
    }

    fn read_page(&mut self, room: String, cursor: EntryId, pause: Duration) {
        let log = self.app.rooms.log().clone();
        self.under_way.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            let page = log.read_after(&room, cursor, PAGE).await;
            Done::Page { room, cursor, page }
        }));
    }

    /// Hands over a page of the log; the next [`Self::catch_up`] goes on from there.
    pub(super) fn page_read(&mut self, name: &str, cursor: EntryId, page: Result<Page, LogError>) {
        let Some(joined) = self.rooms.get_mut(name) else { return };
        let Ok(page) = page else { return self.read_page(name.to_owned(), cursor, RETRY) };
        joined.reading = false;
        if joined.listener.place().cursor != cursor {
            return;
        }
        let gap = splice::gap(cursor, &page);
        let lost = gap.is_some_and(|gap| gap.reason == GapReason::Rewound);
        if lost || (page.entries.is_empty() && joined.room.contradicts(cursor)) {
            joined.room.rewind(page.last);
        }
        if let Some(gap) = gap {
            self.outlet.put_reply(&wire::text_frame(&gap_frame(name, cursor, gap)));
        }
        // Nobody else moves the cursor of a listener that is not live.
        let mut reached = gap.map_or(cursor, |gap| gap.resumes_at);
        for entry in page.entries {
            let frame = Frame::new(entry);
            if !self.outlet.offer(&frame.wire) {
                break;
            }
            reached = frame.id;
        }
        let mut place = joined.listener.place();
        place.cursor = reached;
        place.verified = true;
        drop(place);
        if let Some(gap) = gap {
            self.count_gap(gap.reason);
        }
    }

    pub(super) fn count_gap(&self, reason: GapReason) {
        let reason = match reason {
            GapReason::Trimmed => "trimmed",
            GapReason::Rewound => "rewound",
        };
        self.app.metrics.gaps.with_label_values(&[reason]).inc();
    }
}
