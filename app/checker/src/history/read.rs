//! Reading a history back.

use std::{io::BufRead, path::Path};

use anyhow::Context;
use serde::Deserialize;

use super::{Id, Record, What, file};

/// A line of one of the two kinds that a history has millions of. Serde reads a tagged enum twice, by way of a tree,
/// which takes several times as long as this.
#[derive(Deserialize)]
struct Frequent<'a> {
    at: u64,
    what: &'a str,
    client: Option<String>,
    room: Option<String>,
    member: Option<String>,
    here: Option<bool>,
    id: Option<Id>,
    prev: Option<Id>,
    n: Option<u64>,
    hash: Option<String>,
}

impl Frequent<'_> {
    /// None if it is of another kind, or lacks something.
    fn known(self) -> Option<Record> {
        let Self { at, what, client, room, member, here, id, prev, n, hash } = self;
        let (client, room, member) = (client?, room?, member?);
        let what = match what {
            "message" => {
                let (id, prev, n, hash) = (id?, prev?, n?, hash?);
                What::Message { client, room, id, prev, member, n, hash }
            }
            "presence" => What::Presence { client, room, member, here: here? },
            _ => return None,
        };
        Some(Record { at, what })
    }
}

fn parse(line: &str) -> Result<Record, String> {
    let frequent = ["\"message\"", "\"presence\""].iter().any(|kind| line.contains(kind));
    let known = frequent.then(|| serde_json::from_str::<Frequent<'_>>(line).ok()?.known());
    match known.flatten() {
        Some(record) => Ok(record),
        None => serde_json::from_str(line).map_err(|error| format!("no record: {error}")),
    }
}

/// Reads a history, packed or not, a line at a time. A line that is no record is returned as why it is none.
///
/// # Errors
///
/// If the file cannot be opened. Each item is an error if its line cannot be read; it names the line.
pub fn records(
    path: &Path,
) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Result<Record, String>>>> {
    let file = file::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let lines = file.lines().enumerate();
    Ok(lines.map(|(number, line)| {
        let line = line.with_context(|| format!("{}, line {}", path.display(), number + 1))?;
        Ok(parse(&line))
    }))
}

/// Reads a whole history.
///
/// # Errors
///
/// If the file cannot be read, or a line is no record; names the line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let known = |(number, record): (usize, anyhow::Result<Result<Record, String>>)| {
        record?.map_err(|why| anyhow::anyhow!("{}, line {}: {why}", path.display(), number + 1))
    };
    records(path)?.enumerate().map(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_lines_are_read_as_all_others_are() {
        let (client, room, member) = ("ann".to_owned(), "den".to_owned(), "m\"\\1".to_owned());
        let (id, prev, hash) = (Id { ms: 2, seq: 1 }, Id::default(), "f00".to_owned());
        let message = What::Message {
            client: client.clone(),
            room: room.clone(),
            id,
            prev,
            member: member.clone(),
            n: 7,
            hash,
        };
        let presence = What::Presence { client, room, member, here: false };
        for what in [message, presence, What::Healed] {
            let record = Record { at: 5, what };
            let line = serde_json::to_string(&record).expect("a line");
            assert_eq!(parse(&line), Ok(record.clone()));
            assert_eq!(serde_json::from_str::<Record>(&line).expect("a record"), record);
        }
        assert!(parse("{\"at\":5,\"what\":\"message\",\"client\":\"ann\"}").is_err());
    }
}
