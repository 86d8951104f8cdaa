// @ts-check
// Makes a folder that can be published: the modules that are shared with the page are copied into it.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const WEB = join(HERE, "../../server/web");
const TOP = join(HERE, "../../..");
/** Imports, and types that comments name. */
const NAMED = /(?:from |import\()"(\.[^"]+\.js)"/gu;

/** @param {string} file @param {Set<string>} found all that it needs, directly or not */
function follow(file, found) {
  if (found.has(file)) return;
  found.add(file);
  const source = readFileSync(file, "utf8");
  for (const [, path] of source.matchAll(NAMED)) follow(join(dirname(file), path), found);
}

/** That of the server and of the client in Rust. */
function version() {
  const [, told] = /^version = "(.+)"$/mu.exec(readFileSync(join(TOP, "Cargo.toml"), "utf8")) ?? [];
  if (!told) throw new Error("Cargo.toml names no version");
  return told;
}

/** @param {string} to a folder that is made anew */
function pack(to) {
  const isOurs = existsSync(join(to, "package.json")) && existsSync(join(to, "shared"));
  if (existsSync(to) && readdirSync(to).length > 0 && !isOurs) throw new Error(`${to} has something else in it`);
  /** @type {Set<string>} */
  const needed = new Set();
  follow(join(HERE, "index.js"), needed);
  needed.delete(join(HERE, "index.js"));
  rmSync(to, { recursive: true, force: true });
  for (const file of needed) {
    const copy = join(to, "shared", relative(WEB, file));
    mkdirSync(dirname(copy), { recursive: true });
    cpSync(file, copy);
  }
  const index = readFileSync(join(HERE, "index.js"), "utf8").replaceAll("../../server/web/", "./shared/");
  writeFileSync(join(to, "index.js"), index);
  const { private: _, scripts: __, ...about } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
  writeFileSync(join(to, "package.json"), `${JSON.stringify({ ...about, version: version() }, null, 2)}\n`);
  cpSync(join(HERE, "README.md"), join(to, "README.md"));
  cpSync(join(TOP, "LICENSE"), join(to, "LICENSE"));
  cpSync(join(HERE, "examples"), join(to, "examples"), { recursive: true });
}

const [to] = process.argv.slice(2);
if (!to) throw new Error("Say where to: node pack.js FOLDER");
pack(to);
