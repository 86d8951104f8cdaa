"""A pair of HAProxies: both hear what is ordered, what is seen is what both see, and one that is away holds nothing up."""

import time

import pytest
from ansible.module_utils import rollcall_haproxy
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime
from conftest import Haproxy, free_port, load


@pytest.fixture
def second(tmp_path):
    (tmp_path / "second").mkdir()
    second = Haproxy(tmp_path / "second")
    second.blue.start()
    yield second
    second.remove()


def admin(haproxy, server="r1-green"):
    return Runtime(haproxy.socket).server("replicas", server)["admin"]


def test_both_hear_an_order_and_what_is_seen_is_what_both_see(haproxy, second):
    haproxy.green.start()
    haproxy.serves("r1-blue")
    second.serves("r1-blue")
    pair = Runtime(f"{haproxy.socket},{second.socket}")
    pair.set_state("replicas", "r1-green", "ready")
    assert admin(haproxy) == admin(second) == "ready"
    haproxy.serves("r1-green")
    # The second has a green slot of its own, which is not up.
    assert pair.server("replicas", "r1-blue")["status"] == "UP" != pair.server("replicas", "r1-green")["status"]
    second.green.start()
    second.serves("r1-green")
    assert pair.server("replicas", "r1-green")["status"] == "UP"


def test_what_the_second_missed_it_hears_with_the_next_order(haproxy, second):
    first = Runtime(haproxy.socket)
    first.set_state("replicas", "r1-green", "ready")
    first.set_weight("replicas", "r1-blue", 256)
    assert admin(second) == "maint"
    Runtime(f"{haproxy.socket},{second.socket}").set_state("replicas", "r1-blue", "drain")
    assert (admin(second), admin(second, "r1-blue")) == ("ready", "drain")
    assert Runtime(second.socket).weights("replicas")["r1-blue"] == 256


def test_connections_are_those_of_both():
    row = {"scur": "3", "status": "UP", "admin": "ready"}
    rollcall_haproxy._merge(row, {"scur": "4", "status": "UP", "admin": "ready"})
    assert row == {"scur": "7", "status": "UP", "admin": "ready"}
    # One that was started anew goes by its checks, until it is told.
    rollcall_haproxy._merge(row, {"scur": "0", "status": "DOWN", "admin": "maint"})
    assert row["status"] == "UP"


def test_one_that_is_away_holds_nothing_up(haproxy):
    haproxy.serves("r1-blue")
    began = time.monotonic()
    pair = Runtime(f"{haproxy.socket},127.0.0.1:{free_port()}")
    assert pair.server("replicas", "r1-blue")["status"] == "UP"
    pair.set_state("replicas", "r1-blue", "drain")
    assert admin(haproxy, "r1-blue") == "drain" and time.monotonic() - began < 2
    with pytest.raises(HaproxyError, match="no HAProxy runs"):
        Runtime(f"127.0.0.1:{free_port()}").ask("show info")


class Machine:
    """One of the two, by what is asked of it."""

    def __init__(self, name, holds, serves=True, connections=()):
        self.address, self.held, self.up = name, holds, serves
        self.asked, self.counts, self.other, self.is_dead = [], list(connections), None, False

    def pair(self, *words):
        self.asked.append(words)
        if self.is_dead:
            raise HaproxyError(f"{self.address} does not {words[0]}")
        if words == ("leave",) and self.other:
            self.held, self.other.held = False, True

    def holds(self):
        return self.held

    def serves(self):
        return self.up

    def reload(self):
        self.asked.append(("reload",))

    def connections(self):
        return self.counts.pop(0) if self.counts else 0


def switch(first, second, **params):
    module = load("haproxy_switch")
    made = object.__new__(module.Switch)
    made.params = {"slots": {}, "port": 1, "spread_ms": 0, "timeout": 0.2} | params
    made.machines, made.nudge, made.left, made.untidy = [first, second], None, 0, []
    return made


def test_the_address_moves_and_what_is_left_of_the_help_is_taken_away():
    first, second = Machine("10.0.0.1", holds=True, connections=[5, 2]), Machine("10.0.0.2", holds=False)
    first.other = second
    moves = switch(first, second, timeout=5)
    moves.look()
    moves.run()
    assert first.asked == [("tidy",), ("keep",), ("leave",), ("hush",), ("reload",), ("tidy",)]
    assert second.asked == [("tidy",), ("catch", "10.0.0.1"), ("announce",), ("tidy",)]
    assert moves.result()["left"] == 0


def test_an_address_that_the_other_does_not_take_stays(monkeypatch):
    first, second = Machine("10.0.0.1", holds=True), Machine("10.0.0.2", holds=False)
    moves = switch(first, second)
    moves.look()
    monkeypatch.setitem(type(moves).run.__globals__, "TAKEN_WITHIN_SECONDS", 0.2)
    with pytest.raises(HaproxyError, match="does not take the address"):
        moves.run()
    # Given back: whoever is there goes on.
    assert first.asked[-1] == second.asked[-1] == ("tidy",)


def test_what_cannot_be_tidied_at_one_is_tidied_at_the_other_and_told():
    first, second = Machine("10.0.0.1", holds=True), Machine("10.0.0.2", holds=False)
    first.other, first.is_dead = second, True
    moves = switch(first, second)
    moves.look()
    with pytest.raises(HaproxyError, match="does not keep"):
        moves.run()
    assert second.asked[-1] == ("tidy",) and "10.0.0.1 does not tidy" in moves.untidy


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({"holds": False}, {"holds": False}, "neither of the two"),
        ({"holds": True}, {"holds": True}, "10.0.0.1 and 10.0.0.2"),
        ({"holds": True}, {"holds": False, "serves": False}, "reaches no replica"),
    ],
)
def test_where_it_cannot_go_nothing_is_begun(first, second, words):
    first, second = Machine("10.0.0.1", **first), Machine("10.0.0.2", **second)
    with pytest.raises(HaproxyError, match=words):
        switch(first, second).look()
    assert first.asked == second.asked == []


def test_connections_that_do_not_move_are_told():
    first, second = Machine("10.0.0.1", holds=True, connections=[3] * 100), Machine("10.0.0.2", holds=False)
    first.other = second
    moves = switch(first, second)
    moves.look()
    moves.run()
    assert moves.result()["left"] == 3 and "3 connections had not moved" in moves.result()["note"]
