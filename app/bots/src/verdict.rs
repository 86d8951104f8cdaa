//! The verdict: what every client received, against the room logs. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rollcall_protocol::EntryId;

/// Faults described in words; more are only counted.
const MAX_DETAILS: usize = 12;

/// One entry of a room log, as read from Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    pub prev: EntryId,
    pub member: String,
    pub n: u64,
}

/// The logs of all rooms, each in its own order.
pub type Logs = BTreeMap<String, Vec<Entry>>;

/// What one client received in one room, in the order in which it came.
#[derive(Debug, Clone)]
pub struct Heard {
    pub who: String,
    pub room: String,
    /// The first cursor: everything after it was due …
    pub from: EntryId,
    /// … up to this entry.
    pub until: EntryId,
    pub received: Vec<EntryId>,
}

/// What one member said in one room.
#[derive(Debug, Clone, Default)]
pub struct Said {
    pub member: String,
    pub room: String,
    /// Acknowledged: `n`, and the entry if it was named.
    pub acked: Vec<(u64, Option<EntryId>)>,
    /// Outcome unknown: in the log once or never.
    pub unknown: u64,
}

/// Every way in which a promise can be broken, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Due and not received, or acknowledged and not in the log.
    pub lost: u64,
    /// Received twice, or in the log twice.
    pub duplicated: u64,
    /// Received after a newer one, or in the log after the same sender's later message.
    pub reordered: u64,
    /// Received but not in the log, or in the log although nobody's send succeeded.
    pub phantoms: u64,
    /// Places where a log does not name its own predecessor, or no longer reaches back to a
    /// client's first cursor, so that nothing can be proven.
    pub unproven: u64,
    /// The first faults, in words.
    pub details: Vec<String>,
}

impl Verdict {
    fn note(&mut self, detail: impl FnOnce() -> String) {
        if self.details.len() < MAX_DETAILS {
            self.details.push(detail());
        }
    }
}

/// Judges a run.
pub fn judge(logs: &Logs, heard: &[Heard], said: &[Said]) -> Verdict {
    let mut verdict = Verdict::default();
    let ours: HashSet<&str> = said.iter().map(|said| said.member.as_str()).collect();
    for (room, log) in logs {
        // What was written before anybody of ours listened is not this run's matter, nor is how
        // strangers number their messages.
        let since = heard.iter().filter(|client| client.room == *room).map(|client| client.from);
        let begin = since.min().map_or(0, |from| log.partition_point(|entry| entry.id < from));
        judge_chain(&mut verdict, room, &log[begin..]);
        judge_senders(&mut verdict, room, log.iter().filter(|it| ours.contains(&*it.member)));
    }
    let nothing = Vec::new();
    for client in heard {
        let log = logs.get(&client.room).unwrap_or(&nothing);
        judge_heard(&mut verdict, log, client);
    }
    judge_said(&mut verdict, logs, said);
    verdict
}

/// A log must be one chain.
fn judge_chain(verdict: &mut Verdict, room: &str, log: &[Entry]) {
    for pair in log.windows(2) {
        if pair[1].prev != pair[0].id || pair[1].id <= pair[0].id {
            verdict.unproven += 1;
            verdict.note(|| format!("{room}: entry {} does not follow {}", pair[1].id, pair[0].id));
        }
    }
}

/// Each sender's numbers must rise by one.
fn judge_senders<'a>(verdict: &mut Verdict, room: &str, log: impl Iterator<Item = &'a Entry>) {
    let mut last: HashMap<&str, u64> = HashMap::new();
    for entry in log {
        if let Some(before) = last.insert(&entry.member, entry.n) {
            let who = || format!("{room}: {} said {} after {before}", entry.member, entry.n);
            match entry.n {
                n if n == before => verdict.duplicated += 1,
                n if n < before => verdict.reordered += 1,
                n if n > before + 1 => verdict.lost += n - before - 1,
                _ => continue,
            }
            verdict.note(who);
        }
    }
}

fn judge_heard(verdict: &mut Verdict, log: &[Entry], client: &Heard) {
    let Heard { who, room, from, until, received } = client;
    let due = log.iter().filter(|entry| entry.id > *from && entry.id <= *until);
    if due.clone().next().is_some_and(|first| first.prev != *from) {
        verdict.unproven += 1;
        verdict.note(|| format!("{who} in {room}: the log no longer reaches back to {from}"));
    }
    let logged: HashSet<EntryId> = log.iter().map(|entry| entry.id).collect();
    let mut seen = HashSet::with_capacity(received.len());
    let mut newest = *from;
    for id in received {
        if !seen.insert(*id) {
            verdict.duplicated += 1;
            verdict.note(|| format!("{who} in {room}: {id} came twice"));
        } else if *id < newest {
            verdict.reordered += 1;
            verdict.note(|| format!("{who} in {room}: {id} came after {newest}"));
        }
        if !logged.contains(id) {
            verdict.phantoms += 1;
            verdict.note(|| format!("{who} in {room}: {id} is in no log"));
        }
        newest = newest.max(*id);
    }
    for entry in due.filter(|entry| !seen.contains(&entry.id)) {
        verdict.lost += 1;
        verdict.note(|| format!("{who} in {room}: {} never came", entry.id));
    }
}

/// What was acknowledged is in the log once, under the ID that was named; and a member's log
/// holds nothing that was not acknowledged or at least unknown.
fn judge_said(verdict: &mut Verdict, logs: &Logs, said: &[Said]) {
    let mut index: HashMap<(&str, &str, u64), Vec<EntryId>> = HashMap::new();
    let mut count: HashMap<(&str, &str), u64> = HashMap::new();
    let ours: BTreeSet<&str> = said.iter().map(|said| said.member.as_str()).collect();
    for (room, log) in logs {
        for entry in log.iter().filter(|entry| ours.contains(entry.member.as_str())) {
            index.entry((room, &entry.member, entry.n)).or_default().push(entry.id);
            *count.entry((room, &entry.member)).or_default() += 1;
        }
    }
    for Said { member, room, acked, unknown } in said {
        for (n, id) in acked {
            let entries = index.get(&(room, member, *n)).map_or(&[][..], Vec::as_slice);
            if entries.is_empty() || id.is_some_and(|id| !entries.contains(&id)) {
                verdict.lost += 1;
                verdict.note(|| {
                    format!(
                        "{room}: message {n} of {member} was acknowledged and is not in the log"
                    )
                });
            }
        }
        let logged = count.remove(&(room.as_str(), member.as_str())).unwrap_or(0);
        let allowed = acked.len() as u64 + unknown;
        if logged > allowed {
            verdict.phantoms += logged - allowed;
            verdict.note(|| {
                format!("{room}: {member} has {logged} entries and was told of {allowed}")
            });
        }
    }
    for ((room, member), logged) in count {
        verdict.phantoms += logged;
        verdict.note(|| format!("{room}: {member} has {logged} entries and said nothing there"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> EntryId {
        EntryId::new(n, 0)
    }

    /// A room where one member said 1, 2, 3 … and one client heard everything.
    fn sound(length: u64) -> (Logs, Vec<Heard>, Vec<Said>) {
        let entry = |n| Entry { id: id(n), prev: id(n - 1), member: "m".to_owned(), n };
        let room = "roof".to_owned();
        let logs = Logs::from([(room.clone(), (1..=length).map(entry).collect())]);
        let received = (1..=length).map(id).collect();
        let who = "Teal".to_owned();
        let heard = Heard { who, room: room.clone(), from: id(0), until: id(length), received };
        let acked = (1..=length).map(|n| (n, Some(id(n)))).collect();
        let said = Said { member: "m".to_owned(), room, acked, unknown: 0 };
        (logs, vec![heard], vec![said])
    }

    fn log(logs: &mut Logs) -> &mut Vec<Entry> {
        logs.get_mut("roof").expect("the room")
    }

    #[test]
    fn a_sound_history_passes() {
        let (logs, heard, said) = sound(5);
        assert_eq!(judge(&logs, &heard, &said), Verdict::default());
    }

    #[test]
    fn a_message_that_never_came_is_lost() {
        for hole in 0..5 {
            let (logs, mut heard, said) = sound(5);
            heard[0].received.remove(hole);
            let verdict = judge(&logs, &heard, &said);
            assert_eq!((verdict.lost, verdict.reordered), (1, 0), "without number {hole}");
        }
    }

    #[test]
    fn a_message_that_came_twice_is_duplicated() {
        let (logs, mut heard, said) = sound(5);
        heard[0].received.push(id(3));
        assert_eq!(judge(&logs, &heard, &said).duplicated, 1);
    }

    #[test]
    fn swapped_messages_are_reordered() {
        let (logs, mut heard, said) = sound(5);
        heard[0].received.swap(1, 2);
        let verdict = judge(&logs, &heard, &said);
        assert_eq!((verdict.lost, verdict.duplicated, verdict.reordered), (0, 0, 1));
    }

    #[test]
    fn an_acknowledged_message_that_the_log_lacks_is_lost() {
        let (logs, heard, mut said) = sound(5);
        said[0].acked.push((6, Some(id(6))));
        assert_eq!(judge(&logs, &heard, &said).lost, 1);
    }

    #[test]
    fn an_ack_that_names_another_entry_is_caught() {
        let (logs, heard, mut said) = sound(5);
        said[0].acked[2].1 = Some(id(4));
        assert_eq!(judge(&logs, &heard, &said).lost, 1);
    }

    #[test]
    fn a_message_twice_in_the_log_is_duplicated() {
        let (mut logs, mut heard, said) = sound(5);
        log(&mut logs).push(Entry { id: id(6), prev: id(5), member: "m".to_owned(), n: 5 });
        heard[0].until = id(6);
        heard[0].received.push(id(6));
        let verdict = judge(&logs, &heard, &said);
        assert_eq!((verdict.duplicated, verdict.phantoms), (1, 1));
    }

    #[test]
    fn a_senders_numbers_out_of_order_in_the_log_are_caught() {
        let (mut logs, heard, said) = sound(5);
        log(&mut logs)[1].n = 3;
        log(&mut logs)[2].n = 2;
        assert!(judge(&logs, &heard, &said).reordered > 0);
    }

    #[test]
    fn what_came_and_is_in_no_log_is_a_phantom() {
        let (logs, mut heard, said) = sound(5);
        heard[0].received.push(id(9));
        assert_eq!(judge(&logs, &heard, &said).phantoms, 1);
    }

    #[test]
    fn a_failed_send_that_appears_is_a_phantom_and_an_unknown_one_may_appear() {
        let (logs, heard, mut said) = sound(5);
        said[0].acked.pop();
        assert_eq!(judge(&logs, &heard, &said).phantoms, 1);
        said[0].unknown = 1;
        assert_eq!(judge(&logs, &heard, &said), Verdict::default());
        said.clear();
        said.push(Said { member: "m".to_owned(), room: "van".to_owned(), ..Said::default() });
        assert_eq!(judge(&logs, &heard, &said).phantoms, 5);
    }

    #[test]
    fn old_wounds_and_strangers_are_not_this_runs_matter() {
        let (mut logs, mut heard, mut said) = sound(5);
        heard[0].from = id(3);
        heard[0].received.drain(..3);
        log(&mut logs).remove(0);
        said[0].acked.remove(0);
        log(&mut logs)[3].member = "stranger".to_owned();
        log(&mut logs)[3].n = 77;
        said[0].acked.pop();
        assert_eq!(judge(&logs, &heard, &said), Verdict::default());
    }

    #[test]
    fn a_log_that_was_cut_or_forked_proves_nothing() {
        let (mut logs, heard, said) = sound(5);
        log(&mut logs).remove(0);
        assert!(judge(&logs, &heard, &said).unproven > 0);
        let (mut logs, heard, said) = sound(5);
        log(&mut logs)[3].prev = id(1);
        assert!(judge(&logs, &heard, &said).unproven > 0);
    }
}
