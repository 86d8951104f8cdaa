"""What an interrupted roll can leave, and which slot is then taken for the serving one."""

import subprocess
import time

import pytest
from ansible.module_utils.rollcall_admin import Admin as module_admin
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime
from conftest import load

ABSENT = {
    **dict.fromkeys(("server", "address", "release", "spec", "deploy", "aside", "created", "started"), ""),
    "running": False,
    "admin": "maint",
    "status": "MAINT",
    "phase": "stopped",
    "connections": 0,
}
KEPT = ABSENT | {"release": "1.0.0", "created": "2026-01-01T10:00:00Z"}
SERVES = ABSENT | {
    "running": True,
    "release": "1.0.0",
    "admin": "ready",
    "status": "UP",
    "phase": "ready",
    "created": "2026-01-01T10:00:00Z",
    "started": "2026-01-01T10:00:00Z",
}
NEWER = SERVES | {"release": "1.1.0", "created": "2026-01-01T11:00:00Z", "started": "2026-01-01T11:00:00Z"}
IN_DRAIN = {"admin": "drain", "status": "DRAIN"}
DRAINING = {"admin": "drain", "status": "DOWN", "phase": "draining"}
IN_MAINT = {"admin": "maint", "status": "MAINT"}


@pytest.mark.parametrize(
    ("blue", "green", "serving", "up", "repair"),
    [
        pytest.param(ABSENT, ABSENT, "blue", False, False, id="nothing yet"),
        pytest.param(SERVES, KEPT, "blue", True, False, id="at rest"),
        pytest.param(KEPT, NEWER, "green", True, False, id="at rest after a roll"),
        pytest.param(SERVES, NEWER | IN_MAINT, "blue", True, True, id="new slot started"),
        pytest.param(SERVES, NEWER | IN_DRAIN, "blue", True, True, id="new slot passes its check"),
        pytest.param(SERVES, NEWER, "blue", True, True, id="both serve, and the new one is still watched"),
        pytest.param(SERVES | IN_DRAIN, NEWER, "green", True, True, id="old slot gets no more clients"),
        pytest.param(SERVES | DRAINING, NEWER, "green", True, True, id="old slot drains"),
        pytest.param(SERVES | IN_MAINT, NEWER, "green", True, True, id="old slot empty"),
        pytest.param(SERVES | DRAINING, KEPT, "blue", False, True, id="rescue interrupted"),
        pytest.param(ABSENT | {"admin": "ready", "status": "DOWN"}, KEPT, "blue", False, False, id="serving slot died"),
        pytest.param(KEPT, ABSENT | {"admin": "ready", "status": "DOWN"}, "green", False, False, id="died after a roll"),
    ],
)
def test_which_slot_serves(blue, green, serving, up, repair):
    replica = load("rollcall_slots").replica({"blue": blue, "green": green})
    assert (replica["serving"], replica["up"], replica["needs_repair"]) == (serving, up, repair)


def test_after_a_way_back_what_is_kept_came_later():
    replica = load("rollcall_slots").replica
    assert replica({"blue": KEPT, "green": NEWER})["kept_before"]
    kept = NEWER | {"running": False, "admin": "maint", "status": "MAINT", "phase": "stopped", "started": ""}
    assert not replica({"blue": SERVES | {"started": "2026-01-01T12:00:00Z"}, "green": kept})["kept_before"]


def test_what_a_roll_had_not_finished_with_is_told():
    slots = {"blue": SERVES, "green": KEPT | {"aside": "0.9.0"}}
    assert load("rollcall_slots").replica(slots)["unproven"]
    # In the slot that serves it is only what the roll will drop at its end.
    slots = {"blue": SERVES | {"aside": "0.9.0"}, "green": KEPT}
    assert not load("rollcall_slots").replica(slots)["unproven"]


def test_o2_an_answer_that_is_an_error_is_no_silence(toy, monkeypatch):
    """What is silent is started anew, and its clients cut."""
    module = load("rollcall_slots")
    monkeypatch.setattr(module, "Admin", lambda address, timeout: module_admin(address, toy.port, timeout))
    toy.statuses["GET", "/drain"] = 500
    assert module.lifecycle("127.0.0.1", True)["phase"] == "refuses"
    toy.stop()
    assert module.lifecycle("127.0.0.1", True)["phase"] == "silent"


def test_a_silent_slot_is_looked_at_again_before_it_is_started_anew():
    module = load("rollcall_slots")
    frozen = SERVES | {"phase": "silent", "status": "DOWN"}
    well, hangs, empty = ({"r1": module.replica({"blue": slot, "green": KEPT})} for slot in (SERVES, frozen, ABSENT))
    for replicas, settled in ((well, True), (hangs, False), (empty, True)):
        assert module.settled(replicas, {"want_up": 0, "patient": True}) == settled
        assert module.settled(replicas, {"want_up": 0, "patient": False})
    assert not module.settled(hangs, {"want_up": 1, "patient": False})


def test_a_haproxy_that_is_away_for_a_moment_is_waited_for(run, monkeypatch):
    """Docker starts one that died again, within seconds."""
    back = time.monotonic() + 6

    def servers(*_):
        if time.monotonic() < back:
            raise HaproxyError("no HAProxy runs")
        return {}

    monkeypatch.setattr(Runtime, "servers", servers)
    stopped = ["docker", "create", "--label", "rollcall.project=rollcall-pytest-slots", "rollcall-haproxy:3.0"]
    container = subprocess.run(stopped, check=True, capture_output=True, text=True).stdout.strip()
    try:
        assert run("rollcall_slots", project="rollcall-pytest-slots", socket="/nowhere", slots={})["up"] == 0
    finally:
        subprocess.run(["docker", "rm", container], check=True, capture_output=True)


def test_a_stack_that_is_not_there_is_not_waited_for(run):
    began = time.monotonic()
    told = run("rollcall_slots", project="rollcall-pytest-none", socket="/nowhere", slots={})
    assert told["failed"] and "Is the stack up?" in told["msg"]
    assert time.monotonic() - began < 9, "whoever is waited for is waited for 10 s"


def test_what_is_left_of_a_replica_that_was_taken_away_is_told():
    container = {"Config": {"Labels": {"rollcall.release": "1.0.0"}}, "State": {"Running": True}}
    found = dict.fromkeys(["x-r1-blue", "x-r1-green-aside", "x-r4-blue", "x-r4-green-aside"], container)
    params = {"project": "x", "slots": {"r1": {"blue": "", "green": ""}}}
    told = load("rollcall_slots").strangers(found, params)
    assert [it["name"] for it in told] == ["x-r4-blue", "x-r4-green-aside"] and told[0]["running"]


def test_a_machine_that_is_away_has_replicas_that_do_not_serve(run, monkeypatch):
    rows = {f"{replica}-{slot}": {"admin": "ready", "status": "DOWN"} for replica in ("r1", "r2") for slot in ("blue", "green")}
    monkeypatch.setattr(Runtime, "servers", lambda *_: rows)
    away = "unix:///nowhere/docker.sock"
    slots = {"r1": {"blue": "127.0.0.1", "green": "127.0.0.1"}, "r2": {"blue": "127.0.0.1:1", "green": "127.0.0.1:3"}}
    told = run("rollcall_slots", project="rollcall-pytest-none", socket="/nowhere", slots=slots, docker_hosts={"r1": "", "r2": away})
    assert list(told["away"]) == [away] and told["up"] == 0 and not told["replicas"]["r2"]["up"]


@pytest.mark.parametrize("known_only", [False, True])
def test_a_replica_that_haproxy_does_not_know_yet(run, monkeypatch, known_only):
    rows = {f"r1-{slot}": {"admin": "ready", "status": "DOWN"} for slot in ("blue", "green")}
    monkeypatch.setattr(Runtime, "servers", lambda *_: rows)
    slots = dict.fromkeys(("r1", "r2"), {"blue": "127.0.0.1", "green": "127.0.0.1"})
    asked = {"project": "rollcall-pytest-none", "socket": "/nowhere", "slots": slots, "known_only": known_only}
    if known_only:
        assert list(run("rollcall_slots", **asked)["replicas"]) == ["r1"]
    else:
        assert "does not know r2" in run("rollcall_slots", **asked)["msg"]
