"""What documents and messages tell an operator to do is there."""

import re
from pathlib import Path

import yaml
from conftest import ROOT

TOP = ROOT.parent
ENDINGS = {".md", ".yml", ".yaml", ".py", ".j2", ".rs", ".toml"}
PARTS = ["ansible", "app", "docker", "haproxy", "infra", "scripts"]


def texts():
    files = [file for part in PARTS for file in (TOP / part).rglob("*") if file.suffix in ENDINGS or file.parent.name == "scripts"]
    return {file: file.read_text() for file in [*TOP.glob("*.md"), *files] if file.is_file() and "node_modules" not in file.parts}


def test_o7_every_playbook_that_is_named_exists():
    """A refusal pointed at one that nobody had written."""
    named = {(name, str(file)) for file, text in texts().items() for name in re.findall(r"playbooks/([a-z-]+\.yml)", text)}
    assert len(named) > 30
    assert {(name, file) for name, file in named if not (ROOT / "playbooks" / name).exists()} == set()


def test_every_alert_has_a_heading_in_the_runbook_and_a_test():
    rules = yaml.safe_load((TOP / "infra/monitoring/alerts.yml").read_text())["groups"]
    alerts = [rule["alert"] for group in rules for rule in group["rules"]]
    headings = re.findall(r"^## (.+)$", Path(ROOT / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(alerts)
    tests = yaml.safe_load((TOP / "infra/monitoring/alerts_test.yml").read_text())["tests"]
    fired = {rule["alertname"] for test in tests for rule in test["alert_rule_test"] if rule["exp_alerts"]}
    assert fired == set(alerts)


def anchors(text):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_of_a_document_leads_somewhere():
    broken, seen = [], 0
    for file, text in texts().items():
        if file.suffix != ".md":
            continue
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            path, _, anchor = link.partition("#")
            if ":" in path:
                continue
            seen += 1
            target = (file.parent / path).resolve() if path else file
            if not target.exists() or anchor and anchor not in anchors(target.read_text()):
                broken.append((str(file.relative_to(TOP)), link))
    assert seen > 60 and broken == []


def test_the_readme_is_short():
    assert len((TOP / "README.md").read_text().splitlines()) <= 100
