//! `rollcall-chaos`: see `--help`.

fn main() {}
