//! A room by long-polling, for what can hold neither a WebSocket nor a stream: one answer with what comes after a cursor,
//! which waits for it if nothing is there yet.

use std::{cell::RefCell, net::SocketAddr, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use rollcall_protocol::{EntryId, GapReason, Message, ServerFrame};
use serde::Serialize;
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use utoipa::ToSchema;

use super::{
    Admission, admit,
    api::{envelope::Failure, reader::Reader},
    leave::Leave,
};
use crate::{
    accounts::{Dismissed, NotIdentified},
    app::App,
    delivery::{Effect, Entry, Visit},
    error::JoinError,
    lifecycle::Reason,
    log::LogError,
    people::{self, Stay},
    room::Frame,
    wire,
};

/// When to ask a log again that did not answer.
const RETRY: Duration = Duration::from_millis(500);
/// About how many bytes of messages one answer has; the rest is for the next.
const ANSWER_BYTES: usize = 256 * 1024;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Poll {
    /// The cursor.
    pub after: EntryId,
    /// At most so many messages.
    pub limit: usize,
    /// For how long to wait if there is none.
    pub wait: Duration,
}

/// What comes after a cursor.
#[derive(Debug)]
pub struct Polled {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// The cursor after these.
    pub cursor: EntryId,
    /// The last entry of the room that is known here.
    pub head: EntryId,
    /// What cannot be had of what came after the cursor: before the messages.
    pub gap: Option<Gap>,
    /// Nothing more is there now.
    pub live: bool,
    /// Why it ended before its time, if it did.
    pub moved: Option<Reason>,
}

/// Messages that cannot be had.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gap {
    /// The cursor that could not be continued.
    pub after: EntryId,
    /// The cursor that the messages continue.
    pub resumes_at: EntryId,
    /// What happened to the log.
    pub reason: GapReason,
}

/// Answers a poll.
///
/// # Errors
/// 429 and 503 as for any connection that lasts; 503 if the log could not be read within the time, and there is nothing to
/// give.
pub async fn poll(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    room: &str,
    reader: &Reader,
    poll: Poll,
) -> Result<Polled, Failure> {
    let admission = admit(app, peer, headers)?;
    // What is answered at once ends before anybody could be sent away.
    let stay = match poll.wait.is_zero() {
        true => None,
        false => Reader::arrive(app, headers).await?.1,
    };
    let until = Instant::now() + poll.wait;
    let Entry { room, start, .. } =
        app.rooms.join(room, reader.visitor(), Some(poll.after)).await?;
    let wake = Arc::new(Notify::new());
    let (visit, told) =
        Visit::begin(room, start, app.next_connection(), reader.visitor(), wake.clone())?;
    let mut taken = Taken::new(poll);
    told.into_iter().for_each(|frame| taken.told(frame));
    let entered = visit.room().clone();
    let polled = Poller::new(app, (admission, stay), visit, wake).run(taken, until).await?;
    // The room may be another by now.
    match reader.visitor().barred_from(&entered.name, &entered.about()) {
        Some(why) => Err(JoinError::Barred(why).into()),
        None => Ok(polled),
    }
}

/// One poll, for as long as it lasts. Whoever asked may go at any time: then this is dropped, and leaves the room.
struct Poller {
    app: App,
    _admission: Admission,
    stay: Option<Stay>,
    visit: Visit,
    wake: Arc<Notify>,
    leave: Leave,
}

impl Poller {
    fn new(
        app: &App,
        (admission, stay): (Admission, Option<Stay>),
        visit: Visit,
        wake: Arc<Notify>,
    ) -> Self {
        app.metrics.connections.with_label_values(&["longpoll"]).inc();
        let leave = Leave::new(app);
        Self { app: app.clone(), _admission: admission, stay, visit, wake, leave }
    }

    async fn run(mut self, mut taken: Taken, until: Instant) -> Result<Polled, Failure> {
        loop {
            let unread = self.read(&mut taken).await.err();
            if taken.is_answer() || (unread.is_some() && taken.has_any()) {
                return Ok(self.answer(taken, None));
            }
            let (now, is_unread) = (Instant::now(), unread.is_some());
            if let Some(error) = unread.filter(|_| now >= until) {
                return Err(JoinError::from(error).into());
            }
            let pause = if is_unread { until.min(now + RETRY) } else { until };
            let waited = tokio::select! {
                waited = timeout_at(pause, self.leave.wait(&self.wake)) => waited,
                why = people::dismissed(&mut self.stay) => return self.dismissed(why, taken),
            };
            match waited {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => {
                    self.leave.moved(reason);
                    return Ok(self.answer(taken, Some(reason)));
                }
                // The log is asked once more, at the end, too.
                Err(_) if is_unread => {}
                Err(_) => return Ok(self.answer(taken, None)),
            }
        }
    }

    /// The session of whoever asked is over, or they may not be here; or they are to ask again, as who they are now.
    fn dismissed(self, why: Dismissed, taken: Taken) -> Result<Polled, Failure> {
        match why {
            Dismissed::Banned => Err(NotIdentified::Banned.into()),
            Dismissed::SignedOut => Err(NotIdentified::BadToken.into()),
            Dismissed::Changed => Ok(self.answer(taken, None)),
        }
    }

    /// Takes what there is, as far as the answer has room for it.
    async fn read(&self, taken: &mut Taken) -> Result<(), LogError> {
        while let Some(cursor) = self.advance(taken) {
            let page = self.app.rooms.read_page(self.visit.room(), cursor).await;
            let page = page.inspect_err(|_| self.visit.not_read())?;
            let taken = RefCell::new(&mut *taken);
            let take = |effect| taken.borrow_mut().take(effect);
            self.visit.page(&page, || !taken.borrow().full, take);
        }
        Ok(())
    }

    fn advance(&self, taken: &mut Taken) -> Option<EntryId> {
        let taken = RefCell::new(taken);
        let take = |effect| taken.borrow_mut().take(effect);
        self.visit.advance(|| !taken.borrow().full, take)
    }

    fn answer(&self, taken: Taken, moved: Option<Reason>) -> Polled {
        let Taken { messages, cursor, gap, live, full, .. } = taken;
        let head = self.visit.room().head().max(cursor);
        // Without the log nobody knows whether there is more.
        let live = live && !full && self.app.lifecycle.is_delivering();
        Polled { messages, cursor, head, gap, live, moved }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.visit.end();
        self.app.metrics.connections.with_label_values(&["longpoll"]).dec();
    }
}

/// What an answer has so far.
struct Taken {
    limit: usize,
    messages: Vec<Message>,
    bytes: usize,
    cursor: EntryId,
    gap: Option<Gap>,
    /// Catch-up is done.
    live: bool,
    /// There is more, and it is for the next answer.
    full: bool,
}

impl Taken {
    fn new(poll: Poll) -> Self {
        Self {
            limit: poll.limit,
            messages: Vec::new(),
            bytes: 0,
            cursor: poll.after,
            gap: None,
            live: false,
            full: false,
        }
    }

    /// Whether whoever asked gets something by it.
    fn has_any(&self) -> bool {
        !self.messages.is_empty() || self.gap.is_some()
    }

    /// Whether it is to go now.
    fn is_answer(&self) -> bool {
        self.full || (self.live && self.has_any())
    }

    /// What a listener is told on entering.
    fn told(&mut self, frame: ServerFrame) {
        if let ServerFrame::Gap { after, resumes_at, reason, .. } = frame {
            self.skip(Gap { after, resumes_at, reason });
        }
    }

    fn skip(&mut self, gap: Gap) {
        // One answer tells of one gap, before its messages.
        if self.has_any() {
            self.full = true;
        } else {
            self.cursor = gap.resumes_at;
            self.gap = Some(gap);
        }
    }

    fn take(&mut self, effect: Effect) {
        if self.full {
            return;
        }
        match effect {
            Effect::Frames(frames) => frames.iter().for_each(|frame| self.message(frame)),
            Effect::Gap { after, gap } => {
                self.skip(Gap { after, resumes_at: gap.resumes_at, reason: gap.reason });
            }
            Effect::Live(_) => self.live = true,
            Effect::Members | Effect::State => {}
        }
    }

    fn message(&mut self, frame: &Frame) {
        if self.messages.len() == self.limit || self.bytes >= ANSWER_BYTES {
            self.full = true;
        }
        // What a ring holds is what was encoded here.
        let json = wire::payload(&frame.wire);
        match serde_json::from_slice(&json) {
            Ok(message) if !self.full => {
                self.messages.push(message);
                self.bytes += json.len();
                self.cursor = frame.id;
            }
            _ => self.full = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use rollcall_protocol::Extra;

    use super::*;
    use crate::log::splice;

    fn at(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    fn frame(prev: u64, id: u64, text: &str) -> Frame {
        Frame::new(Message {
            room: "den".to_owned(),
            id: at(id),
            prev: at(prev),
            member: "ann".to_owned(),
            name: "Ann".to_owned(),
            n: 1,
            text: text.to_owned(),
            at: id,
            extra: Extra::default(),
        })
    }

    fn taken(limit: usize) -> Taken {
        Taken::new(Poll { after: EntryId::ZERO, limit, wait: Duration::ZERO })
    }

    fn gap(after: u64, resumes_at: u64) -> Effect {
        let gap = splice::Gap { resumes_at: at(resumes_at), reason: GapReason::Trimmed };
        Effect::Gap { after: at(after), gap }
    }

    #[test]
    fn what_is_beyond_the_limit_is_for_the_next_answer() {
        let mut taken = taken(2);
        let frames = vec![frame(0, 1, "a"), frame(1, 2, "b"), frame(2, 3, "c")];
        taken.take(Effect::Frames(frames));
        taken.take(Effect::Live(at(3)));
        assert_eq!((taken.messages.len(), taken.cursor), (2, at(2)));
        assert!(taken.full && taken.is_answer() && !taken.live);
    }

    #[test]
    fn one_answer_has_a_bounded_number_of_bytes() {
        let mut taken = taken(1000);
        let text = "x".repeat(4096);
        for id in 1..=200 {
            taken.take(Effect::Frames(vec![frame(id - 1, id, &text)]));
        }
        assert!(taken.full && taken.bytes < ANSWER_BYTES + 5000, "{}", taken.bytes);
        assert_eq!(taken.cursor, at(taken.messages.len() as u64));
    }

    #[test]
    fn a_gap_goes_before_the_messages_of_an_answer() {
        let mut first = taken(10);
        first.take(gap(0, 5));
        first.take(Effect::Frames(vec![frame(5, 6, "a")]));
        first.take(gap(6, 8));
        first.take(Effect::Frames(vec![frame(8, 9, "b")]));
        assert_eq!(first.gap.as_ref().map(|gap| gap.resumes_at), Some(at(5)));
        assert_eq!((first.messages.len(), first.cursor, first.full), (1, at(6), true));
    }

    #[test]
    fn a_gap_alone_is_an_answer_once_nothing_follows() {
        let mut taken = taken(10);
        taken.take(gap(0, 5));
        assert!(!taken.is_answer(), "there may be messages behind it");
        taken.take(Effect::Live(at(5)));
        assert!(taken.is_answer() && taken.cursor == at(5));
    }
}
