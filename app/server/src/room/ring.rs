//! A room's newest frames, from which most clients catch up. Pure.

use std::collections::VecDeque;

use bytes::Bytes;
use rollcall_protocol::{EntryId, Kind, Message, ServerFrame};

use crate::{
    budget::{Budget, Share},
    wire,
};

/// Bounds of one ring.
#[derive(Debug, Clone, Copy)]
pub struct RingLimits {
    /// Most frames.
    pub frames: usize,
    /// Most bytes.
    pub bytes: usize,
}

/// A message, encoded once for all listeners.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The entry.
    pub id: EntryId,
    /// The entry before it.
    pub prev: EntryId,
    /// As a WebSocket frame.
    pub wire: Bytes,
    /// The message whose text it has: itself, or the one that it edits.
    text_of: EntryId,
    /// The message that has no text any more because of it.
    removes: Option<EntryId>,
}

impl Frame {
    /// Encodes a message.
    #[must_use]
    pub fn new(message: Message) -> Self {
        let (id, prev, extra) = (message.id, message.prev, &message.extra);
        let about = |kind| extra.of.filter(|_| extra.kind == Some(kind));
        let (text_of, removes) = (about(Kind::Edit).unwrap_or(id), about(Kind::Remove));
        Self { id, prev, text_of, removes, wire: wire::text_frame(&ServerFrame::Message(message)) }
    }

    /// The same entry as whoever comes later is told it.
    fn remove_text(&mut self) {
        let frame = serde_json::from_slice(&wire::payload(&self.wire));
        let Ok(ServerFrame::Message(mut message)) = frame else { return };
        message.text.clear();
        message.extra.removed = true;
        self.wire = wire::text_frame(&ServerFrame::Message(message));
    }
}

/// What a ring knows about a cursor.
#[derive(Debug)]
pub enum After {
    /// The ring continues it with these frames.
    Frames(Vec<Frame>),
    /// It is the newest entry, as far as the ring knows.
    Head,
    /// It is newer than the ring, or the ring is empty.
    Beyond,
    /// It is too old for the ring, or of another history.
    Unknown,
}

/// An unbroken run of a room log's newest entries. Never empty again once it has a frame, but by [`Ring::clear`]: the newest
/// entry is what tells a cursor at the head from one that is ahead of what is known here.
pub struct Ring {
    frames: VecDeque<Frame>,
    limits: RingLimits,
    /// This ring's share of what all rings may hold.
    share: Share,
}

impl Ring {
    /// An empty ring, which shares `budget` with the others of this replica.
    #[must_use]
    pub fn new(limits: RingLimits, budget: &Budget) -> Self {
        Self { frames: VecDeque::new(), limits, share: budget.share() }
    }

    /// Adds a frame; one that is no newer than the last is ignored. A frame that does not continue
    /// the last starts the ring anew. Says whether the frame was added.
    pub fn push(&mut self, frame: Frame) -> bool {
        if let Some(last) = self.frames.back() {
            if frame.id <= last.id {
                return false;
            }
            if frame.prev != last.id {
                self.clear();
            }
        }
        if let Some(removed) = frame.removes {
            self.remove_text(removed);
        }
        self.share.set(self.share.bytes() + frame.wire.len());
        self.frames.push_back(frame);
        while self.frames.len() > 1 && self.is_too_large() {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.share.set(self.share.bytes() - oldest.wire.len());
        }
        true
    }

    /// What was removed is given to nobody again, and neither is what it was before an edit.
    fn remove_text(&mut self, of: EntryId) {
        for frame in self.frames.iter_mut().filter(|frame| frame.text_of == of) {
            let before = frame.wire.len();
            frame.remove_text();
            self.share.set(self.share.bytes() + frame.wire.len() - before);
        }
    }

    /// Puts `older` frames, oldest first, before those that are here.
    pub fn fill(&mut self, older: Vec<Frame>) {
        let newer = std::mem::take(&mut self.frames);
        self.share.set(0);
        for frame in older.into_iter().chain(newer) {
            self.push(frame);
        }
    }

    fn is_too_large(&self) -> bool {
        let bytes = self.share.bytes();
        self.frames.len() > self.limits.frames || bytes > self.limits.bytes || self.share.is_over(0)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.share.set(0);
    }

    /// The newest entry.
    #[must_use]
    pub fn last(&self) -> Option<EntryId> {
        self.frames.back().map(|frame| frame.id)
    }

    /// Whether `cursor` is one of its frames, or the one before the first.
    #[must_use]
    pub fn has(&self, cursor: EntryId) -> bool {
        self.frames.binary_search_by_key(&cursor, |frame| frame.id).is_ok()
            || self.frames.front().is_some_and(|first| first.prev == cursor)
    }

    /// What comes after `cursor`, about `space` bytes of it: the frame after it must name it as predecessor.
    #[must_use]
    pub fn after(&self, cursor: EntryId, space: usize) -> After {
        let start = self.frames.partition_point(|frame| frame.id <= cursor);
        match self.frames.get(start) {
            Some(next) if next.prev == cursor => {
                let mut taken = 0;
                let fits = |frame: &&Frame| {
                    let fits = taken < space;
                    taken += frame.wire.len();
                    fits
                };
                After::Frames(self.frames.range(start..).take_while(fits).cloned().collect())
            }
            Some(_) => After::Unknown,
            None if self.last() == Some(cursor) => After::Head,
            None => After::Beyond,
        }
    }

    /// The frames after `id`, which need not be known.
    pub fn newer_than(&self, id: EntryId) -> impl Iterator<Item = &Frame> {
        let start = self.frames.partition_point(|frame| frame.id <= id);
        self.frames.range(start..)
    }
}

#[cfg(test)]
mod tests {
    use rollcall_protocol::Extra;

    use super::*;

    fn frame(prev: u64, id: u64) -> Frame {
        let (id, prev) = (EntryId::new(id, 0), EntryId::new(prev, 0));
        Frame { id, prev, text_of: id, removes: None, wire: Bytes::from_static(b"x") }
    }

    fn said(id: u64, text: &str, kind: Option<Kind>, of: Option<u64>) -> Frame {
        Frame::new(Message {
            room: "hall".to_owned(),
            id: at(id),
            prev: at(id - 1),
            member: "a1".to_owned(),
            name: "Ada".to_owned(),
            n: id,
            text: text.to_owned(),
            at: id,
            extra: Extra { kind, of: of.map(at), ..Extra::default() },
        })
    }

    fn ids(after: After) -> Vec<u64> {
        match after {
            After::Frames(frames) => frames.iter().map(|frame| frame.id.ms).collect(),
            other => panic!("{other:?}"),
        }
    }

    const LIMITS: RingLimits = RingLimits { frames: 256, bytes: 512 * 1024 };
    const ALL: usize = usize::MAX;

    fn ring() -> Ring {
        Ring::new(LIMITS, &Budget::new(usize::MAX))
    }

    fn at(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    #[test]
    fn continues_a_cursor_it_can_prove() {
        let mut ring = ring();
        for (prev, id) in [(5, 6), (6, 8), (8, 9)] {
            assert!(ring.push(frame(prev, id)));
        }
        assert_eq!(ids(ring.after(at(5), ALL)), [6, 8, 9]);
        assert_eq!(ids(ring.after(at(6), ALL)), [8, 9]);
        assert!(matches!(ring.after(at(9), ALL), After::Head));
        assert!(matches!(ring.after(at(10), ALL), After::Beyond));
        assert!(matches!(ring.after(at(4), ALL), After::Unknown), "older than the ring");
        assert!(matches!(ring.after(at(7), ALL), After::Unknown), "never an entry");
    }

    #[test]
    fn a_broken_chain_starts_anew() {
        let mut ring = ring();
        ring.push(frame(1, 2));
        ring.push(frame(3, 4));
        assert!(matches!(ring.after(at(2), ALL), After::Unknown));
        assert_eq!(ids(ring.after(at(3), ALL)), [4]);
    }

    #[test]
    fn is_bounded_and_ignores_what_it_has() {
        let mut ring = ring();
        for id in 1..=1000 {
            ring.push(frame(id - 1, id));
            assert!(!ring.push(frame(id - 1, id)));
        }
        assert_eq!(ids(ring.after(at(1000 - LIMITS.frames as u64), ALL)).len(), LIMITS.frames);
        assert!(matches!(ring.after(at(1), ALL), After::Unknown));
    }

    #[test]
    fn hands_out_about_as_much_as_is_asked_for() {
        let mut ring = ring();
        (1..=9).for_each(|id| assert!(ring.push(frame(id - 1, id))));
        assert_eq!(ids(ring.after(at(3), 2)), [4, 5]);
        assert_eq!(ids(ring.after(at(3), 1)), [4], "at least one");
    }

    #[test]
    fn older_frames_go_before_those_that_came_meanwhile() {
        let mut ring = ring();
        ring.push(frame(4, 5));
        ring.fill(vec![frame(2, 3), frame(3, 4), frame(4, 5)]);
        assert_eq!(ids(ring.after(at(2), ALL)), [3, 4, 5]);
        ring.fill(vec![frame(0, 1)]);
        assert_eq!(
            ids(ring.after(at(2), ALL)),
            [3, 4, 5],
            "what does not lead to them is left out"
        );
    }

    /// A replica that heard the message gave its text to whoever caught up there, for as long as its ring had it.
    #[test]
    fn what_was_removed_is_given_to_nobody_again() {
        let frames = || {
            vec![
                said(1, "my password", None, None),
                said(2, "other words", None, None),
                said(3, "my passphrase", Some(Kind::Edit), Some(1)),
                said(4, "", Some(Kind::Remove), Some(1)),
            ]
        };
        let mut pushed = ring();
        frames().into_iter().for_each(|frame| assert!(pushed.push(frame)));
        let mut filled = ring();
        filled.push(said(4, "", Some(Kind::Remove), Some(1)));
        filled.fill(frames());
        for ring in [pushed, filled] {
            let After::Frames(frames) = ring.after(EntryId::ZERO, ALL) else { panic!("none") };
            let texts: Vec<_> = frames
                .iter()
                .map(|frame| match serde_json::from_slice(&wire::payload(&frame.wire)) {
                    Ok(ServerFrame::Message(message)) => (message.text, message.extra.removed),
                    other => panic!("{other:?}"),
                })
                .collect();
            let gone = (String::new(), true);
            let other = ("other words".to_owned(), false);
            assert_eq!(texts, [gone.clone(), other, gone, (String::new(), false)]);
            let bytes: usize = frames.iter().map(|frame| frame.wire.len()).sum();
            assert_eq!(ring.share.bytes(), bytes);
        }
    }

    /// Fault S3: 10,000 rooms with 512 KiB each in a container of 256 MB.
    #[test]
    fn all_rings_together_keep_within_their_budget() {
        let budget = Budget::new(500);
        let mut rings: Vec<_> = (0..10).map(|_| Ring::new(LIMITS, &budget)).collect();
        for id in 1..=200 {
            rings.iter_mut().for_each(|ring| assert!(ring.push(frame(id - 1, id))));
        }
        // A ring has its newest frame whatever the others hold.
        assert!(budget.used_ratio() <= 1.0, "{}", budget.used_ratio());
        assert!(rings.iter().all(|ring| ring.last() == Some(at(200))));
        rings.truncate(1);
        for id in 201..=400 {
            assert!(rings[0].push(frame(id - 1, id)));
        }
        assert_eq!(ids(rings[0].after(at(200), ALL)).len(), 200, "alone it has room again");
    }
}
