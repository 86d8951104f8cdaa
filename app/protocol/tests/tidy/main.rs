//! What holds for all files of this repository, whatever they are about. Prints the graph of modules.

mod files;
mod imports;

use std::collections::{BTreeMap, BTreeSet};

use files::{read, tracked};

/// Longest function, in lines.
const FUNCTION: usize = 60;
/// Longest line of prose, in characters.
const PROSE: usize = 120;

/// The server's modules above its leaves, in the order in which they may import: each only what comes after it.
const ORDER: [&str; 14] = [
    "lib",
    "http",
    "app",
    "delivery",
    "directory",
    "session",
    "room",
    "moderation",
    "memberships",
    "people",
    "accounts",
    "error",
    "presence",
    "log",
];

/// The same of the stage's: what is shown knows nothing of how it is served, and sources nothing of each other or the picture.
const STAGE_ORDER: [&str; 11] = [
    "main",
    "http",
    "acts",
    "hub",
    "replay",
    "options",
    "picture",
    "chain",
    "sources",
    "recording",
    "told",
];

type Edges = BTreeMap<String, BTreeSet<String>>;

fn sources() -> Vec<String> {
    let is_source =
        |path: &String| path.starts_with("app/") && path.contains("/src/") && path.ends_with(".rs");
    tracked().into_iter().filter(is_source).collect()
}

/// At each level of the tree of modules, which sibling imports which: everything below a sibling counts as its own.
fn siblings(graph: &[(Vec<String>, Vec<String>)]) -> BTreeMap<Vec<String>, Edges> {
    let mut levels: BTreeMap<Vec<String>, Edges> = BTreeMap::new();
    for (from, to) in graph {
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
            let edges = levels.entry(from[..shared].to_vec()).or_default();
            edges.entry(a.clone()).or_default().insert(b.clone());
        }
    }
    levels
}

/// A way that leads back to where it begins, if there is one.
fn cycle(edges: &Edges) -> Option<Vec<String>> {
    fn walk(edges: &Edges, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let here = way[way.len() - 1].clone();
        if let Some(begin) = way[..way.len() - 1].iter().position(|it| *it == here) {
            way.drain(..begin);
            return true;
        }
        for next in edges.get(&here).into_iter().flatten() {
            if !done.contains(next) {
                way.push(next.clone());
                if walk(edges, way, done) {
                    return true;
                }
                way.pop();
            }
        }
        done.insert(here);
        false
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| {
        let mut way = vec![start.clone()];
        walk(edges, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_two_modules_import_each_other() {
    let graph = imports::graph(&sources());
    assert!(graph.len() > 100, "the imports were not found");
    let mut cycles = Vec::new();
    for (level, edges) in siblings(&graph) {
        let level = level.join("::");
        for (from, to) in &edges {
            println!("{level}: {from} → {}", Vec::from_iter(to.iter().cloned()).join(", "));
        }
        cycles.extend(cycle(&edges).map(|way| format!("{level}: {}", way.join(" → "))));
    }
    assert!(cycles.is_empty(), "{cycles:#?}");
}

#[test]
fn the_servers_modules_import_one_way() {
    assert_one_way("server", &ORDER);
}

#[test]
fn the_stages_modules_import_one_way() {
    assert_one_way("stage", &STAGE_ORDER);
    let siblings = siblings(&imports::graph(&sources()));
    let sources = siblings.get(&vec!["stage".to_owned(), "sources".to_owned()]);
    assert_eq!(sources, None, "sources know nothing of each other");
}

fn assert_one_way(name: &str, order: &[&str]) {
    let graph = imports::graph(&sources());
    let levels = siblings(&graph);
    let edges = &levels[&vec![name.to_owned()]];
    let rank = |module: &str| order.iter().position(|it| *it == module).unwrap_or(order.len());
    let mut wrong = Vec::new();
    for (from, to) in edges {
        wrong.extend(
            to.iter().filter(|to| rank(from) > rank(to)).map(|to| format!("{from} → {to}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:?}, against {order:?} and then the leaves");
}

#[test]
fn a_cycle_is_found() {
    let edges = |pairs: &[(&str, &str)]| {
        let mut edges = Edges::new();
        for (from, to) in pairs {
            edges.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        edges
    };
    assert_eq!(cycle(&edges(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(cycle(&edges(&[("a", "b"), ("b", "c"), ("c", "b")])).expect("one"), ["b", "c", "b"]);
}

#[test]
fn functions_fit_a_screen() {
    let mut long = Vec::new();
    for path in tracked().iter().filter(|path| path.ends_with(".rs")) {
        let text = read(path);
        let mut open: Option<(usize, usize, &str)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let begins = line.trim_start().trim_start_matches("pub").trim_start_matches("(crate)");
            let begins = begins.trim_start_matches("(super)").trim_start();
            let begins = begins.trim_start_matches("const ").trim_start_matches("async ");
            match open {
                None if begins.starts_with("fn ")
                    && !line.ends_with(';')
                    && !line.ends_with("{}") =>
                {
                    open = Some((number, indent, line));
                }
                Some((start, at, name)) if indent == at && line.trim_start().starts_with('}') => {
                    let lines = number - start + 1;
                    if lines > FUNCTION {
                        long.push(format!("{path}:{}: {lines} lines: {}", start + 1, name.trim()));
                    }
                    open = None;
                }
                _ => {}
            }
        }
    }
    assert!(long.is_empty(), "over {FUNCTION} lines:\n{}", long.join("\n"));
}

/// Sentences that a reader from elsewhere reads twice: a relative clause for a subject, and the like.
const HARD_TO_READ: &[&str] =
    &["so long may", "so many may", "so much may", "moves a client", "who has not moved"];
/// Verbs after which a leading "Who" or "Whoever" has no noun to refer to.
const VERBS: &[&str] = &[
    "is", "has", "was", "are", "does", "did", "comes", "goes", "leaves", "takes", "cannot", "can",
    "must", "may", "said", "says", "never", "only", "once",
];

fn is_hard_to_read(line: &str) -> bool {
    let lower = line.to_lowercase();
    let prose = lower.trim_start_matches([' ', '/', '!', '#', '-', '*', '>', '|', '.']);
    let mut words = prose.split_whitespace();
    let subject = words.next().is_some_and(|word| ["who", "whoever"].contains(&word));
    let is_question = lower.trim_end().ends_with('?') || line.contains("? ");
    let verb = words.next().is_some_and(|word| VERBS.contains(&word));
    // "Who is in the room." names a thing and is no sentence.
    let names_a_thing = !prose.contains(',')
        && prose.split(['.', ':']).next().unwrap_or_default().split(' ').count() <= 8;
    (subject
        && verb
        && !is_question
        && !names_a_thing
        && line.trim_start_matches([' ', '/', '!', '#', '-', '*']).starts_with('W'))
        || HARD_TO_READ.iter().any(|phrase| lower.contains(phrase))
}

#[test]
fn prose_is_read_once() {
    assert!(is_hard_to_read("// Who has not moved by then is closed."));
    assert!(is_hard_to_read("one move a client, so long may it take: 1 moves a client"));
    assert!(!is_hard_to_read("/// Who is in a room?"));
    assert!(!is_hard_to_read("/// Clients that have not moved by then are closed."));
    let mut found = Vec::new();
    for path in tracked().iter().filter(|path| files::is_prose(path)) {
        for (number, line) in
            read(path).lines().enumerate().filter(|(_, line)| is_hard_to_read(line))
        {
            found.push(format!("{path}:{}: {}", number + 1, line.trim()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn lines_of_documents_are_bounded() {
    let mut long = Vec::new();
    for path in tracked().iter().filter(|path| path.ends_with(".md")) {
        for (number, line) in read(path).lines().enumerate() {
            // Tables and links cannot be broken.
            let is_prose = !line.starts_with('|') && !line.contains("](");
            if is_prose && line.chars().count() > PROSE {
                long.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(long.is_empty(), "over {PROSE} characters: {long:?}");
}
