//! A server whose every frame the test writes by hand.

use std::{future::Future, time::Duration};

use futures_util::{SinkExt, StreamExt};
use rollcall_client::{Client, Config, Event, Events, Handle};
use rollcall_protocol::{
    ClientFrame, EntryId, ErrorCode, Extra, ISOLATED, JoinStatus, Message, RoomCursor, ServerFrame,
    Why,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{self, protocol::CloseFrame},
};

/// Far beyond anything that is waited for here.
const PATIENCE: Duration = Duration::from_secs(20);

pub const ROOM: &str = "vault";

pub fn id(n: u64) -> EntryId {
    EntryId::new(n, 0)
}

/// The room log's entry `n`, which follows entry `n - 1`.
pub fn entry(n: u64) -> ServerFrame {
    ServerFrame::Message(Message {
        room: ROOM.to_owned(),
        id: id(n),
        prev: id(n - 1),
        member: "another".to_owned(),
        name: "Plum".to_owned(),
        n,
        text: format!("line {n}"),
        at: n,
        extra: Extra::default(),
    })
}

/// The entry `at`, which is the client's message `n`.
pub fn own_entry(at: u64, n: u64, text: &str) -> ServerFrame {
    let ServerFrame::Message(message) = entry(at) else { unreachable!("an entry is a message") };
    ServerFrame::Message(Message { member: "m".to_owned(), n, text: text.to_owned(), ..message })
}

pub fn isolated() -> ServerFrame {
    ServerFrame::Goaway { in_ms: 0, deadline_ms: 0, reason: ISOLATED.to_owned() }
}

pub fn goaway(in_ms: u64) -> ServerFrame {
    ServerFrame::Goaway { in_ms, deadline_ms: 60_000, reason: "roll".to_owned() }
}

pub fn ack(n: u64) -> ServerFrame {
    ServerFrame::Ack { room: ROOM.to_owned(), n, id: Some(id(100 + n)), duplicate: false }
}

pub struct Script {
    listener: TcpListener,
}

impl Script {
    pub async fn listen() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("a free port") }
    }

    pub fn config(&self) -> Config {
        let address = self.listener.local_addr().expect("a bound listener");
        let mut config = Config::new(&format!("http://{address}"), "Teal", &[ROOM]);
        config.seed = Some(7);
        config
    }

    /// A connection that was upgraded and has said `hello`.
    pub async fn accept(&self) -> Peer {
        let (stream, _) = soon(self.listener.accept()).await.expect("a connection");
        let socket = accept_async(stream).await.expect("an upgrade");
        let rooms = Vec::new();
        let mut peer = Peer { socket, why: Why::Fresh, rooms, token: None, hello_bytes: 0 };
        let frame = peer.receive().await;
        let hello_bytes = serde_json::to_string(&frame).expect("a frame is JSON").len();
        let ClientFrame::Hello { why, rooms, token, moves: true, .. } = frame else {
            panic!("{frame:?} instead of a hello");
        };
        Peer { why, rooms, token, hello_bytes, ..peer }
    }

    /// Answers the next handshake with this status.
    pub async fn answer(&self, status: u16) {
        let (mut stream, _) = soon(self.listener.accept()).await.expect("a connection");
        let mut request = [0; 2048];
        soon(stream.read(&mut request)).await.expect("a request");
        let answer =
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("an open connection");
    }

    /// Takes the next connection and drops it before any answer.
    pub async fn refuse(&self) {
        soon(self.listener.accept()).await.expect("a connection");
    }
}

pub struct Peer {
    socket: WebSocketStream<TcpStream>,
    pub why: Why,
    pub rooms: Vec<RoomCursor>,
    pub token: Option<String>,
    pub hello_bytes: usize,
}

impl Peer {
    pub fn after(&self) -> Option<EntryId> {
        self.rooms[0].after
    }

    pub async fn send(&mut self, frame: ServerFrame) {
        self.say(&serde_json::to_value(&frame).expect("a frame is JSON")).await;
    }

    /// A frame that this release need not know.
    pub async fn say(&mut self, frame: &Value) {
        let text = tungstenite::Message::text(frame.to_string());
        self.socket.send(text).await.expect("an open connection");
    }

    /// `welcome` with a heartbeat, as a release before accounts says it; `joined` and catch-up follow.
    pub async fn welcome(&mut self, replica: &str, heartbeat_ms: u64) {
        self.welcome_with(replica, heartbeat_ms, &json!({})).await;
    }

    /// `welcome` with more fields.
    pub async fn welcome_with(&mut self, replica: &str, heartbeat_ms: u64, more: &Value) {
        let mut welcome = json!({
            "type": "welcome", "v": 1, "member": "m", "replica": replica, "release": "1.0.0",
            "heartbeat_ms": heartbeat_ms,
            "limits": { "text_bytes": 4096, "frame_bytes": 16384, "rooms": 64, "pending": 8 }
        });
        let fields = welcome.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("fields").clone());
        self.say(&welcome).await;
    }

    /// All that makes a client live with nothing to catch up, by a release that can do all that this one can.
    pub async fn serve_all(&mut self, replica: &str, head: u64) {
        let features = json!({ "features": ["accounts", "edit", "rooms", "read", "moderation"] });
        self.welcome_with(replica, 60_000, &features).await;
        self.joined(head).await;
        self.live(head).await;
    }

    pub async fn joined(&mut self, head: u64) {
        let status = if self.after().is_some() { JoinStatus::Resumed } else { JoinStatus::Fresh };
        let room = ROOM.to_owned();
        let frame =
            ServerFrame::Joined { room, head: id(head), status, present: 0, members: vec![] };
        self.send(frame).await;
    }

    pub async fn live(&mut self, head: u64) {
        self.send(ServerFrame::Live { room: ROOM.to_owned(), id: id(head) }).await;
    }

    /// All that makes a client live with nothing to catch up.
    pub async fn serve(&mut self, replica: &str, head: u64) {
        self.welcome(replica, 60_000).await;
        self.joined(head).await;
        self.live(head).await;
    }

    /// `joined` and `live` in a room with nothing to catch up.
    pub async fn enter(&mut self, room: &str) {
        let (room, head, status) = (room.to_owned(), id(5), JoinStatus::Fresh);
        let again = room.clone();
        self.send(ServerFrame::Joined { room, head, status, present: 0, members: vec![] }).await;
        self.send(ServerFrame::Live { room: again, id: head }).await;
    }

    pub async fn refuse(&mut self, room: &str) {
        let (code, detail) = (ErrorCode::TooManyRooms, "too many".to_owned());
        self.send(ServerFrame::Error { code, detail, room: Some(room.to_owned()) }).await;
    }

    pub async fn receive(&mut self) -> ClientFrame {
        loop {
            match soon(self.socket.next()).await.expect("an open connection").expect("a frame") {
                tungstenite::Message::Text(text) => {
                    return serde_json::from_str(&text).expect("a client frame");
                }
                tungstenite::Message::Close(close) => panic!("closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// The next `send`: its number and text.
    pub async fn receive_send(&mut self) -> (u64, String) {
        loop {
            match self.receive().await {
                ClientFrame::Send { n, text, edit: None, remove: None, .. } => return (n, text),
                ClientFrame::Ping { .. } => {}
                other => panic!("{other:?} instead of a send"),
            }
        }
    }

    pub async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        self.socket.close(Some(frame)).await.expect("an open connection");
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// The client's close code, once it closes; none if it just went away.
    pub async fn closed(mut self) -> Option<u16> {
        while let Some(Ok(message)) = soon(self.socket.next()).await {
            if let tungstenite::Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }
}

/// Waits for what must come; a test that waits in vain fails instead of hanging.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("nothing came")
}

/// The first event that fits.
pub async fn seen<T>(events: &mut Events, fits: impl FnMut(Event) -> Option<T>) -> T {
    soon(events.find(fits)).await.expect("a client that goes on")
}

/// The next messages' numbers.
pub async fn messages(events: &mut Events, count: usize) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let n = seen(events, |event| match event {
            Event::Message { message, .. } => Some(message.n),
            _ => None,
        });
        numbers.push(n.await);
    }
    numbers
}

/// A client that is live on replica r1 at entry `head`.
pub async fn live_at(script: &Script, head: u64) -> (Handle, Events, Peer) {
    let (handle, mut events) = Client::start(script.config());
    let mut peer = script.accept().await;
    assert_eq!((peer.why, peer.after()), (Why::Fresh, None));
    peer.serve("r1", head).await;
    assert!(soon(events.all_live()).await);
    (handle, events, peer)
}

pub fn moved(event: Event) -> Option<(String, String, Duration)> {
    match event {
        Event::Moved { from, to, silence } => Some((from, to, silence)),
        Event::Disconnected { loss, .. } => panic!("{loss}"),
        _ => None,
    }
}

pub fn told(event: Event) -> Option<&'static str> {
    match event {
        Event::Rejected { retried: true, .. } => Some("again"),
        Event::Rejected { retried: false, .. } => Some("dropped"),
        Event::Refused { .. } => Some("refused"),
        Event::Gap { .. } => Some("gap"),
        Event::Disconnected { loss, .. } => panic!("{loss}"),
        _ => None,
    }
}
