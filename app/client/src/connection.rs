//! One WebSocket: connects, says `hello`, moves frames. What they mean is the session's matter.

use std::{pin::Pin, time::Duration};

use futures_util::{Sink, Stream, StreamExt};
use rollcall_protocol::{Account, ClientFrame, CloseCode, Limits, ServerFrame};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use crate::{
    error::{Final, Loss},
    tls::Tls,
};

/// How long a closed connection may take to say so in return.
const CLOSE_TIME: Duration = Duration::from_secs(2);
/// What a server that reads nothing may leave unsent here before the connection counts as lost.
const MAX_UNSENT: usize = 1 << 20;

/// The answer to `hello`.
#[derive(Debug, Clone)]
pub struct Welcome {
    /// The person's public ID.
    pub member: String,
    /// The device's public ID, if the server tells it.
    pub sender: Option<String>,
    /// The name that others see, if the server tells it.
    pub name: Option<String>,
    /// The account that the token was of.
    pub account: Option<Account>,
    /// What the server can do beside the protocol's first frames.
    pub features: Vec<String>,
    /// The replica.
    pub replica: String,
    /// Its release.
    pub release: String,
    /// How often to ping.
    pub heartbeat: Duration,
    /// What the server allows.
    pub limits: Limits,
}

impl Welcome {
    /// What a frame says, if it is a `welcome`.
    #[must_use]
    pub fn of(frame: ServerFrame) -> Option<Self> {
        let ServerFrame::Welcome {
            v: _,
            member,
            replica,
            release,
            heartbeat_ms,
            limits,
            name,
            sender,
            account,
            features,
        } = frame
        else {
            return None;
        };
        let heartbeat = Duration::from_millis(heartbeat_ms.max(1));
        Some(Self { member, sender, name, account, features, replica, release, heartbeat, limits })
    }

    /// Whose messages are this device's own: a release before accounts says it with `member`.
    #[must_use]
    pub fn sender(&self) -> &str {
        self.sender.as_deref().unwrap_or(&self.member)
    }

    /// Whether the server can do this.
    #[must_use]
    pub fn has(&self, feature: &str) -> bool {
        self.features.iter().any(|it| it == feature)
    }
}

/// Why no connection came about.
#[derive(Debug)]
pub enum DialError {
    /// Trying again would not help.
    Final(Final),
    /// It may go better next time.
    Retry(Loss),
}

/// An open connection that was welcomed.
pub(crate) struct Connection {
    /// Boxed, because connections move between tasks' states and the stream is large.
    socket: Box<WebSocketStream<MaybeTlsStream<TcpStream>>>,
}

impl Connection {
    /// Connects, sends `hello` and waits for `welcome`, all within `limit`.
    pub async fn dial(
        url: String,
        tls: Option<Tls>,
        hello: ClientFrame,
        limit: Duration,
    ) -> Result<(Self, Welcome), DialError> {
        timeout(limit, Self::connect_and_greet(&url, tls, &hello)).await.unwrap_or_else(|_| {
            Err(DialError::Retry(Loss::Broke(format!("no welcome in {limit:?}"))))
        })
    }

    async fn connect_and_greet(
        url: &str,
        tls: Option<Tls>,
        hello: &ClientFrame,
    ) -> Result<(Self, Welcome), DialError> {
        // Small buffers: many clients of one process are the usual case here.
        let config = WebSocketConfig::default()
            .read_buffer_size(4 << 10)
            .write_buffer_size(4 << 10)
            .max_write_buffer_size(MAX_UNSENT);
        let no_delay = true;
        let connector = tls.map(|tls| tls.connector());
        let connecting = connect_async_tls_with_config(url, Some(config), no_delay, connector);
        let (socket, _) = connecting.await.map_err(dial_error)?;
        let mut connection = Self { socket: Box::new(socket) };
        connection.queue(hello).map_err(DialError::Retry)?;
        let welcome = connection.welcome().await?;
        Ok((connection, welcome))
    }

    async fn welcome(&mut self) -> Result<Welcome, DialError> {
        let mut refusal = None;
        loop {
            match self.next().await {
                Ok(ServerFrame::Error { code, detail, .. }) => refusal = Some((code, detail)),
                Ok(frame) => {
                    if let Some(welcome) = Welcome::of(frame) {
                        return Ok(welcome);
                    }
                }
                Err(loss) => {
                    let end = loss.is_final(refusal);
                    return Err(end.map_or(DialError::Retry(loss), DialError::Final));
                }
            }
        }
    }

    /// Queues a frame; [`Self::next`] writes it. Never waits.
    pub fn queue(&mut self, frame: &ClientFrame) -> Result<(), Loss> {
        let text = serde_json::to_string(frame).map_err(|error| Loss::Broke(error.to_string()))?;
        Pin::new(&mut self.socket).start_send(Message::text(text)).map_err(broke)
    }

    /// Writes what is queued and waits for the next frame. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<ServerFrame, Loss> {
        loop {
            let message = std::future::poll_fn(|context| {
                // Also registers for the time when a full socket takes more.
                if let std::task::Poll::Ready(Err(error)) =
                    Pin::new(&mut self.socket).poll_flush(context)
                {
                    tracing::trace!(%error, "write failed; the read side tells how it ended");
                }
                Pin::new(&mut self.socket).poll_next(context)
            });
            match message.await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text)
                        .map_err(|error| Loss::Protocol(error.to_string()));
                }
                Some(Ok(Message::Close(frame))) => return Err(closed(frame)),
                Some(Ok(Message::Binary(_))) => {
                    return Err(Loss::Protocol("a binary frame".to_owned()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broke(error)),
                None => return Err(Loss::Broke("end of stream".to_owned())),
            }
        }
    }

    /// Closes with 1000, which is no `bye`, and lets the server answer.
    pub async fn close(mut self) {
        let frame = CloseFrame { code: CloseCode::Normal.code().into(), reason: "".into() };
        let farewell = async {
            // Fails only if the connection is gone or closing already, which is as good.
            let _closed = self.socket.close(Some(frame)).await;
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        if timeout(CLOSE_TIME, farewell).await.is_err() {
            tracing::debug!("the server did not answer a close in time");
        }
    }
}

fn closed(frame: Option<CloseFrame>) -> Loss {
    // 1005: a close frame without a code.
    let (code, reason) =
        frame.map_or((1005, String::new()), |frame| (frame.code.into(), frame.reason.to_string()));
    Loss::Closed { code, reason }
}

fn broke(error: Error) -> Loss {
    match error {
        Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_)
            if !matches!(
                error,
                Error::Protocol(
                    tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake
                )
            ) =>
        {
            Loss::Protocol(error.to_string())
        }
        error => Loss::Broke(error.to_string()),
    }
}

fn dial_error(error: Error) -> DialError {
    match error {
        // A foreign origin, or a request that is no upgrade: the same answer would come every time.
        Error::Http(response) if matches!(response.status().as_u16(), 403 | 426) => {
            DialError::Final(Final::Handshake(response.status().as_u16()))
        }
        Error::Url(error) => DialError::Final(Final::BadUrl(error.to_string())),
        error => DialError::Retry(broke(error)),
    }
}
