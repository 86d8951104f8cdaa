//! What may be a `hello`. Pure.

use rollcall_protocol::{ErrorCode, Limits, RoomCursor, VERSION, Why};

use super::name::{check_name, is_client_key};

/// Rooms that a `hello` may name: of those beyond the limit each is told that it is one too many. With more than this the
/// whole `hello` is refused.
pub(super) const MAX_HELLO_ROOMS: usize = 1024;
/// Longest room in JSON: 64 characters, each as two `\u` escapes; and its cursor, and what stands around them.
const ROOM_BYTES: usize = 64 * 12 + 96;
/// Longest rest of a `hello` in JSON: a name of 32 characters, the key, a token, and what stands around them.
const HELLO_BYTES: usize = 1024;

/// A `hello` that waits until it is known whose it is.
#[derive(Debug)]
pub(super) struct Hello {
    pub name: String,
    pub why: Why,
    pub rooms: Vec<RoomCursor>,
    /// The client obeys `goaway`.
    pub moves: bool,
    /// The device's public ID.
    pub device: String,
}

/// Longest `hello`, bytes: one that the limits allow fits, however long the rooms' names are.
#[must_use]
pub fn hello_bytes(limits: &Limits) -> usize {
    limits.frame_bytes.max(HELLO_BYTES + limits.rooms * ROOM_BYTES)
}

/// Checks all of a `hello` but its rooms, each of which is refused by itself.
pub(super) fn check_hello(
    version: u32,
    key: &str,
    name: &str,
    rooms: usize,
) -> Result<(), (ErrorCode, String)> {
    if version != VERSION {
        return Err((ErrorCode::BadVersion, format!("this server speaks version {VERSION}")));
    }
    if !is_client_key(key) {
        let detail = "a client key is 32 lower-case hex digits".to_owned();
        return Err((ErrorCode::BadClient, detail));
    }
    check_name(name).map_err(|detail| (ErrorCode::BadName, detail))?;
    if rooms > MAX_HELLO_ROOMS {
        let detail = format!("a hello names at most {MAX_HELLO_ROOMS} rooms");
        return Err((ErrorCode::TooManyRooms, detail));
    }
    Ok(())
}
