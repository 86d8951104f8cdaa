//! How the probe asks: on connections that are kept, or each time on a new one.

use std::{fmt::Display, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::handshake,
    header::{CONNECTION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use reqwest::Client;
use rollcall_client::Tls;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// An answer that takes longer is a failure.
const TIME_LIMIT: Duration = Duration::from_secs(2);

/// The header that has an operator's key.
const API_KEY: &str = "x-api-key";

/// An answer, whole.
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// Asks. Errors are in words.
#[derive(Clone)]
pub enum Asker {
    Kept(Client),
    /// Over TLS if it is to believe somebody.
    Anew(Option<TlsConnector>),
}

impl Asker {
    /// On connections that are kept alive.
    pub fn kept() -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(TIME_LIMIT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(8)
            .build()
            .context("cannot set up the HTTP probe")?;
        Ok(Self::Kept(client))
    }

    /// On a new connection for each request, by TLS if `url` says so; then the certificate is looked at each time.
    pub fn anew(url: &str, tls: Option<&Tls>) -> anyhow::Result<Self> {
        let is_https = Url::parse(url)?.scheme() == "https";
        ensure!(!is_https || tls.is_some(), "the probe of {url} has nobody to believe: --ca");
        let tls = tls.filter(|_| is_https);
        Ok(Self::Anew(tls.map(|tls| TlsConnector::from(Arc::new(tls.config())))))
    }

    /// Gets `url`, or posts there what is not none.
    pub async fn ask(&self, url: &Url, posted: Option<&Value>) -> Result<Answer, String> {
        self.put(Question { url, posted, key: None }).await
    }

    /// Posts to `url` as the operator whose key it is.
    pub async fn ask_with_key(
        &self,
        url: &Url,
        posted: &Value,
        key: &str,
    ) -> Result<Answer, String> {
        self.put(Question { url, posted: Some(posted), key: Some(key) }).await
    }

    async fn put(&self, question: Question<'_>) -> Result<Answer, String> {
        match self {
            Self::Kept(client) => kept(client, question).await.map_err(|error| causes(&error)),
            Self::Anew(tls) => match timeout(TIME_LIMIT, anew(tls.as_ref(), question)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer in {TIME_LIMIT:?}")),
            },
        }
    }
}

/// What is asked.
#[derive(Clone, Copy)]
struct Question<'a> {
    url: &'a Url,
    posted: Option<&'a Value>,
    /// An operator's, for what only they may ask.
    key: Option<&'a str>,
}

async fn kept(client: &Client, question: Question<'_>) -> reqwest::Result<Answer> {
    let Question { url, posted, key } = question;
    let request = match posted {
        Some(body) => client.post(url.clone()).json(body),
        None => client.get(url.clone()),
    };
    let request = match key {
        Some(key) => request.header(API_KEY, key),
        None => request,
    };
    let answer = request.send().await?;
    // The body counts: an answer cut short is no answer.
    Ok(Answer { status: answer.status(), body: answer.bytes().await? })
}

async fn anew(tls: Option<&TlsConnector>, question: Question<'_>) -> Result<Answer, String> {
    let url = question.url;
    let host = url.host_str().ok_or("an address without a host")?;
    let port = url.port_or_known_default().ok_or("an address without a port")?;
    let request = request(question, &format!("{host}:{port}"))?;
    let stream = TcpStream::connect((host, port)).await.map_err(at("connect"))?;
    stream.set_nodelay(true).map_err(at("connect"))?;
    match tls {
        Some(tls) => {
            let name = ServerName::try_from(host.to_owned()).map_err(at("TLS"))?;
            exchange(tls.connect(name, stream).await.map_err(at("TLS"))?, request).await
        }
        None => exchange(stream, request).await,
    }
}

fn request(question: Question<'_>, host: &str) -> Result<Request<Full<Bytes>>, String> {
    let Question { url, posted, key } = question;
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = Request::builder().uri(path).header(HOST, host).header(CONNECTION, "close");
    let request = match posted {
        Some(_) => request.method(Method::POST).header(CONTENT_TYPE, "application/json"),
        None => request,
    };
    let request = match key {
        Some(key) => request.header(API_KEY, key),
        None => request,
    };
    let body = posted.map(Value::to_string).unwrap_or_default();
    request.body(Full::new(Bytes::from(body))).map_err(at("request"))
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(at("connect"))?;
    // How the connection ended is told by the answer, or by its absence.
    let _driven = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request).await.map_err(|error| causes(&error))?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| causes(&error))?;
    Ok(Answer { status, body: body.to_bytes() })
}

fn at<E: Display>(step: &str) -> impl FnOnce(E) -> String + '_ {
    move |error| format!("{step}: {error}")
}

/// The libraries' own words do not name the cause.
fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn each_request_has_a_connection_of_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}/a?b=1", listener.local_addr().expect("an address"));
        let serve = async {
            let mut asked = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut text = vec![0; 4096];
                let read = stream.read(&mut text).await.expect("a request");
                asked.push(String::from_utf8_lossy(&text[..read]).into_owned());
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                stream.write_all(answer.as_bytes()).await.expect("an answer");
            }
            asked
        };
        let ask = async {
            let (asker, url) =
                (Asker::anew(&base, None).expect("plain"), base.parse().expect("a URL"));
            let got = asker.ask(&url, None).await.expect("an answer");
            let posted = asker.ask(&url, Some(&json!({ "n": 1 }))).await.expect("an answer");
            assert_eq!(
                (got.status, &*got.body, posted.status.as_u16()),
                (StatusCode::OK, &b"ok"[..], 200)
            );
        };
        let (asked, ()) = tokio::join!(serve, ask);
        assert!(asked[0].starts_with("GET /a?b=1 HTTP/1.1\r\n"), "{}", asked[0]);
        assert!(
            asked[1].starts_with("POST /a?b=1 ") && asked[1].ends_with("{\"n\":1}"),
            "{}",
            asked[1]
        );
    }

    #[test]
    fn over_tls_nobody_is_believed_by_default() {
        assert!(Asker::anew("https://127.0.0.1:1", None).is_err());
    }
}
