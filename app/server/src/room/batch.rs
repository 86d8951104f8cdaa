//! What a room has to tell, gathered for all its listeners at once.

use bytes::Bytes;

use super::ring::Frame;

/// One hand-over of a room.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Which history of the room this belongs to; a listener of another has to look where it stands.
    pub epoch: u64,
    /// New messages, an unbroken run.
    pub frames: Vec<Frame>,
    /// Their bytes in one piece: one write for each listener that has everything before.
    pub messages: Bytes,
    /// Presence and typing frames.
    pub signals: Bytes,
    /// Whether the room's state is another: each listener is to be told what that means for it.
    pub has_state: bool,
    /// Whether `signals` has presence in it, which a listener cannot do without.
    pub has_presence: bool,
}

impl Batch {
    /// The messages with these places, in this order: a mutant's.
    #[must_use]
    pub fn in_order(&self, places: &[usize]) -> Vec<u8> {
        places.iter().flat_map(|place| self.frames[*place].wire.iter().copied()).collect()
    }
}
