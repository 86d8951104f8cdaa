//! The WebSocket handshake.
//!
//! Done here rather than by axum's extractor, because the rooms write to the TCP stream itself,
//! and axum keeps that to itself.

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use hyper::upgrade::Upgraded;
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade::downcast};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tracing::debug;

use super::{
    Admission, admit,
    api::{auth, envelope::Failure},
    client_address, origin,
    serve::Place,
    ws,
};
use crate::app::App;

/// `GET /api/v1/ws`
pub async fn websocket(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let Some(accept) = accept_key(&request) else {
        let upgrade = HeaderValue::from_static("websocket");
        let detail = "this is for a WebSocket, version 13";
        return Failure::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", detail)
            .header(header::UPGRADE, upgrade)
            .header(header::CONNECTION, HeaderValue::from_static("upgrade"))
            .into_response();
    };
    if !origin::is_allowed(&app.config, request.headers()) {
        let detail = "this origin may not connect";
        return Failure::new(StatusCode::FORBIDDEN, "foreign_origin", detail).into_response();
    }
    let admission = match admit(&app, peer, request.headers()) {
        Ok(admission) => admission,
        Err(refused) => return refused.into_response(),
    };
    let address = client_address(&app, peer, request.headers());
    let token = auth::token(&app.config, request.headers());
    let place = request.extensions().get::<Place>().cloned();
    let upgrade = hyper::upgrade::on(&mut request);
    let tasks = app.tasks.clone();
    tasks.spawn(async move {
        let Admission { guard, held } = admission;
        match upgrade.await.map(downcast::<TokioIo<TcpStream>>) {
            Ok(Ok(parts)) => {
                let tcp = parts.io.into_inner();
                let opening = ws::Opening { address, token, early: parts.read_buf };
                ws::serve(app, guard, tcp, opening).await;
            }
            Ok(Err(Upgraded { .. })) => debug!("an upgraded connection was not plain TCP"),
            Err(error) => debug!(%error, "upgrade failed"),
        }
        drop((held, place));
    });
    switching_protocols(&accept)
}

/// The answer to the client's `Sec-WebSocket-Key`, if it asks for a WebSocket, version 13.
fn accept_key(request: &Request) -> Option<String> {
    let headers = request.headers();
    let has = |name: HeaderName, token: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|t| t.trim().eq_ignore_ascii_case(token))
    };
    let asks = request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket")
        && has(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks)?;
    Some(derive_accept_key(key.as_bytes()))
}

fn switching_protocols(accept: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(accept) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}
