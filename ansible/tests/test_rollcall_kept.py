"""O1: where a rollback goes, for all that a roll may have left."""

import pytest
from conftest import load


def replica(serves, kept, older=True):
    """Each as (release, spec); `older` says whether what is kept came before what serves."""
    slots = {name: {"release": it[0], "spec": it[1]} for name, it in (("green", serves), ("blue", kept))}
    return {
        "serving": "green", "idle": "blue", "release": serves[0], "spec": serves[1], "kept": kept[0], "kept_before": older, "slots": slots,
    }


NONE = ("", "")
OLD, NEW = ("1.0.0", "old"), ("1.1.0", "new")
# A roll of settings, or of a tag that was built again: the name stays.
AGAIN = ("1.0.0", "again")


@pytest.mark.parametrize(
    ("replicas", "release", "spec"),
    [
        pytest.param([replica(NEW, OLD)] * 3, "", "old", id="after a roll"),
        pytest.param([replica(AGAIN, OLD)] * 3, "", "old", id="after a roll of settings"),
        pytest.param([replica(AGAIN, OLD)] * 3, "1.0.0", "old", id="the same, by name"),
        pytest.param([replica(AGAIN, OLD), replica(OLD, NONE)], "1.0.0", "old", id="after a roll of settings that stopped"),
        pytest.param([replica(AGAIN, OLD), replica(OLD, ("1.0.0", "older"))], "1.0.0", "old", id="the same, and the second has kept another"),
        pytest.param([replica(OLD, AGAIN, older=False), replica(AGAIN, OLD)], "1.0.0", "old", id="a way back that was interrupted"),
        pytest.param([replica(OLD, NEW, older=False)] * 3, "1.1.0", "new", id="forward again, by name"),
        pytest.param([replica(OLD, NEW, older=False)] * 3, "1.0.0", "old", id="there already, by name"),
    ],
)
def test_o1_the_way_back_leads_to_the_kept_container(replicas, release, spec, run):
    named = {f"r{number}": it for number, it in enumerate(replicas, 1)}
    facts = run("rollcall_kept", replicas=named, hosts=list(named), release=release)["ansible_facts"]
    assert facts["replica_spec"] == spec


@pytest.mark.parametrize(
    ("replicas", "arguments", "words"),
    [
        pytest.param([replica(OLD, NEW, older=False)] * 2, {}, "which came later", id="back twice is not forward"),
        pytest.param([replica(OLD, AGAIN, older=False)] * 2, {}, "which came later", id="nor of settings"),
        pytest.param([replica(NEW, OLD)] * 2, {"resumed": True}, "name it with", id="after an interrupt"),
        pytest.param([replica(NEW, OLD), replica(OLD, NONE)], {"release": "0.9.0"}, "r1, r2 did not keep", id="kept by nobody"),
        pytest.param([replica(NEW, OLD), replica(NEW, NONE)], {"release": "1.0.0"}, "r2 did not keep", id="not by all"),
        pytest.param([replica(NEW, OLD), replica(NEW, AGAIN)], {"release": "1.0.0"}, "not every replica", id="one name, two containers"),
        pytest.param([replica(OLD, NONE)] * 2, {}, "has kept nothing", id="no roll yet"),
    ],
)
def test_it_does_not_guess(replicas, arguments, words, run):
    named = {f"r{number}": it for number, it in enumerate(replicas, 1)}
    result = run("rollcall_kept", replicas=named, hosts=list(named), **arguments)
    assert result["failed"] and words in result["msg"]


def test_only_the_replicas_that_are_to_go_back_are_asked():
    """With --limit the others may serve what they like."""
    module = load("rollcall_kept")
    assert module.decide({"r1": replica(NEW, OLD)}, "", False) == ("old", "1.0.0")
