from conftest import load


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


def test_waits_until_the_last_connection_has_moved(toy, run):
    replica(toy, left=3)
    result = run("rollcall_drain", address="127.0.0.1", port=toy.port)
    assert (result["changed"], result["moved"], result["forced"], result["connections"]) == (True, 3, 0, 0)
    assert [left for _, left in result["progress"]] == [3, 2, 1, 0]


def test_a_drained_replica_is_left_alone(toy, run):
    replica(toy, left=0, phase="draining")
    assert not run("rollcall_drain", address="127.0.0.1", port=toy.port)["changed"]
    assert all(method == "GET" for method, _ in toy.asked)


def test_a_replica_that_keeps_its_connections_past_the_deadline_is_an_error(toy, run, monkeypatch):
    stuck = {"phase": "draining", "connections": 2, "moved": 0, "forced": 0}
    toy.answers = {("POST", "/drain"): lambda: stuck, ("GET", "/drain"): lambda: stuck}
    module = load("rollcall_drain")
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.1)
    try:
        module.drain(module.Admin("127.0.0.1", toy.port), 0, 100)
    except module.AdminError as error:
        assert "still has 2 connections" in str(error)
    else:
        raise AssertionError("took a stuck drain for a finished one")


def test_a_drain_can_be_taken_back(toy, run):
    state = replica(toy, left=5, phase="draining")
    assert run("rollcall_drain", address="127.0.0.1", port=toy.port, state="ready")["changed"]
    assert state["phase"] == "ready"
    assert not run("rollcall_drain", address="127.0.0.1", port=toy.port, state="ready")["changed"]


def test_check_mode_only_looks(toy, run):
    state = replica(toy, left=3)
    assert run("rollcall_drain", check=True, address="127.0.0.1", port=toy.port)["changed"]
    assert state["phase"] == "ready" and all(method == "GET" for method, _ in toy.asked)


def test_a_replica_that_is_gone_is_one_plain_line(toy, run):
    toy.stop()
    result = run("rollcall_drain", address="127.0.0.1", port=toy.port)
    assert result["failed"] and f"http://127.0.0.1:{toy.port}/drain" in result["msg"]
