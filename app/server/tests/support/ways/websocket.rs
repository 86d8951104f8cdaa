//! By WebSocket.

use std::net::SocketAddr;

use rollcall_protocol::{EntryId, ServerFrame};
use serde_json::{Value, json};

use super::{Heard, Way, Who};
use crate::support::Socket;

pub struct WebSocket {
    socket: Socket,
    room: String,
}

impl Way for WebSocket {
    async fn open(address: SocketAddr, who: &Who, after: EntryId) -> Option<Self> {
        let mut socket = Socket::try_open(address, None).await.ok()?;
        let hello = json!({
            "type": "hello", "v": 1, "client": who.key, "name": who.name, "why": "resume", "moves": true,
            "rooms": [{ "room": who.room, "after": after }],
        });
        socket.try_say(&hello).await?;
        Some(Self { socket, room: who.room.clone() })
    }

    async fn hear(&mut self) -> Heard {
        loop {
            let Ok(frame) = self.socket.next().await else { return Heard::Ended };
            match frame {
                ServerFrame::Message(message) => return Heard::Message(message),
                ServerFrame::Live { .. } => return Heard::Live,
                ServerFrame::Gap { after, resumes_at, reason, .. } => {
                    return Heard::Gap { after, resumes_at, reason };
                }
                ServerFrame::Ack { n, .. } => return Heard::Taken(n),
                ServerFrame::Reject { n, retry_ms: Some(ms), .. } => return Heard::Again(n, ms),
                // A test that waits for its moment waits for nothing: any time before the deadline is fine.
                ServerFrame::Goaway { .. } => return Heard::Goaway,
                ServerFrame::Error { .. } | ServerFrame::Reject { .. } => panic!("{frame:?}"),
                _ => {}
            }
        }
    }

    async fn say(&mut self, n: u64, text: &str) {
        let send: Value = json!({ "type": "send", "room": self.room, "n": n, "text": text });
        // Whether it went is heard.
        let _ = self.socket.try_say(&send).await;
    }

    async fn close(self) {
        self.socket.close().await;
    }
}
