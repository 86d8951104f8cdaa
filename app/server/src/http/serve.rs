//! Accepts clients, and never more of them than there are descriptors for.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use tracing::{debug, warn};

/// A connection that says nothing for so long, at its beginning or between two requests, is closed. Longer than HAProxy
/// keeps an idle one.
const IDLE: Duration = Duration::from_secs(60);
/// Connections that are being told that there is no place for them; more are closed without a word.
const REFUSALS: usize = 8;
/// Most bytes of a request's line and headers; beyond that hyper answers 431.
const HEAD_BYTES: usize = 64 * 1024;
/// Time for one of them to read that.
const REFUSAL_TIME: Duration = Duration::from_millis(500);
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncache-control: no-store\r\n\
    content-type: application/json\r\ncontent-length: 61\r\n\r\n\
    {\"error\":{\"code\":\"unavailable\",\"detail\":\"not here, not now\"}}";
/// After an accept that failed for want of something.
const PAUSE: Duration = Duration::from_millis(50);

/// A descriptor that a client's socket has, until the last clone is dropped.
#[derive(Clone)]
pub struct Place {
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Serves at most `sockets` connections at a time until `stop`, and then until the requests under way are answered.
pub async fn serve(listener: TcpListener, router: Router, sockets: usize, stop: CancellationToken) {
    let (places, refusals) =
        (Arc::new(Semaphore::new(sockets)), Arc::new(Semaphore::new(REFUSALS)));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, peer)) => match places.clone().try_acquire_owned() {
                Ok(permit) => {
                    let place = Place { _permit: Arc::new(permit) };
                    let connection =
                        connection(tcp, peer, place, router.clone(), graceful.watcher());
                    tokio::spawn(connection);
                }
                Err(_) => refuse(tcp, &refusals),
            },
            Err(error) if is_the_peers(&error) => {
                debug!(%error, "a connection ended before it began")
            }
            Err(error) => {
                warn!(%error, "cannot accept connections");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    graceful.shutdown().await;
}

/// Serves the requests of one connection.
async fn connection(
    tcp: TcpStream,
    peer: SocketAddr,
    place: Place,
    router: Router,
    watcher: Watcher,
) {
    // Frames are small and must not wait for each other. A socket that refuses is about to fail.
    let _ = tcp.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(place.clone());
        router.clone().call(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(IDLE).max_buf_size(HEAD_BYTES);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(tcp), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "a connection ended early");
    }
}

/// Says that there is no place, as far as there is one for saying so.
fn refuse(mut tcp: TcpStream, refusals: &Arc<Semaphore>) {
    let Ok(permit) = refusals.clone().try_acquire_owned() else { return };
    tokio::spawn(async move {
        let _ = tokio::time::timeout(REFUSAL_TIME, async {
            // Closed with something unread, a socket takes back what it wrote last.
            let mut asked = [0; 4096];
            let _ = tcp.read(&mut asked).await?;
            tcp.write_all(REFUSAL).await?;
            tcp.shutdown().await?;
            while tcp.read(&mut asked).await? > 0 {}
            io::Result::Ok(())
        })
        .await;
        drop(permit);
    });
}

/// Whether it was this one connection that failed.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
