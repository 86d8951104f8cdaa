"""The playbook that removes a stack, where there is none but its files."""

import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def test_an_operators_hooks_outlive_the_stack(tmp_path):
    def teardown():
        command = [Path(sys.executable).with_name("ansible-playbook"), "playbooks/teardown.yml"]
        settings = ["-e", "rollcall_project=rollcall-pytest-none", "-e", f"rollcall_run_dir={tmp_path}/it"]
        subprocess.run(command + settings, cwd=ROOT, check=True, capture_output=True)

    hook, run = tmp_path / "it" / "hooks" / "pre-deploy", tmp_path / "it" / "run"
    hook.parent.mkdir(parents=True)
    hook.touch()
    run.mkdir()
    (tmp_path / "it" / "deploys.jsonl").touch()
    teardown()
    assert hook.exists() and [file.name for file in (tmp_path / "it").iterdir()] == ["hooks"]
    hook.unlink()
    hook.parent.rmdir()
    teardown()
    assert not (tmp_path / "it").exists()
