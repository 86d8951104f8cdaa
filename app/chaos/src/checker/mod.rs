//! Reads a history and names what should not have happened. Pure; shares no code with the server.
