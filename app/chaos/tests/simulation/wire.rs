//! What a replica has written to one connection and the client has not read.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard},
};

use rollcall_protocol::ServerFrame;
use rollcall_server::delivery::Sink;

/// Frames that a connection takes before its client has read some.
const OUTLET: usize = 6;

/// What a client reads next.
pub enum Down {
    Frame(Box<ServerFrame>),
    Close(u16),
}

/// The way from a replica to one client. A room's hand-over writes to it, as it does to a socket.
#[derive(Default)]
pub struct Wire(Mutex<VecDeque<Down>>);

impl Wire {
    fn down(&self) -> MutexGuard<'_, VecDeque<Down>> {
        self.0.lock().expect("one thread")
    }

    pub fn has_room(&self) -> bool {
        self.len() < OUTLET
    }

    pub fn len(&self) -> usize {
        self.down().len()
    }

    pub fn push(&self, down: Down) {
        self.down().push_back(down);
    }

    pub fn tell(&self, frame: ServerFrame) {
        self.push(Down::Frame(Box::new(frame)));
    }

    pub fn read(&self) -> Option<Down> {
        self.down().pop_front()
    }
}

impl Sink for Wire {
    fn offer(&self, frames: &[u8]) -> bool {
        let has_room = self.has_room();
        if has_room {
            split(frames).into_iter().for_each(|frame| self.tell(frame));
        }
        has_room
    }

    // The scheduler looks at every connection in its turn.
    fn wake(&self) {}
}

/// The frames in one piece of bytes: unmasked WebSocket frames, one after another (RFC 6455, section 5.2).
pub fn split(mut bytes: &[u8]) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    while let [_, short, rest @ ..] = bytes {
        let (length, rest) = match (short, rest) {
            (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            (length @ 0..=125, rest) => (usize::from(*length), rest),
            _ => panic!("longer than anything said here"),
        };
        let (json, after) = rest.split_at(length);
        frames.push(serde_json::from_slice(json).expect("a frame of the server's own"));
        bytes = after;
    }
    frames
}
