//! By an event stream and POST.

use std::net::SocketAddr;

use rollcall_protocol::{EntryId, ServerFrame};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
};

use super::{Heard, Way, Who, posts::Posts};

pub struct EventStream {
    lines: Lines<BufReader<TcpStream>>,
    posts: Posts,
}

impl Way for EventStream {
    async fn open(address: SocketAddr, who: &Who, after: EntryId) -> Option<Self> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!(
            "GET /api/v1/rooms/{}/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\nlast-event-id: {after}\r\n\r\n",
            who.room
        );
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next_line().await.ok()??;
        status.contains(" 200 ").then(|| Self { lines, posts: Posts::at(address, who) })
    }

    async fn hear(&mut self) -> Heard {
        loop {
            let line = tokio::select! {
                answer = self.posts.answer() => return answer,
                line = self.lines.next_line() => line,
            };
            let Ok(Some(line)) = line else { return Heard::Ended };
            // What is no field of an event belongs to HTTP. One that was cut is sent again.
            let Some(("data", json)) = line.split_once(": ") else { continue };
            let Ok(frame) = serde_json::from_str(json) else { return Heard::Ended };
            match frame {
                ServerFrame::Message(message) => return Heard::Message(message),
                ServerFrame::Live { .. } => return Heard::Live,
                ServerFrame::Gap { after, resumes_at, reason, .. } => {
                    return Heard::Gap { after, resumes_at, reason };
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn say(&mut self, n: u64, text: &str) {
        self.posts.say(n, text);
    }

    async fn close(self) {}
}
