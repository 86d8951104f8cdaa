#!/usr/bin/env python3
"""Writes ansible/SETTINGS.md, a table of every setting, from the one file that has them. --check only compares."""

import re
import sys
from pathlib import Path

ANSIBLE = Path(__file__).resolve().parent
SOURCE = ANSIBLE / "inventories/local/group_vars/all.yml"
TABLE = ANSIBLE / "SETTINGS.md"
HEAD = """# Settings

Made by `settings_table.py` from [group_vars/all.yml](inventories/local/group_vars/all.yml): change that file. Override
with `-e name=value`, or in an inventory of yours; what it does not say is as here.
"""


def sections(text):
    """Pairs of a title and its settings: name, default, reason. What stands above a setting is its reason, and of a
    paragraph of settings the first one's is that of all."""
    found, reason = [], []
    for line in text.splitlines():
        if title := re.match(r"# --- (.+?) -+$", line):
            found.append((title[1], []))
            reason = []
        elif comment := re.match(r"# ?(.*)$", line):
            reason.append(comment[1])
        elif setting := re.match(r"(rollcall_\w+):(.*)$", line):
            found[-1][1].append((setting[1], setting[2].strip().removeprefix(">-").strip('"'), " ".join(reason)))
            reason = []
        elif not line.strip():
            reason = []
    return found


def cell(words):
    return words.replace("|", "\\|")


def table(text):
    parts = [HEAD]
    for title, settings in sections(text):
        parts.append(f"\n## {title[0].upper()}{title[1:]}\n\n| setting | default | |\n|---|---|---|")
        parts += [f"| `{name}` | {'`' + cell(default) + '`' if default else 'see the file'} | {cell(reason)} |" for name, default, reason in settings]
    return "\n".join(parts) + "\n"


made = table(SOURCE.read_text())
if sys.argv[1:] == ["--check"]:
    if not TABLE.exists() or TABLE.read_text() != made:
        sys.exit("ansible/SETTINGS.md is not what all.yml says: run it without --check")
else:
    TABLE.write_text(made)
