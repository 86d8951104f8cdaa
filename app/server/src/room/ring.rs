//! A room's newest frames, from which most clients catch up. Pure.

use std::collections::VecDeque;

use bytes::Bytes;
use rollcall_protocol::{EntryId, Message, ServerFrame};

use crate::socket::wire;

/// Bounds of a ring, in frames and in bytes.
const MAX_FRAMES: usize = 256;
const MAX_BYTES: usize = 512 * 1024;

/// A message, encoded once for all who hear it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The entry.
    pub id: EntryId,
    /// The entry before it.
    pub prev: EntryId,
    /// As a WebSocket frame.
    pub wire: Bytes,
}

impl Frame {
    /// Encodes a message.
    #[must_use]
    pub fn new(message: Message) -> Self {
        let (id, prev) = (message.id, message.prev);
        Self { id, prev, wire: wire::text_frame(&ServerFrame::Message(message)) }
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

/// An unbroken run of a room log's newest entries.
#[derive(Default)]
pub struct Ring {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Ring {
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
        self.bytes += frame.wire.len();
        self.frames.push_back(frame);
        while self.frames.len() > MAX_FRAMES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.wire.len();
        }
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// The newest entry.
    #[must_use]
    pub fn last(&self) -> Option<EntryId> {
        self.frames.back().map(|frame| frame.id)
    }

    /// What comes after `cursor`: the frame after it must name it as predecessor.
    #[must_use]
    pub fn after(&self, cursor: EntryId) -> After {
        let start = self.frames.partition_point(|frame| frame.id <= cursor);
        match self.frames.get(start) {
            Some(next) if next.prev == cursor => {
                After::Frames(self.frames.range(start..).cloned().collect())
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
    use super::*;

    fn frame(prev: u64, id: u64) -> Frame {
        let (id, prev) = (EntryId::new(id, 0), EntryId::new(prev, 0));
        Frame { id, prev, wire: Bytes::from_static(b"x") }
    }

    fn ids(after: After) -> Vec<u64> {
        match after {
            After::Frames(frames) => frames.iter().map(|frame| frame.id.ms).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn at(ms: u64) -> EntryId {
        EntryId::new(ms, 0)
    }

    #[test]
    fn continues_a_cursor_it_can_prove() {
        let mut ring = Ring::default();
        for (prev, id) in [(5, 6), (6, 8), (8, 9)] {
            assert!(ring.push(frame(prev, id)));
        }
        assert_eq!(ids(ring.after(at(5))), [6, 8, 9]);
        assert_eq!(ids(ring.after(at(6))), [8, 9]);
        assert!(matches!(ring.after(at(9)), After::Head));
        assert!(matches!(ring.after(at(10)), After::Beyond));
        assert!(matches!(ring.after(at(4)), After::Unknown), "older than the ring");
        assert!(matches!(ring.after(at(7)), After::Unknown), "never an entry");
    }

    #[test]
    fn a_broken_chain_starts_anew() {
        let mut ring = Ring::default();
        ring.push(frame(1, 2));
        ring.push(frame(3, 4));
        assert!(matches!(ring.after(at(2)), After::Unknown));
        assert_eq!(ids(ring.after(at(3))), [4]);
    }

    #[test]
    fn is_bounded_and_ignores_what_it_has() {
        let mut ring = Ring::default();
        for id in 1..=1000 {
            ring.push(frame(id - 1, id));
            assert!(!ring.push(frame(id - 1, id)));
        }
        assert_eq!(ids(ring.after(at(1000 - MAX_FRAMES as u64))).len(), MAX_FRAMES);
        assert!(matches!(ring.after(at(1)), After::Unknown));
    }
}
