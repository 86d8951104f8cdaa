//! The codes of the API, held against the protocol's document.

use std::{collections::BTreeSet, fs, path::Path};

use axum::http::StatusCode;
use rollcall_protocol::RejectCode;

use super::envelope::{name_of, status_of};

/// The codes that the protocol's document has for a status.
fn documented(status: u16) -> Vec<String> {
    let document = include_str!("../../../../protocol/README.md");
    let (_, table) = document.split_once("| status | code | |").expect("the table of codes");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let cells = |row: &str| row.split('|').map(str::to_owned).collect::<Vec<_>>();
    let has = |row: &&str| cells(row).get(1).is_some_and(|it| it.contains(&status.to_string()));
    let codes = |row: &str| cells(row)[2].split('`').map(str::to_owned).collect::<Vec<_>>();
    table.lines().filter(has).flat_map(codes).collect()
}

/// Whoever writes a client goes by that table; half of the later codes were not in it.
#[test]
fn each_code_is_in_the_protocols_table_with_its_status() {
    use RejectCode::*;
    let of_messages = [
        OutOfOrder,
        NumberTaken,
        BadText,
        RateLimited,
        SlowMode,
        NoMessage,
        ReadOnly,
        Muted,
        Banned,
        Private,
        NotYours,
        Busy,
        Unavailable,
    ];
    for code in of_messages {
        let (status, name) = (status_of(code).as_u16(), name_of(code));
        assert!(documented(status).contains(&name), "{status} {name}");
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let literals = codes_in(&src);
    assert!(literals.len() > 20, "{literals:?}");
    for (status, name) in literals {
        assert!(documented(status).contains(&name), "{status} {name}");
    }
}

/// Each status with a code behind it that the sources in a folder name.
fn codes_in(folder: &Path) -> BTreeSet<(u16, String)> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|it| it.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(codes_in(&entry));
        } else if entry.extension().is_some_and(|it| it == "rs") {
            let text = fs::read_to_string(entry).expect("a source");
            let text = text.replace("Failure::bad(", "StatusCode::BAD_REQUEST,");
            found.extend(text.split("StatusCode::").skip(1).filter_map(code_behind));
        }
    }
    found
}

/// `NOT_FOUND, "no_account", …`
fn code_behind(text: &str) -> Option<(u16, String)> {
    let (status, rest) = text.split_once(',')?;
    let (code, _) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
    let is_code = code.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
    let is_named = |it: &StatusCode| {
        let reason = it.canonical_reason().unwrap_or_default();
        reason.to_uppercase().replace([' ', '-'], "_") == status
    };
    let mut all = (400..600).filter_map(|it| StatusCode::from_u16(it).ok());
    let status = all.find(is_named)?.as_u16();
    is_code.then(|| (status, code.to_owned()))
}
