//! Accounts for the cast: an operator's key lets bots in, whose names are theirs then.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, bail};
use rollcall_client::Tls;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;
use url::Url;

use crate::asker::{Answer, Asker};

/// A stack that was deployed a moment ago may have no replica for the first request.
const TRIES: u32 = 5;
const AGAIN: Duration = Duration::from_millis(500);

/// Asks a stack for bots' tokens.
pub struct Accounts {
    asker: Asker,
    bots: Url,
    /// The operator's key. A secret.
    key: String,
}

#[derive(Deserialize)]
struct Made {
    data: Bot,
}

#[derive(Deserialize)]
struct Bot {
    token: String,
}

impl Accounts {
    /// At the stack that `url` names, with the key that is in this file.
    pub fn new(url: &str, tls: Option<&Tls>, file: &Path) -> anyhow::Result<Self> {
        let key = fs::read_to_string(file)
            .with_context(|| format!("cannot read the API key in {}", file.display()))?;
        let key = key.trim().to_owned();
        if key.is_empty() || key.contains(char::is_whitespace) {
            bail!("{} has no API key", file.display());
        }
        let bots = format!("{}/api/v1/bots", url.trim_end_matches('/')).parse()?;
        Ok(Self { asker: Asker::anew(url, tls)?, bots, key })
    }

    /// A new token for the bot of this name, which is made if there is none.
    pub async fn token(&self, name: &str) -> anyhow::Result<String> {
        let body = json!({ "name": name });
        let mut tries = 1;
        loop {
            let why = match self.asker.ask_with_key(&self.bots, &body, &self.key).await {
                Ok(Answer { status, body }) if status.is_success() => {
                    let made: Made = serde_json::from_slice(&body)
                        .with_context(|| format!("what came back for the bot {name}"))?;
                    return Ok(made.data.token);
                }
                Ok(Answer { status, body }) => {
                    let why = format!("{status}: {}", String::from_utf8_lossy(&body));
                    if !status.is_server_error() && status.as_u16() != 429 {
                        bail!("the bot {name} was not let in: {why}");
                    }
                    why
                }
                Err(why) => why,
            };
            if tries == TRIES {
                bail!("no token for the bot {name} at {}: {why}", self.bots);
            }
            tries += 1;
            sleep(AGAIN).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    fn key_file(name: &str, text: &str) -> PathBuf {
        let file = std::env::temp_dir().join(format!("rollcall-{name}-{}", std::process::id()));
        fs::write(&file, text).expect("a file");
        file
    }

    /// Answers one request after another, each as said; what was asked.
    async fn server(
        answers: &'static [(u16, &'static str)],
    ) -> (String, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let asked = tokio::spawn(async move {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut request = vec![0; 4096];
                let mut length = 0;
                while !String::from_utf8_lossy(&request[..length]).ends_with('}') {
                    length += stream.read(&mut request[length..]).await.expect("a request");
                }
                asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.expect("an open connection");
            }
            asked
        });
        (url, asked)
    }

    #[tokio::test]
    async fn a_token_is_asked_for_with_the_key_until_there_is_one() {
        let (url, asked) =
            server(&[(503, "{}"), (201, r#"{"data":{"token":"t0ken","name":"Teal"}}"#)]).await;
        let file = key_file("good-key", "s3cret\n");
        let accounts = Accounts::new(&url, None, &file).expect("a key");
        assert_eq!(accounts.token("Teal").await.expect("a token"), "t0ken");
        for request in asked.await.expect("two requests") {
            assert!(request.starts_with("POST /api/v1/bots HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("\r\nx-api-key: s3cret\r\n"), "{request}");
            assert!(request.ends_with(r#"{"name":"Teal"}"#), "{request}");
        }
        fs::remove_file(file).expect("removed");
    }

    #[tokio::test]
    async fn a_wrong_key_is_told_at_once_and_without_the_key() {
        let body = r#"{"error":{"code":"unauthorized","detail":"wrong key"}}"#;
        let (url, asked) =
            server(&[(401, r#"{"error":{"code":"unauthorized","detail":"wrong key"}}"#)]).await;
        let file = key_file("wrong-key", "s3cret");
        let accounts = Accounts::new(&url, None, &file).expect("a key");
        let error = accounts.token("Teal").await.expect_err("refused").to_string();
        assert!(error.contains(body) && !error.contains("s3cret"), "{error}");
        assert_eq!(asked.await.expect("one request").len(), 1);
        fs::remove_file(file).expect("removed");
    }

    #[test]
    fn a_file_without_a_key_is_refused() {
        for text in ["", "\n", "two words"] {
            let file = key_file("no-key", text);
            assert!(Accounts::new("http://127.0.0.1:1", None, &file).is_err(), "{text:?}");
            fs::remove_file(file).expect("removed");
        }
    }
}
