//! The way out of one connection, shared by its own task and the rooms.
//!
//! A room writes to the socket itself, with the bytes that all its listeners share. What the
//! socket does not take at once waits here, up to [`HIGH_WATER`], for the connection's task.

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

/// Rooms add nothing once this many bytes wait; the connection then falls back to catch-up.
pub const HIGH_WATER: usize = 64 * 1024;
/// Replies to the client's own frames may go this far beyond, and then the connection ends.
const HARD_LIMIT: usize = 4 * HIGH_WATER;

/// A connection's socket and what waits to be written.
pub struct Outlet {
    tcp: TcpStream,
    /// A std mutex: held for a `try_write` at most, never over an await.
    state: Mutex<State>,
    /// The connection's task should look: bytes wait, or a listener fell behind.
    pub wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: BytesMut,
    /// When the socket last took something, while bytes wait.
    progress: Option<Instant>,
    closed: bool,
}

impl Outlet {
    /// An outlet into `tcp`.
    #[must_use]
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, state: Mutex::default(), wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Writes or queues whole frames. False, and nothing taken, if too much waits already.
    pub fn offer(&self, frames: &[u8]) -> bool {
        let mut state = self.state();
        if state.closed || state.waiting.len() >= HIGH_WATER {
            return false;
        }
        self.put(&mut state, frames);
        true
    }

    /// Whether [`Self::offer`] would take something now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let state = self.state();
        !state.closed && state.waiting.len() < HIGH_WATER
    }

    /// As [`Self::offer`], for what must not be skipped; beyond the hard limit the outlet closes.
    pub fn put_reply(&self, frame: &[u8]) {
        let mut state = self.state();
        if state.waiting.len() >= HARD_LIMIT {
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
                    state.progress = Some(Instant::now());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // An empty buffer keeps its memory; ten thousand of them would be missed.
        state.waiting = BytesMut::new();
        state.progress = None;
        Ok(())
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
        if state.waiting.len() >= HARD_LIMIT {
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
