"""Evening out connections: which replicas are asked, and for how many."""

import json

import pytest
from conftest import load


@pytest.mark.parametrize(
    ("connections", "asked"),
    [
        ({"r1": 0, "r2": 150, "r3": 150}, {"r2": 50, "r3": 50}),
        ({"r1": 300, "r2": 0, "r3": 0}, {"r1": 200}),
        ({"r1": 100, "r2": 101, "r3": 99}, {}),
        ({"r1": 95, "r2": 105}, {}),
        ({"r1": 1, "r2": 0}, {}),
        ({"r1": 3, "r2": 0}, {"r1": 1}),
        ({"r1": 40}, {}),
        ({}, {}),
    ],
)
def test_those_above_the_mean_ask_as_many_as_are_too_many(connections, asked):
    assert load("rollcall_rebalance").surplus(connections) == asked


def nudges(toy, moves):
    """A replica of which so many move at once when it is asked."""
    counts = {"nudges": 3, "told": 10, "moved": 10, "ignored": 0, "left": 0}

    def nudged():
        # What is asked later of the same path has no body.
        toy.posted = toy.bodies["/nudge"]
        counts.update(told=10 + 5, moved=10 + moves, left=5 - moves)
        return counts

    toy.answers = {("GET", "/nudge"): lambda: dict(counts), ("POST", "/nudge"): nudged}


def test_only_the_fullest_is_asked_and_what_moved_is_counted(toy, run):
    nudges(toy, moves=5)
    replicas = {"r1": {"address": "127.0.0.1", "connections": 10}, "r2": {"address": "127.0.0.2", "connections": 0}}
    result = run("rollcall_rebalance", replicas=replicas, port=toy.port, spread_ms=50)
    assert (result["changed"], result["asked"], result["moved"], result["left"]) == (True, {"r1": 5}, 5, 0)
    assert json.loads(toy.posted)["connections"] == 5 and "older_than_ms" not in json.loads(toy.posted)


def test_those_who_do_not_move_are_not_waited_for_without_end(toy, run):
    nudges(toy, moves=2)
    replicas = {"r1": {"address": "127.0.0.1", "connections": 10}, "r2": {"address": "127.0.0.2", "connections": 0}}
    result = run("rollcall_rebalance", replicas=replicas, port=toy.port, spread_ms=0, timeout=0.3)
    assert (result["moved"], result["left"]) == (2, 3)


def test_a_check_asks_nobody(toy, run):
    replicas = {"r1": {"address": "127.0.0.1", "connections": 10}, "r2": {"address": "127.0.0.2", "connections": 0}}
    result = run("rollcall_rebalance", check=True, replicas=replicas, port=toy.port)
    assert result["changed"] and not toy.asked
