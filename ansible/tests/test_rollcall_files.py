"""What must be there after a power cut is on the disk before it has its name. A cut is no test's to make, so the calls are looked at."""

import os
import stat

import pytest
from ansible.module_utils import rollcall_haproxy
from conftest import load


class Haproxy(rollcall_haproxy.Runtime):
    def ask(self, command):
        return "state of servers\n"


WRITERS = {
    "lock": lambda path: load("rollcall_lock").take(path, "a roll", {}),
    "marks": lambda path: load("rollcall_release").write(path, {"sha256:1": {"release": "1.1.0"}}),
    "what HAProxy has loaded": lambda path: load("haproxy_reload").remember(path, "digest"),
    "certificate": lambda path: load("haproxy_certificate").place(path, b"key", os.getuid()),
    "state of servers": lambda path: Haproxy("/nowhere").save(path),
}


@pytest.mark.parametrize("what", WRITERS)
def test_a_power_cut_leaves_the_old_content_or_the_new(what, tmp_path, monkeypatch):
    """A lock that was empty then was refused until somebody took it away."""
    path, calls = tmp_path / "file", []
    sync, replace = os.fsync, os.replace

    def noted_sync(number):
        is_directory = stat.S_ISDIR(os.fstat(number).st_mode)
        calls.append("its name is kept" if is_directory else f"{os.fstat(number).st_size > 0 and 'its content'} is kept")
        sync(number)

    def noted_replace(old, new):
        calls.append("it has its name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    WRITERS[what](path if what == "certificate" else str(path))
    assert calls == ["its content is kept", "it has its name", "its name is kept"]
    assert [it.name for it in tmp_path.iterdir()] == ["file"]
