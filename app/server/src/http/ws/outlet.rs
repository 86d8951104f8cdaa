//! The way out of one connection, shared by its own task and the rooms.
//!
//! A room writes to the socket itself, with the bytes that all its listeners share. What the
//! socket does not take at once waits here, up to a high water mark, for the connection's task.

use std::{
    io,
    pin::Pin,
    sync::{Mutex, MutexGuard},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::Notify,
    time::Instant,
};

use crate::{
    budget::{Budget, Share},
    delivery::Sink,
};

/// Replies to the client's own frames may go this many times beyond what rooms may fill, and then the connection ends.
const HARD_LIMIT: usize = 4;

/// A connection's socket and what waits to be written.
pub struct Outlet {
    tcp: TcpStream,
    /// A std mutex: held for a `try_write` at most, never over an await.
    state: Mutex<State>,
    /// Rooms add nothing once this many bytes wait; the connection then falls back to catch-up.
    high_water: usize,
    /// The connection's task should look: bytes wait, or a listener fell behind.
    pub wake: Notify,
}

struct State {
    waiting: BytesMut,
    /// What waits, of what all outlets together may hold.
    share: Share,
    /// When the socket last took something, while bytes wait.
    progress: Option<Instant>,
    closed: bool,
}

impl State {
    /// Whether rooms may add something. Beyond the budget of all outlets only to one where nothing waits yet.
    fn has_room(&self, high_water: usize) -> bool {
        let waiting = self.waiting.len();
        !self.closed && waiting < high_water && (waiting == 0 || !self.share.is_over(0))
    }
}

impl Outlet {
    /// An outlet into `tcp`, which rooms fill up to `high_water` bytes, and all together up to `budget`.
    #[must_use]
    pub fn new(tcp: TcpStream, high_water: usize, budget: &Budget) -> Self {
        let state = State {
            waiting: BytesMut::new(),
            share: budget.share(),
            progress: None,
            closed: false,
        };
        Self { tcp, state: Mutex::new(state), high_water, wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether [`Sink::offer`] would take something now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state().has_room(self.high_water)
    }

    fn hard_limit(&self) -> usize {
        HARD_LIMIT * self.high_water
    }

    /// Writes or queues whole frames, whatever waits: for callers that asked [`Self::has_room`] before.
    pub fn put_frame(&self, frame: &[u8]) {
        let mut state = self.state();
        if !state.closed {
            self.put(&mut state, frame);
        }
    }

    /// As [`Self::put_frame`], for replies; beyond the hard limit the outlet closes.
    pub fn put_reply(&self, frame: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() >= self.hard_limit() {
            state.closed = true;
            self.wake.notify_one();
        } else if !state.closed {
            self.put(&mut state, frame);
        }
    }

    fn put(&self, state: &mut State, bytes: &[u8]) {
        let written = if state.waiting.is_empty() {
            // Errors show up where the connection's task reads.
            self.tcp.try_write(bytes).unwrap_or(0)
        } else {
            0
        };
        if written < bytes.len() {
            if state.waiting.is_empty() {
                state.progress = Some(Instant::now());
            }
            state.waiting.extend_from_slice(&bytes[written..]);
            let waiting = state.waiting.len();
            state.share.set(waiting);
            self.wake.notify_one();
        }
    }

    /// Takes nothing more from rooms; what waits can still be flushed.
    pub fn close(&self) {
        self.state().closed = true;
    }

    /// Whether [`Self::close`] was called, or the hard limit passed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Whether bytes wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// Since when the socket has taken nothing of what waits.
    #[must_use]
    pub fn stalled_since(&self) -> Option<Instant> {
        self.state().progress
    }

    /// Waits until the socket takes more, and writes what waits.
    ///
    /// # Errors
    /// If the socket is broken.
    pub async fn flush_some(&self) -> io::Result<()> {
        self.tcp.writable().await?;
        let mut state = self.state();
        while !state.waiting.is_empty() {
            match self.tcp.try_write(&state.waiting) {
                Ok(written) => {
                    state.waiting.advance(written);
                    let waiting = state.waiting.len();
                    state.share.set(waiting);
                    state.progress = Some(Instant::now());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // An empty buffer keeps its memory; ten thousand of them would be missed.
        state.waiting = BytesMut::new();
        state.share.set(0);
        state.progress = None;
        Ok(())
    }
}

impl Sink for Outlet {
    fn offer(&self, frames: &[u8]) -> bool {
        let mut state = self.state();
        let has_room = state.has_room(self.high_water);
        if has_room {
            self.put(&mut state, frames);
        }
        has_room
    }

    fn wake(&self) {
        self.wake.notify_one();
    }
}

/// The two halves as one stream, for tungstenite: it reads the client's frames, and what it
/// writes (pongs, closes) goes through the outlet, where it cannot split a room's frame.
pub struct Stream {
    outlet: std::sync::Arc<Outlet>,
    /// What the client sent before the upgrade was done.
    early: Bytes,
}

impl Stream {
    /// The stream of `outlet`, starting with `early`.
    #[must_use]
    pub fn new(outlet: std::sync::Arc<Outlet>, early: Bytes) -> Self {
        Self { outlet, early }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.early.is_empty() {
            let take = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(take));
            if self.early.is_empty() {
                self.early = Bytes::new();
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.outlet.tcp.poll_read_ready(context))?;
            match self.outlet.tcp.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Taken whole: tungstenite hands over whole frames, and they must stay whole.
        let mut state = self.outlet.state();
        if state.waiting.len() >= self.outlet.hard_limit() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.outlet.put(&mut state, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
