"""A pair of HAProxies: both hear what is ordered, what is seen is what both see, and one that is away holds nothing up."""

import pytest
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime
from conftest import Haproxy, free_port, load


@pytest.fixture
def second(tmp_path):
    (tmp_path / "second").mkdir()
    second = Haproxy(tmp_path / "second")
    second.blue.start()
    yield second
    second.remove()


def test_both_hear_an_order_and_what_is_seen_is_what_both_see(haproxy, second):
    haproxy.green.start()
    haproxy.serves("r1-blue")
    second.serves("r1-blue")
    pair = Runtime(f"{haproxy.socket},{second.socket}")
    pair.set_state("replicas", "r1-green", "ready")
    assert {Runtime(it.socket).server("replicas", "r1-green")["admin"] for it in (haproxy, second)} == {"ready"}
    haproxy.serves("r1-green")
    # The second has a green slot of its own, which is not up.
    assert pair.server("replicas", "r1-blue")["status"] == "UP" != pair.server("replicas", "r1-green")["status"]
    second.green.start()
    second.serves("r1-green")
    assert pair.server("replicas", "r1-green")["status"] == "UP"


def test_connections_are_those_of_both():
    merge = load_merge()
    row = {"scur": "3", "status": "UP", "admin": "ready"}
    merge(row, {"scur": "4", "status": "UP", "admin": "ready"})
    assert row == {"scur": "7", "status": "UP", "admin": "ready"}
    # One that was started anew goes by its checks, until it is told.
    merge(row, {"scur": "0", "status": "DOWN", "admin": "maint"})
    assert row["status"] == "UP"


def load_merge():
    from ansible.module_utils import rollcall_haproxy

    return rollcall_haproxy._merge


def test_one_that_is_away_holds_nothing_up(haproxy):
    haproxy.serves("r1-blue")
    pair = Runtime(f"{haproxy.socket},127.0.0.1:{free_port()}")
    assert pair.server("replicas", "r1-blue")["status"] == "UP"
    pair.set_state("replicas", "r1-blue", "drain")
    assert Runtime(haproxy.socket).server("replicas", "r1-blue")["admin"] == "drain"
    with pytest.raises(HaproxyError, match="no HAProxy runs"):
        Runtime(f"127.0.0.1:{free_port()}").ask("show info")


class Machine:
    """One of the two, by what is asked of it."""

    def __init__(self, name, holds, serves=True, connections=()):
        self.address, self.held, self.up = name, holds, serves
        self.asked, self.counts, self.other = [], list(connections), None

    def pair(self, *words, check=True):
        if words != ("holds",):
            self.asked.append(words)
        if words == ("leave",) and self.other:
            self.held, self.other.held = False, True
        return self.held

    def serves(self):
        return self.up

    def last_answers(self, are_last):
        self.asked.append(("last answers", are_last))

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
    moves = switch(first, second)
    moves.look()
    moves.run()
    no = ("last answers", False)
    assert first.asked == [("tidy",), no, ("keep",), ("leave",), ("hush",), ("last answers", True), ("tidy",), no]
    assert second.asked == [("tidy",), no, ("catch", "10.0.0.1"), ("announce",), ("tidy",), no]
    assert moves.result()["left"] == 0


def test_an_address_that_the_other_does_not_take_stays(monkeypatch):
    first, second = Machine("10.0.0.1", holds=True), Machine("10.0.0.2", holds=False)
    moves = switch(first, second)
    moves.look()
    moves.await_taken.__func__.__globals__["TAKEN_WITHIN_SECONDS"] = 0.2
    with pytest.raises(HaproxyError, match="does not take the address"):
        moves.run()
    # Given back: whoever is there goes on.
    assert first.asked[-2] == second.asked[-2] == ("tidy",)


def test_what_cannot_be_tidied_at_one_keeps_the_other_from_nothing(monkeypatch):
    first, second = Machine("10.0.0.1", holds=True), Machine("10.0.0.2", holds=False)
    first.other = second

    def dead(_):
        raise HaproxyError("HAProxy does not answer")

    monkeypatch.setattr(second, "last_answers", dead)
    moves = switch(first, second)
    moves.look()
    moves.run()
    assert first.asked[-2:] == [("tidy",), ("last answers", False)] and second.asked[-1] == ("tidy",)
    assert "does not answer" in moves.result()["note"]


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
