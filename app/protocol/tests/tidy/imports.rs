//! Which module imports which, read from the paths in the source: `crate::…`, `super::…`, `self::…`.

use std::collections::BTreeSet;

use crate::files::read;

/// Pairs of modules, each as its way from its crate's name down.
pub fn graph(sources: &[String]) -> Vec<(Vec<String>, Vec<String>)> {
    let modules: BTreeSet<Vec<String>> = sources.iter().map(|path| module_of(path)).collect();
    let mut pairs = BTreeSet::new();
    for path in
        sources.iter().filter(|path| !path.ends_with("/tests.rs") && !path.contains("/tests/"))
    {
        let from = module_of(path);
        let text = without_tests(&read(path));
        for used in paths(&text) {
            let Some(to) = resolve(&from, &used, &modules) else { continue };
            if to != from && !to.starts_with(&from) && !from.starts_with(&to) {
                pairs.insert((from.clone(), to));
            }
        }
    }
    pairs.into_iter().collect()
}

/// `app/server/src/room/mod.rs` is `server::room`; a crate's root is the crate's `lib` or `main`.
fn module_of(path: &str) -> Vec<String> {
    let (name, inside) = path.trim_start_matches("app/").split_once("/src/").expect("a source");
    let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    std::iter::once(name).chain(inside.split('/')).map(str::to_owned).collect()
}

/// Comments and everything from the tests on are left out.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// All paths that begin at a module, groups in braces spelled out.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for begin in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(begin) {
            let before = text[..at].chars().next_back();
            if before
                .is_none_or(|before| !before.is_alphanumeric() && before != '_' && before != ':')
            {
                read_path(&text[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

/// Reads one path or group; returns how much of the text it took.
fn read_path(text: &str, way: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = way.len();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let word =
            rest.len() - rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').len();
        if word > 0 {
            way.push(rest[..word].to_owned());
            at += word;
        }
        if text[at..].starts_with("::") {
            at += 2;
            if text[at..].starts_with('{') {
                at += read_group(&text[at..], way, found);
                break;
            }
        } else {
            found.push(way.clone());
            break;
        }
    }
    way.truncate(depth);
    at
}

fn read_group(text: &str, way: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let mut at = 1;
    loop {
        let rest = &text[at..];
        at += rest.len() - rest.trim_start_matches([' ', '\n', ',', '*']).len();
        match text[at..].chars().next() {
            None | Some('}') => return at + 1,
            Some(_) => {
                let taken = read_path(&text[at..], way, found);
                // A renaming, such as `Effect as Told`.
                let rest = &text[at + taken..];
                let skipped =
                    rest.len() - rest.trim_start_matches(|c| !matches!(c, ',' | '}')).len();
                at += taken + skipped;
            }
        }
    }
}

/// The module that a path leads to: the longest part of it that is one.
fn resolve(
    from: &[String],
    used: &[String],
    modules: &BTreeSet<Vec<String>>,
) -> Option<Vec<String>> {
    let mut base = from.to_vec();
    let mut rest = used;
    match used.first()?.as_str() {
        "crate" => {
            base.truncate(1);
            rest = &used[1..];
        }
        "self" => rest = &used[1..],
        _ => {
            while rest.first().is_some_and(|word| word == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
    }
    let candidate = |length: usize| [&base[..], &rest[..length]].concat();
    (0..=rest.len()).rev().map(candidate).find(|way| modules.contains(way))
}
