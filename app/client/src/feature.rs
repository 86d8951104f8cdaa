//! What a server can do beside talking, as [`crate::Event::Connected`] lists it. A program offers what it finds there, and
//! nothing that it does not: during a rolling update the next connection may be to an older release.

/// People can have accounts, and come with a token.
pub const ACCOUNTS: &str = "accounts";
/// Messages can be edited and removed.
pub const EDIT: &str = "edit";
/// Rooms have a state, and there is a list of them.
pub const ROOMS: &str = "rooms";
/// The server keeps up to where a person has read.
pub const READ: &str = "read";
/// Rooms can be moderated.
pub const MODERATION: &str = "moderation";
