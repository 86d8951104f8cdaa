//! Makes the page one file: all modules of `web/` in one script, in the order in which they need each other, made small,
//! and that and the stylesheet in the document. So a browser has everything with its first request, and never modules of
//! two releases. The modules share one scope then, hence rules for them, which are checked here: imports and exports stand
//! at the beginning of a line, nothing is exported that changes, no two modules need each other, no two have something of
//! one name outside functions, and what is so named is nothing that browsers name. What an audience has besides, in
//! `web/hall/`, is made a script in the same way, which the page asks for where it needs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use oxc_allocator::Allocator;
use oxc_codegen::{Codegen, CodegenOptions};
use oxc_minifier::{CompressOptions, MangleOptions, Minifier, MinifierOptions};
use oxc_parser::Parser;
use oxc_span::SourceType;
use sha2::{Digest, Sha256};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ENTRY: &str = "main.js";
/// What the page asks for where an audience joins: a script of its own, and its style.
const HALL: &str = "hall/main.js";
const SCRIPT: &str = r#"<script type="module" src="/web/main.js"></script>"#;
const STYLE: &str = r#"<link rel="stylesheet" href="/web/style.css">"#;
/// What the page asks for by itself, as it is.
const ALONE: [&str; 5] = ["applause.js", "boot.js", "clock-worker.js", "offline.js", "icon.svg"];

fn main() -> Result<()> {
    println!("cargo:rerun-if-changed=web");
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    let made = PathBuf::from(env::var("OUT_DIR")?).join("web");
    fs::create_dir_all(&made)?;
    for name in ALONE {
        fs::copy(web.join(name), made.join(name))?;
    }
    let script = bundled(&web, ENTRY)?;
    fs::write(made.join("hall.js"), bundled(&web, HALL)?)?;
    fs::write(made.join("hall.css"), style(&fs::read_to_string(web.join("hall/style.css"))?))?;
    let style = style(&fs::read_to_string(web.join("style.css"))?);
    // What lets these two run, and nothing else that might get into the page.
    println!("cargo:rustc-env=WEB_SCRIPT={}", digest(&script));
    println!("cargo:rustc-env=WEB_STYLE={}", digest(&style));
    let page = lines(&fs::read_to_string(web.join("index.html"))?);
    let page = put(&page, SCRIPT, &format!("<script type=\"module\">{script}</script>"))?;
    let page = put(&page, STYLE, &format!("<style>{style}</style>"))?;
    fs::write(made.join("index.html"), page)?;
    Ok(())
}

/// A module and all that it needs, as one script that exports what the module does.
fn bundled(web: &Path, entry: &str) -> Result<String> {
    let mut bundle = Bundle { web: web.to_owned(), ..Bundle::default() };
    let exports = bundle.add(entry)?;
    if !exports.is_empty() {
        bundle.script += &format!("export {{ {} }};\n", exports.join(", "));
    }
    small(&bundle.script)
}

fn digest(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

fn put(page: &str, place: &str, text: &str) -> Result<String> {
    if page.matches(place).count() != 1 {
        return Err(format!("index.html has not one {place}").into());
    }
    if text.matches("</").count() != 1 {
        return Err("a script or style has a tag in it".into());
    }
    Ok(page.replace(place, text))
}

/// Without indentation and empty lines; between two tags there is no end of a line either.
fn lines(text: &str) -> String {
    let kept = text.lines().map(str::trim).filter(|line| !line.is_empty());
    kept.collect::<Vec<_>>().join("\n").replace(">\n<", "><")
}

/// Without comments, with short names, and whatever else makes a script small.
fn small(script: &str) -> Result<String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, script, SourceType::mjs()).parse();
    if let Some(error) = parsed.errors.first() {
        return Err(format!("the script of the page: {error:?}").into());
    }
    let mut program = parsed.program;
    let options = MinifierOptions {
        compress: Some(CompressOptions::smallest()),
        // Of a module nobody else sees what it calls its own.
        mangle: Some(MangleOptions { top_level: true, ..Default::default() }),
    };
    let done = Minifier::new(options).minify(&allocator, &mut program);
    let printer = Codegen::new()
        .with_options(CodegenOptions::minify())
        .with_scoping(done.scoping)
        .with_private_member_mappings(done.class_private_mappings);
    Ok(printer.build(&program).code)
}

/// Without comments and what is only for the eye.
fn style(text: &str) -> String {
    let mut rest = text;
    let mut bare = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    let mut short = bare.split_whitespace().collect::<Vec<_>>().join(" ");
    for sign in ["{", "}", ";", ",", ">"] {
        for loose in [format!(" {sign}"), format!("{sign} ")] {
            short = short.replace(&loose, sign);
        }
    }
    short = short.replace(";}", "}").replace(": ", ":");
    for before in [" ", ":", "(", ",", "-"] {
        short = short.replace(&format!("{before}0."), &format!("{before}."));
    }
    short
}

/// What browsers name, and modules use by that name alone.
const OF_BROWSERS: [&str; 17] = [
    "addEventListener",
    "caches",
    "crypto",
    "document",
    "fetch",
    "getComputedStyle",
    "history",
    "innerWidth",
    "location",
    "matchMedia",
    "name",
    "navigator",
    "performance",
    "requestAnimationFrame",
    "setTimeout",
    "status",
    "window",
];

/// The modules that were put into the script, by their path below `web/`: what each exports, once it is done.
#[derive(Default)]
struct Bundle {
    web: PathBuf,
    modules: BTreeMap<PathBuf, Option<Vec<String>>>,
    namespaces: BTreeSet<String>,
    /// What is declared outside functions.
    names: BTreeSet<String>,
    script: String,
}

impl Bundle {
    /// A module, after those that it needs. What it exports.
    fn add(&mut self, path: impl AsRef<Path>) -> Result<Vec<String>> {
        let path = path.as_ref().to_owned();
        match self.modules.get(&path) {
            Some(Some(exports)) => return Ok(exports.clone()),
            Some(None) => {
                return Err(format!("{} needs itself, by way of others", path.display()).into());
            }
            None => {}
        }
        self.modules.insert(path.clone(), None);
        let source = fs::read_to_string(self.web.join(&path))?;
        let (mut code, mut exports) = (String::new(), Vec::new());
        let mut rest = &*source;
        while !rest.is_empty() {
            let line;
            (line, rest) = statement(rest);
            if let Some(import) = line.strip_prefix("import ") {
                code += &self.import(import, &path)?;
            } else if let Some(export) = line.strip_prefix("export ") {
                code += exported(export, &mut exports)?;
            } else {
                code += line;
            }
            if let Some(name) = declared(line) {
                let is_exported = line.starts_with("export ");
                if OF_BROWSERS.contains(&name) && !is_exported {
                    return Err(format!("{}: browsers have a {name}", path.display()).into());
                }
                if !self.names.insert(name.to_owned()) {
                    return Err(format!("{}: another module has a {name}", path.display()).into());
                }
            }
        }
        self.script += &code;
        self.modules.insert(path, Some(exports.clone()));
        Ok(exports)
    }

    /// `{ a, b } from "./x.js";` or `* as x from "./x.js";`. Names are the same everywhere, so only the second needs a word.
    fn import(&mut self, import: &str, from: &Path) -> Result<String> {
        let wrong = || format!("{}: an import of another kind: {import}", from.display());
        let (names, place) = import.split_once(" from \"").ok_or_else(wrong)?;
        let place = place.trim_end().strip_suffix("\";").ok_or_else(wrong)?;
        let exports = self.add(beside(from, place))?;
        if let Some(name) = names.strip_prefix("* as ") {
            let is_new = self.namespaces.insert(name.to_owned());
            return Ok(if is_new {
                format!("const {name}={{{}}};\n", exports.join(","))
            } else {
                String::new()
            });
        }
        let mut named = names.trim_matches(['{', '}', ' ', '\n']).split(',').map(str::trim);
        if !named.all(|name| name.is_empty() || exports.iter().any(|export| export == name)) {
            return Err(wrong().into());
        }
        Ok(String::new())
    }
}

/// A path as a module names it: `./x.js` or `../x.js`, from where that module is.
fn beside(from: &Path, place: &str) -> PathBuf {
    let mut path = from.parent().map(Path::to_owned).unwrap_or_default();
    for part in place.split('/') {
        match part {
            "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

/// What a line declares, if it does so outside functions.
fn declared(line: &str) -> Option<&str> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let (word, rest) = line.split_once(' ')?;
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "_$".contains(letter);
    let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
    ["const", "let", "class", "function"].contains(&word).then_some(&rest[..end])
}

/// The first line, and all of it if it is an import of several lines; and what follows.
fn statement(source: &str) -> (&str, &str) {
    let end = if source.starts_with("import ") { ";\n" } else { "\n" };
    source.find(end).map_or((source, ""), |at| source.split_at(at + end.len()))
}

/// Notes what is exported, and gives the rest.
fn exported<'a>(export: &'a str, exports: &mut Vec<String>) -> Result<&'a str> {
    if export.starts_with("{}") {
        return Ok("");
    }
    let mut words = export.split([' ', '(']);
    let name = match (words.next(), words.next(), words.next()) {
        (Some("class" | "const" | "function"), Some(name), _)
        | (Some("async"), Some("function"), Some(name)) => name,
        _ => return Err(format!("an export of another kind: {export}").into()),
    };
    exports.push(name.to_owned());
    Ok(export)
}
