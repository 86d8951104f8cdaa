//! Says once more whatever others say in a room: `cargo run -p rollcall-client --example echo -- URL ROOM`

use rollcall_client::{Client, Config, Event};

/// Echoes until the client ends.
pub async fn echo(url: &str, room: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (handle, mut events) = Client::start(Config::new(url, "Echo", &[room]));
    let mut me = String::new();
    while let Some(event) = events.next().await {
        match event {
            Event::Connected { sender, .. } => me = sender,
            Event::Message { message: it, .. } if it.sender() != me => {
                handle.send(&it.room, format!("{} said: {}", it.name, it.text)).await?;
            }
            Event::Ended(result) => result?,
            _ => {}
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut words = std::env::args().skip(1);
    let url = words.next().unwrap_or_else(|| "http://127.0.0.1:8080".to_owned());
    echo(&url, &words.next().unwrap_or_else(|| "lobby".to_owned())).await
}
