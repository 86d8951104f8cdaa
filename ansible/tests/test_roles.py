"""Roles stand alone: each says what it takes, and what has a default needs no inventory to say it."""

import re
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

ROLES = ROOT / "roles"
DEFAULTS = yaml.safe_load((ROLES / "rollcall" / "defaults" / "main.yml").read_text())
# Names in expressions, but not modules, which are keys.
SETTING = re.compile(r"(?<![\w./-])rollcall_[a-z_]+\b(?!\s*:)")
# Their settings are checked by preflight, before anything is touched.
CHECKED_BEFORE = {"roll"}


def specs(role):
    path = ROLES / role / "meta" / "argument_specs.yml"
    return yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"] if path.exists() else {}


def settings(role):
    """Those that its tasks, its variables and what they write are made of."""
    files = [path for part in ("tasks", "templates", "vars") for path in (ROLES / role / part).rglob("*") if path.is_file()]
    files += [ROOT.parent / "haproxy" / "haproxy.cfg.j2"] if role == "haproxy" else []
    lines = [line for path in files for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    return {name for line in lines for name in SETTING.findall(line)}


@pytest.mark.parametrize("role", sorted(path.name for path in ROLES.iterdir() if (path / "tasks").is_dir()))
def test_o26_a_roles_specs_are_whole_and_require_only_what_has_no_default(role):
    """They listed 9 of 20 variables, all of them required."""
    if role not in CHECKED_BEFORE:
        assert settings(role) - set(specs(role)) == set()
    assert [name for name, spec in specs(role).items() if spec.get("required") and name in DEFAULTS] == []
    assert settings(role) - set(DEFAULTS) <= {"rollcall_number"}
    assert yaml.safe_load((ROLES / role / "meta" / "main.yml").read_text())["dependencies"] == [{"role": "rollcall"}]


def test_o26_what_a_roll_takes_is_checked_before_it():
    assert settings("roll") <= set(specs("preflight"))
    assert Path(ROLES / "rollcall" / "defaults" / "main.yml").resolve() == ROOT / "inventories" / "local" / "group_vars" / "all.yml"
