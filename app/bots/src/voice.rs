//! How a bot says something, so that the history knows it again: the task that speaks writes down that it does, and the
//! one that listens for the same client, what became of it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rollcall_checker::history::{Op, Recorder, What};
use rollcall_client::Handle;
use rollcall_witness::hash;

use crate::live::Board;

/// Operations of a whole run, each with a text that no other has.
#[derive(Debug, Clone)]
pub struct Script {
    pub recorder: Recorder,
    pub board: Board,
    operations: Arc<AtomicU64>,
    /// Tells this run's texts from those of another that talks in the same rooms.
    run: u64,
}

impl Script {
    pub fn new(recorder: Recorder) -> Self {
        // One leading 1, so that all marks are equally long at first.
        let run = (1 << 16) | u64::from(rand::random::<u16>());
        Self { recorder, board: Board::default(), operations: Arc::default(), run }
    }

    /// A new operation, and its text: the words, and behind them in white space, which nobody sees, a number of their
    /// own. Then a text can be told from the same words said another time.
    pub fn invoke(&self, client: &str, room: &str, words: &str) -> (Op, String) {
        self.invoke_marked(client, room, |run, op| {
            let mark = format!("{run:b}{op:b}");
            let mark = mark.chars().map(|bit| if bit == '1' { '\t' } else { ' ' });
            words.chars().chain(mark).collect()
        })
    }

    /// The same with a number that people see: the page takes white space away at the end.
    pub fn invoke_in_sight(&self, client: &str, room: &str, words: &str) -> (Op, String) {
        self.invoke_marked(client, room, |run, op| format!("{words} ({run:x}-{op})"))
    }

    fn invoke_marked(
        &self,
        client: &str,
        room: &str,
        marked: impl FnOnce(u64, Op) -> String,
    ) -> (Op, String) {
        let op = self.operations.fetch_add(1, Ordering::Relaxed) + 1;
        let text = marked(self.run, op);
        let (client, room, hash) = (client.to_owned(), room.to_owned(), hash(&text));
        self.board.spoke(&text);
        self.recorder.record(What::Invoke { op, client, room, hash });
        (op, text)
    }
}

/// A client that can speak.
#[derive(Clone)]
pub struct Voice {
    pub handle: Handle,
    pub name: String,
    /// By what others know its words: the name that they see may have "(guest)" behind it.
    pub sender: String,
    pub script: Script,
    pub pending: Pending,
}

impl Voice {
    /// Says something. Its ticket, unless it never left this process.
    pub async fn say(&self, room: &str, words: &str) -> Option<u64> {
        let (op, text) = self.script.invoke(&self.name, room, words);
        if let Ok(ticket) = self.handle.send(room, text).await {
            self.pending.sent(&self.script.recorder, room, ticket, op);
            return Some(ticket);
        }
        self.script.recorder.record(What::Fail { op, code: "not-queued".to_owned() });
        None
    }
}

/// What a client has said and knows no outcome of; and outcomes that came before it knew that it had said it.
#[derive(Debug, Clone, Default)]
pub struct Pending(Arc<Mutex<HashMap<(String, u64), Said>>>);

#[derive(Debug)]
enum Said {
    Pending(Op),
    Settled(Settled),
}

/// What became of a message.
#[derive(Debug, Clone)]
pub enum Settled {
    Ok { id: Option<rollcall_protocol::EntryId>, duplicate: bool },
    Fail(String),
    Unknown,
}

impl Settled {
    fn of(self, op: Op) -> What {
        match self {
            Self::Ok { id, duplicate } => What::Ok { op, id: id.map(Into::into), duplicate },
            Self::Fail(code) => What::Fail { op, code },
            Self::Unknown => {
                What::Info { op, why: "its place in the log could not be seen".to_owned() }
            }
        }
    }
}

impl Pending {
    fn sent(&self, recorder: &Recorder, room: &str, ticket: u64, op: Op) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match said.remove(&(room.to_owned(), ticket)) {
            Some(Said::Settled(settled)) => recorder.record(settled.of(op)),
            _ => drop(said.insert((room.to_owned(), ticket), Said::Pending(op))),
        }
    }

    /// The outcome is known.
    pub fn settle(&self, recorder: &Recorder, room: &str, ticket: u64, settled: Settled) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match said.remove(&(room.to_owned(), ticket)) {
            Some(Said::Pending(op)) => recorder.record(settled.of(op)),
            _ => drop(said.insert((room.to_owned(), ticket), Said::Settled(settled))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_same_words_are_another_text_each_time_and_look_the_same() {
        let recorder = Recorder::create(Path::new("/dev/null")).expect("a sink");
        let script = Script::new(recorder);
        let [(one, first), (two, second)] = [0, 1].map(|_| script.invoke("ann", "den", "Ready?"));
        assert!(one != two && first != second);
        assert_eq!((first.trim_end(), second.trim_end()), ("Ready?", "Ready?"));
    }

    #[test]
    fn an_answer_may_come_before_the_speaker_knows_its_ticket() {
        let file = std::env::temp_dir().join(format!("voice-{}.jsonl", std::process::id()));
        let recorder = Recorder::create(&file).expect("a file");
        let pending = Pending::default();
        let ok = Settled::Ok { id: None, duplicate: false };
        pending.settle(&recorder, "den", 1, ok.clone());
        pending.sent(&recorder, "den", 1, 7);
        pending.sent(&recorder, "den", 2, 8);
        pending.settle(&recorder, "den", 2, ok);
        recorder.flush().expect("written");
        let history = rollcall_checker::history::read(&file).expect("a history");
        let ops: Vec<_> = history.into_iter().map(|record| record.what).collect();
        let ok = |op| What::Ok { op, id: None, duplicate: false };
        assert_eq!(ops, [ok(7), ok(8)]);
        std::fs::remove_file(file).expect("removed");
    }
}
