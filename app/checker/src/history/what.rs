//! What happened: the kinds of lines that a history has.

use serde::{Deserialize, Serialize};

use super::{
    Id,
    figures::{Changed, Resources, Turn},
    words::{Entered, Gone, Loss, Op, Phase},
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    // --- the run ---
    /// First line.
    Run {
        /// Seed of workload and nemesis.
        seed: u64,
        /// What the server was told to do wrong; absent in every run but those of `--mutants`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mutant: Option<String>,
    },
    /// Those that take part. A participant that then hands in nothing is missed.
    Cast {
        /// So many clients at least.
        clients: u64,
        /// There is a probe that makes requests.
        probe: bool,
        /// Others may talk in the rooms too: what they say is theirs, and only the chain of it is judged.
        strangers: bool,
    },
    /// A phase begins, and ends the one before. Everybody who belongs to it is live.
    PhaseBegan {
        /// Which bounds hold.
        phase: Phase,
        /// Planned rolls within it: nobody moves more often.
        rolls: u32,
        /// Whether the roll tells its turns: then each replica that serves has one.
        turns: bool,
    },
    /// What was done in the phase is done. Its bounds hold until the next phase, or the end.
    PhaseEnded {
        /// Exit status of the command that did it; 128 + signal if it was killed.
        exit: i32,
    },
    /// A replica's turn in a roll, as the roll itself tells it.
    Turn(Turn),
    /// All faults are healed and nobody says anything new. From here on everything must converge.
    Healed,
    /// Of a room's members no more than this are named, the client itself among them.
    Listed {
        /// How many.
        members: usize,
    },
    /// Something that was to be watched was not: nothing is proven about it.
    Incomplete {
        /// What, and why.
        why: String,
    },
    /// Last line of a complete history.
    End,
    // --- what the clients do ---
    /// A client exists and means to be in these rooms.
    Began {
        /// Its name.
        client: String,
        /// What kind of client it is.
        role: String,
        /// Its rooms.
        rooms: Vec<String>,
    },
    /// It enters one more room.
    Join {
        /// Who.
        client: String,
        /// Which.
        room: String,
    },
    /// It leaves a room, and needs to be told nothing more of it.
    Leave {
        /// Who.
        client: String,
        /// Which.
        room: String,
    },
    /// It is no more. Operations without an outcome are `info` from here on.
    Gone {
        /// Who.
        client: String,
        /// How.
        how: Gone,
    },
    /// A message is handed to the client library.
    Invoke {
        /// The operation.
        op: Op,
        /// Who.
        client: String,
        /// Where.
        room: String,
        /// Of the text, which no other operation has.
        hash: String,
    },
    /// The operation edits or removes a message. It is an entry of the log like any other, but no line of its own on a page.
    Change {
        /// The operation.
        op: Op,
    },
    /// Acknowledged.
    Ok {
        /// The operation.
        op: Op,
        /// Its entry, if the server still knew.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Id>,
        /// An earlier try had put it there.
        #[serde(default)]
        duplicate: bool,
    },
    /// Rejected for good.
    Fail {
        /// The operation.
        op: Op,
        /// Why.
        code: String,
    },
    /// Outcome unknown.
    Info {
        /// The operation.
        op: Op,
        /// Why nobody knows.
        why: String,
    },
    // --- what the clients see ---
    /// A connection was welcomed.
    Connected {
        /// Who.
        client: String,
        /// Its public ID.
        member: String,
        /// The replica.
        replica: String,
        /// Its release.
        release: String,
        /// `fresh`, `resume` or `move`.
        why: String,
    },
    /// A room was entered on a connection.
    Joined {
        /// Who.
        client: String,
        /// Which.
        room: String,
        /// How.
        how: Entered,
        /// The predecessor that the next message must name.
        cursor: Id,
        /// Members who are said to be here.
        present: Vec<String>,
    },
    /// Caught up in a room, on a connection.
    Live {
        /// Who.
        client: String,
        /// Which.
        room: String,
    },
    /// The next message of a room, as handed to the user.
    Message {
        /// Who got it.
        client: String,
        /// Where.
        room: String,
        /// Its entry.
        id: Id,
        /// The entry before it.
        prev: Id,
        /// Its sender.
        member: String,
        /// Its number.
        n: u64,
        /// Of its text; or [`UNSAID`](super::UNSAID), or one that begins with [`EDITED`](super::EDITED).
        hash: String,
    },
    /// Told that messages cannot be had.
    Gap {
        /// The client that was told.
        client: String,
        /// Where.
        room: String,
        /// The cursor that could not be continued.
        after: Id,
        /// The cursor now.
        resumes_at: Id,
        /// `trimmed` or `rewound`.
        reason: String,
    },
    /// The service delivered a message that does not follow the cursor; the client refused it.
    Broken {
        /// Who.
        client: String,
        /// Where.
        room: String,
        /// The message.
        id: Id,
        /// The predecessor that was due.
        expected: Id,
        /// The one it named.
        got: Id,
    },
    /// One connection brought a message that does not come after what it had told before.
    Repeated {
        /// Who.
        client: String,
        /// Where.
        room: String,
        /// The message.
        id: Id,
        /// What the connection had told before.
        after: Id,
    },
    /// A message as it stands on the page, below the one that was recorded before it.
    Shown {
        /// Whose page.
        client: String,
        /// Where.
        room: String,
        /// Its entry.
        id: Id,
        /// Of its text.
        hash: String,
    },
    /// A message that the page has shown has another text there now.
    Changed(Changed),
    /// The page says, at this place of a room, that messages are missing.
    Noted {
        /// Whose page.
        client: String,
        /// Where.
        room: String,
    },
    /// The page says that it is without service; or, with no words, that it is served again.
    Banner {
        /// Whose page.
        client: String,
        /// What it says.
        words: String,
    },
    /// The history of a room is read by HTTP, from here on.
    Reading {
        /// By whom.
        client: String,
        /// Where.
        room: String,
    },
    /// A message of the reading that began last, the oldest first.
    Read {
        /// By whom.
        client: String,
        /// Where.
        room: String,
        /// Its entry.
        id: Id,
        /// The entry before it.
        prev: Id,
        /// The sender.
        member: String,
        /// Its number.
        n: u64,
        /// Of its text.
        hash: String,
    },
    /// Somebody was said to come (`here`) or go.
    Presence {
        /// The client that was told.
        client: String,
        /// Where.
        room: String,
        /// Of whom.
        member: String,
        /// Whether they are here.
        here: bool,
    },
    /// The members of a room, anew.
    Members {
        /// The client that was told.
        client: String,
        /// Where.
        room: String,
        /// Everybody.
        present: Vec<String>,
    },
    /// A connection was lost.
    Lost {
        /// Who.
        client: String,
        /// The replica.
        replica: String,
        /// How.
        how: String,
        /// No close frame came.
        abrupt: bool,
    },
    /// Live again in every room after none was.
    Silence {
        /// Who.
        client: String,
        /// For how long, milliseconds.
        ms: u64,
    },
    /// A client was told that this member has this name, for the first time in the run.
    Named {
        /// The client that was told first.
        client: String,
        /// Of whom.
        member: String,
        /// The name.
        name: String,
    },
    /// The probe made a request.
    Asked {
        /// It was answered as it should be.
        ok: bool,
        /// In so many microseconds.
        took: u64,
        /// What was wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
        /// It had a message, which goes again until it is taken.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        send: bool,
    },
    // --- what the nemesis does ---
    /// A fault begins.
    Fault {
        /// Number of the step in the plan.
        step: u32,
        /// Its name.
        fault: String,
        /// What it hits.
        target: String,
    },
    /// A fault is over: undone by the nemesis, or done.
    Undone {
        /// Number of the step in the plan.
        step: u32,
        /// Its name.
        fault: String,
    },
    /// A figure that a fault measured, and that must not be above its limit.
    Measured {
        /// What it is, with its unit.
        figure: String,
        /// Of which client, room or container.
        of: String,
        /// How much.
        value: u64,
        /// The most that it may be.
        limit: u64,
    },
    /// Data will be destroyed, so first the room logs are read: the entries up to `destroying` are what they had. What is said
    /// meanwhile may be among them or not.
    Snapshot,
    /// Data will really be lost from here on; until `destroyed` says it is over, or later, any room may have a gap.
    Destroying {
        /// How.
        loss: Loss,
    },
    /// The loss is over.
    Destroyed,
    // --- what lies there when all is over ---
    /// An entry of a room log, in the log's order: at the end of the run, or of a snapshot.
    Entry {
        /// The room.
        room: String,
        /// Its ID.
        id: Id,
        /// The entry before it.
        prev: Id,
        /// Its sender.
        member: String,
        /// Its number.
        n: u64,
        /// Of its text.
        hash: String,
    },
    /// The members of a room as a newcomer was told them, after convergence was due.
    Observed {
        /// The room.
        room: String,
        /// By which replica.
        replica: String,
        /// Everybody but the newcomer.
        present: Vec<String>,
    },
    /// What a process of the stack takes.
    Resources(Resources),
}
