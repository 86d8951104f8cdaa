//! A small forwarding proxy that makes a link slow: this kernel has no netem.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::task::AbortOnDropHandle;

/// Pieces that may be under way on a delayed link. Bounded: a link that is full takes no more.
const UNDER_WAY: usize = 256;
const PIECE: usize = 4 << 10;

/// A listener that forwards what it gets to one address.
#[derive(Debug)]
pub struct Forwarder {
    listener: TcpListener,
    to: SocketAddr,
    delay: Duration,
    bytes_a_second: Option<u32>,
}

/// A forwarder at work; it and its connections end when this is dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    frozen: watch::Sender<bool>,
    accepted: Arc<AtomicU64>,
    _task: AbortOnDropHandle<()>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that have come so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    /// Nothing passes any more, not even the end of a connection: to each side the other has
    /// vanished without a FIN.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }
}

impl Forwarder {
    /// Listens on an address of this machine.
    ///
    /// # Errors
    ///
    /// If it cannot.
    pub async fn bind(at: &str, to: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        Ok(Self { listener, to, delay: Duration::ZERO, bytes_a_second: None })
    }

    /// Everything arrives this much later, each way.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// No more than so much passes, each way.
    #[must_use]
    pub fn thin(self, bytes_a_second: u32) -> Self {
        Self { bytes_a_second: Some(bytes_a_second), ..self }
    }

    /// Begins.
    ///
    /// # Panics
    ///
    /// Never: a bound listener has an address.
    #[must_use]
    pub fn run(self) -> Running {
        let address = self.listener.local_addr().expect("a bound listener has an address");
        let (frozen, watched) = watch::channel(false);
        let accepted = Arc::default();
        let accept = self.accept(watched, Arc::clone(&accepted));
        Running { address, frozen, accepted, _task: AbortOnDropHandle::new(tokio::spawn(accept)) }
    }

    async fn accept(self, frozen: watch::Receiver<bool>, accepted: Arc<AtomicU64>) {
        let mut links = tokio::task::JoinSet::new();
        while let Ok((near, _)) = self.listener.accept().await {
            accepted.fetch_add(1, Relaxed);
            let (to, delay, rate) = (self.to, self.delay, self.bytes_a_second);
            let frozen = frozen.clone();
            links.spawn(async move {
                let Ok(far) = TcpStream::connect(to).await else { return };
                let _ = (near.set_nodelay(true), far.set_nodelay(true));
                let ((near_in, near_out), (far_in, far_out)) =
                    (near.into_split(), far.into_split());
                tokio::select! {
                    () = carry(near_in, far_out, delay, rate, frozen.clone()) => {}
                    () = carry(far_in, near_out, delay, rate, frozen) => {}
                }
            });
        }
    }
}

/// One direction of a link, until either end is gone.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    bytes_a_second: Option<u32>,
    mut frozen: watch::Receiver<bool>,
) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let read = async move {
        let mut piece = vec![0; PIECE];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + delay;
            if sender.send((due, piece[..length].to_vec())).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = receiver.recv().await {
            sleep_until(due).await;
            if let Some(rate) = bytes_a_second {
                sleep(Duration::from_secs_f64(piece.len() as f64 / f64::from(rate))).await;
            }
            if to.write_all(&piece).await.is_err() {
                break;
            }
        }
    };
    let mut both = std::pin::pin!(async { tokio::join!(read, write) });
    let is_frozen = tokio::select! {
        biased;
        frozen = frozen.wait_for(|frozen| *frozen) => frozen.is_ok(),
        _ = &mut both => false,
    };
    if is_frozen {
        // Keeps both ends open, untouched, until the forwarder ends.
        std::future::pending().await
    }
}
