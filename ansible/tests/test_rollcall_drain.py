import itertools
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from conftest import load, wait_until

PATIENCE_SECONDS = 0.5


def replica(toy, left, phase="ready"):
    """A replica whose connections go down by one with every look, from `left`."""
    state = {"phase": phase, "connections": left, "moved": 0, "forced": 0}

    def begin():
        state["phase"] = "draining"
        return state

    def look():
        if state["phase"] == "draining" and state["connections"]:
            state["connections"] -= 1
            state["moved"] += 1
        return state

    def end():
        state["phase"] = "ready"
        return state

    toy.answers = {("POST", "/drain"): begin, ("GET", "/drain"): look, ("DELETE", "/drain"): end}
    return state


def starve(toy, comes):
    """From now on it answers only the asks that `comes` says; counted from 0."""
    asks = itertools.count()

    def late(answer):
        if not comes(next(asks)):
            time.sleep(2 * PATIENCE_SECONDS)
        return answer()

    toy.answers = {ask: lambda answer=answer: late(answer) for ask, answer in toy.answers.items()}


def drain_of(module, toy, connections):
    """A drain of a toy to which HAProxy has so many connections."""
    admin = module.Admin("127.0.0.1", toy.port, PATIENCE_SECONDS)
    return module.Drain(admin, SimpleNamespace(connections=lambda: connections))


def drain_to_its_end(drain, spread_ms, deadline_ms):
    drain.begin(spread_ms, deadline_ms)
    drain.empty()


@pytest.fixture
def blue(haproxy):
    """Arguments for the slot that serves."""
    haproxy.serves("r1-blue")
    return {"socket": haproxy.socket, "server": "r1-blue", "address": "127.0.0.1", "port": haproxy.blue.port}


def test_waits_until_the_last_connection_has_moved(haproxy, run, blue):
    replica(haproxy.blue, left=3)
    result = run("rollcall_drain", **blue, state_file=str(haproxy.state_file))
    assert (result["changed"], result["moved"], result["forced"], result["connections"]) == (True, 3, 0, 0)
    assert [left for _, left in result["progress"]] == [3, 2, 1, 0]
    assert haproxy.status("r1-blue") == "MAINT" and "r1-blue" in haproxy.state_file.read_text()


def test_haproxy_sends_nobody_new_as_soon_as_the_replica_drains(haproxy, run, blue):
    """And not only when its clients have moved, or those could come straight back."""
    seen = []
    state = replica(haproxy.blue, left=3)
    look = haproxy.blue.answers["GET", "/drain"]
    haproxy.blue.answers["GET", "/drain"] = lambda: seen.append((state["phase"], haproxy.status("r1-blue"))) or look()
    run("rollcall_drain", **blue)
    assert seen[0] == ("ready", "UP") and {status for phase, status in seen[1:] if phase == "draining"} == {"DRAIN"}


@pytest.mark.parametrize("status", [404, 422, 500])
def test_o2_a_replica_that_refuses_to_drain_keeps_its_clients(haproxy, run, blue, status):
    """It is alive, and so are they: HAProxy is told nothing, and closes nothing."""
    replica(haproxy.blue, left=3)
    haproxy.blue.statuses["POST", "/drain"] = status
    with socket.create_connection(("127.0.0.1", haproxy.front)) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: ("GET", "/slow") in haproxy.blue.asked)
        result = run("rollcall_drain", **blue)
        assert result["failed"] and f"status {status}" in result["msg"]
        # A check that a busy machine answers late is no order: it may say `UP 1/2`.
        assert haproxy.status("r1-blue").startswith("UP")
        haproxy.blue.hold.set()
        client.settimeout(5)
        assert b" 200 " in client.recv(4096)


def test_o2_a_replica_without_a_drain_is_not_dead(haproxy, run, blue):
    haproxy.blue.statuses["GET", "/drain"] = 404
    result = run("rollcall_drain", **blue)
    assert result["failed"] and "status 404" in result["msg"] and haproxy.status("r1-blue") == "UP"


def test_o2_a_refusal_in_the_middle_of_a_drain_is_no_death(haproxy, run, blue):
    """Also one that comes late, from a replica that was silent when it was asked first: it gets clients again."""
    state = replica(haproxy.blue, left=3)

    def begin():
        haproxy.blue.statuses["GET", "/drain"] = 500
        return state

    haproxy.blue.answers["POST", "/drain"] = begin
    result = run("rollcall_drain", **blue)
    assert result["failed"] and "status 500" in result["msg"] and haproxy.status("r1-blue") == "UP"


def test_a_request_that_is_on_its_way_gets_its_answer(haproxy, run, blue):
    replica(haproxy.blue, left=1)
    url = f"http://127.0.0.1:{haproxy.front}/slow"
    with ThreadPoolExecutor() as pool:
        request = pool.submit(lambda: urllib.request.urlopen(url).status)
        wait_until(lambda: ("GET", "/slow") in haproxy.blue.asked)
        drained = pool.submit(run, "rollcall_drain", **blue)
        wait_until(lambda: haproxy.status("r1-blue") == "MAINT")
        assert not drained.done(), "out of HAProxy while somebody waits for an answer"
        haproxy.blue.hold.set()
        assert request.result() == 200 and "note" not in drained.result()


def test_a_drain_that_lasts_as_long_as_haproxys_patience_is_no_failure(haproxy, run, blue):
    state, begun = replica(haproxy.blue, left=1), []
    begin = haproxy.blue.answers["POST", "/drain"]
    haproxy.blue.answers["POST", "/drain"] = lambda: begun.append(time.monotonic()) or begin()
    haproxy.blue.answers["GET", "/drain"] = lambda: state | {"connections": int(not begun or time.monotonic() < begun[0] + 1.5)}
    result = run("rollcall_drain", **blue, timeout=1)
    assert "failed" not in result, result["msg"]
    assert result["seconds"] >= 1.5 and haproxy.status("r1-blue") == "MAINT"


def test_what_only_haproxy_still_has_is_closed(haproxy, run, blue):
    replica(haproxy.blue, left=1)
    with socket.create_connection(("127.0.0.1", haproxy.front)) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: ("GET", "/slow") in haproxy.blue.asked)
        result = run("rollcall_drain", **blue)
        assert haproxy.status("r1-blue") == "MAINT"
        assert (result["connections"], result["forced"]) == (0, 0)
        assert "HAProxy still had 1 connections" in result["note"]
        client.settimeout(2)
        client.recv(4096)


def test_a_drained_slot_is_left_alone(haproxy, run, blue):
    replica(haproxy.blue, left=0)
    assert run("rollcall_drain", **blue)["changed"]
    assert not run("rollcall_drain", **blue)["changed"]


def test_a_replica_that_keeps_its_connections_past_the_deadline_is_an_error(toy, monkeypatch):
    stuck = {"phase": "draining", "connections": 2, "moved": 0, "forced": 0}
    toy.answers = {("POST", "/drain"): lambda: stuck, ("GET", "/drain"): lambda: stuck}
    module = load("rollcall_drain")
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    with pytest.raises(module.StuckError, match="still has 2 connections"):
        drain_to_its_end(drain_of(module, toy, 2), 0, 100)


def test_a_replica_that_dies_in_its_drain_has_nobody_left_to_move(toy):
    state = replica(toy, left=5)
    state["moved"] = 2
    toy.answers["GET", "/drain"] = lambda: state
    drain = drain_of(load("rollcall_drain"), toy, 5)
    toy.answers["POST", "/drain"] = lambda: toy.dead.add("/drain") or state
    drain_to_its_end(drain, 0, 1000)
    assert (drain.state["moved"], drain.state["forced"], drain.state["connections"]) == (2, 5, 0)
    assert "went away in its drain" in drain.note


def test_one_answer_that_does_not_come_is_no_death(toy):
    replica(toy, left=4)
    # The first look, the first POST and the first poll, and so on.
    starve(toy, comes=lambda ask: ask % 3 == 2)
    drain = drain_of(load("rollcall_drain"), toy, 4)
    drain_to_its_end(drain, 0, 10_000)
    assert (drain.state["moved"], drain.state["forced"], drain.state["connections"]) == (4, 0, 0)
    assert not drain.note


def test_a_replica_that_is_frozen_in_its_drain_is_given_up_after_the_deadline(toy, monkeypatch):
    replica(toy, left=4)
    starve(toy, comes=lambda ask: ask < 3)
    module = load("rollcall_drain")
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    drain, began = drain_of(module, toy, 4), time.monotonic()
    drain_to_its_end(drain, 0, 500)
    assert 0.6 < time.monotonic() - began < 3
    assert (drain.state["phase"], drain.state["moved"], drain.state["forced"]) == ("gone", 1, 3)
    assert "timed out" in drain.note


def test_a_silent_replica_on_which_haproxy_has_nobody_is_not_waited_for(toy):
    replica(toy, left=0)
    starve(toy, comes=lambda ask: ask == 0)
    drain, began = drain_of(load("rollcall_drain"), toy, 0), time.monotonic()
    drain_to_its_end(drain, 0, 20_000)
    assert time.monotonic() - began < 3
    assert (drain.state["phase"], drain.state["forced"]) == ("gone", 0)


def test_a_dead_slot_is_only_taken_out_of_haproxy(haproxy, run, blue):
    haproxy.blue.stop()
    result = run("rollcall_drain", **blue)
    assert (result["changed"], result["forced"]) == (True, 0)
    assert haproxy.status("r1-blue") == "MAINT"


def test_a_drain_can_be_taken_back(haproxy, run, blue):
    state = replica(haproxy.blue, left=0)
    run("rollcall_drain", **blue)
    assert run("rollcall_drain", **blue, state="ready")["changed"]
    assert state["phase"] == "ready" and haproxy.status("r1-blue") == "UP"
    assert not run("rollcall_drain", **blue, state="ready")["changed"]


def test_check_mode_only_looks(haproxy, run, blue):
    state = replica(haproxy.blue, left=3)
    assert run("rollcall_drain", check=True, **blue)["changed"]
    assert state["phase"] == "ready" and haproxy.status("r1-blue") == "UP"
    assert not any(method == "POST" for method, _ in haproxy.blue.asked)
