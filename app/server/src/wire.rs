//! Server frames as bytes of a WebSocket.

use bytes::{BufMut, Bytes, BytesMut};
use rollcall_protocol::{CloseCode, ServerFrame};

use crate::mutants;

/// RFC 6455, section 5.2: a final, unmasked text frame.
const FINAL_TEXT: u8 = 0x81;
const FINAL_CLOSE: u8 = 0x88;

/// A frame's JSON.
#[must_use]
pub fn json(frame: &ServerFrame) -> Vec<u8> {
    let json = serde_json::to_vec(frame);
    let mut json = json.expect("frames have string keys and no failing serializers");
    mutants::say_more(&mut json);
    json
}

/// A whole WebSocket frame, header and JSON, ready to be written to any number of sockets.
#[must_use]
pub fn text_frame(frame: &ServerFrame) -> Bytes {
    let payload = json(frame);
    let mut bytes = BytesMut::with_capacity(payload.len() + 10);
    bytes.put_u8(FINAL_TEXT);
    match payload.len() {
        len @ 0..=125 => bytes.put_u8(len as u8),
        len @ 126..=0xffff => {
            bytes.put_u8(126);
            bytes.put_u16(len as u16);
        }
        len => {
            bytes.put_u8(127);
            bytes.put_u64(len as u64);
        }
    }
    bytes.put_slice(&payload);
    bytes.freeze()
}

/// A close frame, for where tungstenite's state machine can no longer send one.
#[must_use]
pub fn close_frame(code: CloseCode, reason: &str) -> Bytes {
    let mut bytes = BytesMut::with_capacity(reason.len() + 4);
    bytes.put_u8(FINAL_CLOSE);
    // Control frames carry at most 125 bytes; our reasons are short constants.
    bytes.put_u8(2 + reason.len().min(123) as u8);
    bytes.put_u16(code.code());
    bytes.put_slice(&reason.as_bytes()[..reason.len().min(123)]);
    bytes.freeze()
}

/// The JSON inside a [`text_frame`].
#[must_use]
pub fn payload(frame: &Bytes) -> Bytes {
    let header = match frame.get(1) {
        Some(126) => 4,
        Some(127) => 10,
        _ => 2,
    };
    frame.slice(header.min(frame.len())..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_fit_every_length() {
        for length in [0, 90, 100, 126, 1000, 65_000, 65_536, 70_000] {
            let frame = ServerFrame::Error {
                code: rollcall_protocol::ErrorCode::BadFrame,
                detail: "x".repeat(length),
                room: None,
            };
            assert_eq!(payload(&text_frame(&frame)), json(&frame), "{length}");
        }
    }
}
