//! Small histories, told by hand: what is not said otherwise goes well.

use std::collections::BTreeMap;

use crate::{
    Report, check,
    history::{Entered, Gone, Id, Loss, Op, Phase, Record, Turn, UNSAID, What},
};

pub const DEN: &str = "den";

/// An entry of the one room's log: the operation, its sender and number.
#[derive(Debug, Clone)]
pub struct Line {
    pub id: Id,
    pub prev: Id,
    pub who: String,
    pub n: u64,
    pub op: Op,
}

/// A history in the making: `ann` and `bob` are in the room `den` from its first message on.
pub struct Tale {
    pub records: Vec<Record>,
    /// Microseconds until the next record, beside the usual one millisecond.
    idle: u64,
    pub log: Vec<Line>,
    /// What `den` gave out last.
    pub last: Id,
    /// Senders' numbers.
    pub sent: BTreeMap<String, u64>,
    /// Those that are to be seen in the room at the end.
    pub here: Vec<String>,
    senders: BTreeMap<Op, String>,
}

pub fn id(ms: u64) -> Id {
    Id { ms, seq: 0 }
}

pub fn member(who: &str) -> String {
    format!("m-{who}")
}

/// Operation 0 is nobody's: a word of the room itself.
pub fn hash(op: Op) -> String {
    if op == 0 { UNSAID.to_owned() } else { format!("h{op}") }
}

impl Tale {
    pub fn new() -> Self {
        let mut tale = Self {
            records: Vec::new(),
            idle: 0,
            log: Vec::new(),
            last: id(0),
            sent: BTreeMap::new(),
            here: Vec::new(),
            senders: BTreeMap::new(),
        };
        tale.tell(What::Run { seed: 1, mutant: None });
        tale.enter("ann");
        tale.enter("bob");
        tale
    }

    /// Something happened, a millisecond after what happened before.
    pub fn tell(&mut self, what: What) -> &mut Self {
        let at = self.records.last().map_or(0, |record| record.at + 1000);
        let at = at + std::mem::take(&mut self.idle);
        self.records.push(Record { at, what });
        self
    }

    /// Nothing happens for so many milliseconds.
    pub fn wait(&mut self, ms: u64) -> &mut Self {
        self.idle += 1000 * ms;
        self
    }

    /// Comes into the room at its head.
    pub fn enter(&mut self, who: &str) -> &mut Self {
        self.enter_as(who, "talker")
    }

    pub fn enter_as(&mut self, who: &str, role: &str) -> &mut Self {
        let (client, rooms) = (who.to_owned(), vec![DEN.to_owned()]);
        self.tell(What::Began { client, role: role.to_owned(), rooms });
        self.here.push(who.to_owned());
        let head = self.last;
        self.connect(who, "fresh").joined(who, head)
    }

    pub fn connect(&mut self, who: &str, why: &str) -> &mut Self {
        let (client, replica, release) = (who.to_owned(), "r1".to_owned(), "1".to_owned());
        self.tell(What::Connected {
            client,
            member: member(who),
            replica,
            release,
            why: why.into(),
        })
    }

    /// Is welcomed by this replica, of this release.
    pub fn welcomed(&mut self, who: &str, why: &str, [replica, release]: [&str; 2]) -> &mut Self {
        let (client, member, why) = (who.to_owned(), member(who), why.to_owned());
        let (replica, release) = (replica.to_owned(), release.to_owned());
        self.tell(What::Connected { client, member, replica, release, why })
    }

    pub fn lost(&mut self, who: &str, replica: &str, abrupt: bool) -> &mut Self {
        let how = if abrupt { "broke" } else { "closed by the server: 1012" }.to_owned();
        let (client, replica) = (who.to_owned(), replica.to_owned());
        self.tell(What::Lost { client, replica, how, abrupt })
    }

    pub fn silence(&mut self, who: &str, ms: u64) -> &mut Self {
        self.tell(What::Silence { client: who.to_owned(), ms })
    }

    /// Somebody was said to come or go.
    pub fn presence(&mut self, to: &str, of: &str, here: bool) -> &mut Self {
        let (client, room, member) = (to.to_owned(), DEN.to_owned(), member(of));
        self.tell(What::Presence { client, room, member, here })
    }

    pub fn phase(&mut self, phase: Phase, rolls: u32, turns: bool) -> &mut Self {
        self.tell(What::PhaseBegan { phase, rolls, turns })
    }

    pub fn done(&mut self, exit: i32) -> &mut Self {
        self.tell(What::PhaseEnded { exit })
    }

    pub fn turn(&mut self, replica: &str, to: &str, seconds: f64, forced: u64) -> &mut Self {
        let (replica, to, from) = (replica.to_owned(), to.to_owned(), None);
        self.tell(What::Turn(Turn { replica, from, to, seconds, ansible_seconds: 1.0, forced }))
    }

    pub fn fault(&mut self, name: &str, begins: bool) -> &mut Self {
        let (fault, target) = (name.to_owned(), "r1".to_owned());
        self.tell(match begins {
            true => What::Fault { step: 1, fault, target },
            false => What::Undone { step: 1, fault },
        })
    }

    pub fn joined(&mut self, who: &str, cursor: Id) -> &mut Self {
        self.joined_as(who, cursor, Entered::Resumed)
    }

    pub fn joined_as(&mut self, who: &str, cursor: Id, how: Entered) -> &mut Self {
        let (client, room) = (who.to_owned(), DEN.to_owned());
        let present = self.here.iter().map(|who| member(who)).collect();
        self.tell(What::Joined { client: client.clone(), room, how, cursor, present });
        for other in self.here.clone() {
            let (room, member) = (DEN.to_owned(), member(who));
            self.tell(What::Presence { client: other, room, member, here: true });
        }
        self
    }

    pub fn leave(&mut self, who: &str) -> &mut Self {
        let (client, room) = (who.to_owned(), DEN.to_owned());
        self.tell(What::Leave { client, room });
        self.told_gone(who)
    }

    pub fn gone(&mut self, who: &str, how: Gone) -> &mut Self {
        self.tell(What::Gone { client: who.to_owned(), how });
        self.told_gone(who)
    }

    fn told_gone(&mut self, who: &str) -> &mut Self {
        self.here.retain(|other| other != who);
        for client in self.here.clone() {
            let (room, member) = (DEN.to_owned(), member(who));
            self.tell(What::Presence { client, room, member, here: false });
        }
        self
    }

    pub fn invoke(&mut self, who: &str, op: Op) -> &mut Self {
        self.senders.insert(op, who.to_owned());
        let (client, room) = (who.to_owned(), DEN.to_owned());
        self.tell(What::Invoke { op, client, room, hash: hash(op) })
    }

    /// The log takes an operation, as the entry with ten times its number in its ID.
    pub fn append(&mut self, op: Op) -> &mut Self {
        self.append_as(op, id(10 * op))
    }

    pub fn append_as(&mut self, op: Op, id: Id) -> &mut Self {
        let who = self.senders.get(&op).cloned().unwrap_or_else(|| "nobody".to_owned());
        let n = self.sent.entry(who.clone()).or_default();
        *n += 1;
        self.log.push(Line { id, prev: self.last, who, n: *n, op });
        self.last = id;
        self
    }

    pub fn ok(&mut self, op: Op) -> &mut Self {
        let id = self.log.iter().rev().find(|line| line.op == op).map(|line| line.id);
        self.tell(What::Ok { op, id, duplicate: false })
    }

    pub fn fail(&mut self, op: Op) -> &mut Self {
        self.tell(What::Fail { op, code: "BadText".to_owned() })
    }

    pub fn info(&mut self, op: Op) -> &mut Self {
        self.tell(What::Info { op, why: "no answer".to_owned() })
    }

    /// The same of an edit or a removal.
    pub fn invoke_change(&mut self, who: &str, op: Op) -> &mut Self {
        self.invoke(who, op).tell(What::Change { op })
    }

    /// A client is given the log's line with this operation.
    pub fn hear(&mut self, who: &str, op: Op) -> &mut Self {
        let line = self.log.iter().rfind(|line| line.op == op).cloned();
        self.hear_line(who, &line.expect("an entry of that operation"))
    }

    pub fn hear_line(&mut self, client: &str, line: &Line) -> &mut Self {
        let Line { id, prev, ref who, n, op } = *line;
        let (client, room) = (client.to_owned(), DEN.to_owned());
        let (member, hash) = (member(who), hash(op));
        self.tell(What::Message { client, room, id, prev, member, n, hash })
    }

    pub fn both_hear(&mut self, op: Op) -> &mut Self {
        self.hear("ann", op).hear("bob", op)
    }

    /// Said, taken, acknowledged and heard by both.
    pub fn say(&mut self, who: &str, op: Op) -> &mut Self {
        self.invoke(who, op).append(op).ok(op).both_hear(op)
    }

    pub fn gap(&mut self, who: &str, after: u64, resumes_at: u64) -> &mut Self {
        let reason = if resumes_at < after { "rewound" } else { "trimmed" }.to_owned();
        let (client, room) = (who.to_owned(), DEN.to_owned());
        self.tell(What::Gap { client, room, after: id(after), resumes_at: id(resumes_at), reason })
    }

    pub fn broken(&mut self, who: &str, it: u64, expected: u64, got: u64) -> &mut Self {
        let (client, room) = (who.to_owned(), DEN.to_owned());
        let (expected, got) = (id(expected), id(got));
        self.tell(What::Broken { client, room, id: id(it), expected, got })
    }

    /// The log is read before something is destroyed.
    pub fn snapshot(&mut self) -> &mut Self {
        self.tell(What::Snapshot).tell_log()
    }

    fn tell_log(&mut self) -> &mut Self {
        for Line { id, prev, who, n, op } in self.log.clone() {
            let (room, member, hash) = (DEN.to_owned(), member(&who), hash(op));
            self.tell(What::Entry { room, id, prev, member, n, hash });
        }
        self
    }

    /// Destroys what `spoil` takes from the log.
    pub fn destroy(&mut self, loss: Loss, spoil: impl FnOnce(&mut Self)) -> &mut Self {
        self.tell(What::Destroying { loss });
        spoil(self);
        self.tell(What::Destroyed)
    }

    pub fn flush(&mut self) -> &mut Self {
        self.destroy(Loss::Flushed, |tale| {
            tale.log.clear();
            tale.sent.clear();
            tale.last = id(0);
        })
    }

    /// Only the first `kept` lines survive, and the numbers go back as far.
    pub fn rewind(&mut self, kept: usize) -> &mut Self {
        self.destroy(Loss::Rewound, |tale| {
            tale.log.truncate(kept);
            tale.last = tale.log.last().map_or(id(0), |line| line.id);
            tale.sent = tale.log.iter().map(|line| (line.who.clone(), line.n)).collect();
        })
    }

    /// The first `gone` lines are lost.
    pub fn trim(&mut self, gone: usize) -> &mut Self {
        self.destroy(Loss::Trimmed, |tale| {
            tale.log.drain(..gone);
        })
    }

    pub fn heal(&mut self) -> &mut Self {
        self.tell(What::Healed)
    }

    pub fn observe(&mut self, here: &[&str]) -> &mut Self {
        let present = here.iter().map(|who| member(who)).collect();
        self.tell(What::Observed { room: DEN.to_owned(), replica: "r1".to_owned(), present })
    }

    /// The log as it lies there, and the end.
    pub fn end(&mut self) -> &mut Self {
        self.tell_log().tell(What::End)
    }

    /// Heals and ends, and is checked.
    pub fn judge(&mut self) -> Report {
        let here = self.here.clone();
        let here: Vec<_> = here.iter().map(String::as_str).collect();
        self.heal().observe(&here).end();
        check(&self.records)
    }

    /// The anomalies found in the whole tale, by name.
    pub fn verdict(&mut self) -> Vec<&'static str> {
        names(&self.judge())
    }
}

pub fn names(report: &Report) -> Vec<&'static str> {
    report.anomalies.keys().map(|anomaly| anomaly.name()).collect()
}
