import threading

from conftest import wait_until


def green(haproxy, state, **arguments):
    return {"socket": haproxy.socket, "server": "r1-green", "state": state} | arguments


def test_a_server_becomes_ready_once_and_the_state_is_kept(haproxy, run):
    haproxy.green.start()
    arguments = green(haproxy, "ready", state_file=str(haproxy.state_file))
    first = run("haproxy_server", **arguments)
    assert (first["changed"], first["before"], first["status"]) == (True, "maint", "UP")
    assert "r1-green" in haproxy.state_file.read_text()
    again = run("haproxy_server", **arguments)
    assert (again["changed"], again["before"], again["status"]) == (False, "ready", "UP")


def test_a_dead_server_never_counts_as_ready(haproxy, run):
    result = run("haproxy_server", **green(haproxy, "ready", timeout=1))
    assert result["failed"] and "was not DRAIN within 1 s" in result["msg"]
    assert "status DOWN" in result["msg"] and "Connection refused" in result["msg"]
    # It never left the drain, so no client was sent to it.
    assert haproxy.status("r1-green") == "DOWN"


def test_a_server_that_is_not_ready_does_not_pass_the_drain(haproxy, run):
    haproxy.green.start().ready = False
    result = run("haproxy_server", **green(haproxy, "drain", timeout=1))
    assert result["failed"] and "503" in result["msg"]


def test_an_empty_drained_server_with_a_passing_check_is_seen_as_such(haproxy, run):
    haproxy.green.start()
    result = run("haproxy_server", **green(haproxy, "drain"))
    assert (result["changed"], result["status"], result["connections"]) == (True, "DRAIN", 0)
    assert ("GET", "/readyz") in haproxy.green.asked


def test_a_flap_starts_the_hold_anew(haproxy, run):
    haproxy.green.start()
    run("haproxy_server", **green(haproxy, "ready"))
    # It goes down as soon as the hold has begun, and comes back when HAProxy has noticed.
    haproxy.green.ready = False

    def recover():
        wait_until(lambda: haproxy.status("r1-green") == "DOWN")
        haproxy.green.ready = True

    watcher = threading.Thread(target=recover)
    watcher.start()
    result = run("haproxy_server", **green(haproxy, "ready", hold=0.6))
    watcher.join()
    # Two failed checks, a passed one, and then the whole hold.
    assert result["status"] == "UP" and result["seconds"] >= 0.8


def test_who_flaps_again_and_again_is_given_up(haproxy, run):
    haproxy.green.start()
    run("haproxy_server", **green(haproxy, "ready"))

    def crash_and_restart():
        # Once more than it takes: the first may be over before anybody looks.
        for _ in range(4):
            haproxy.green.ready = False
            wait_until(lambda: haproxy.status("r1-green") == "DOWN")
            haproxy.green.ready = True
            wait_until(lambda: haproxy.status("r1-green") == "UP")

    watcher = threading.Thread(target=crash_and_restart)
    watcher.start()
    result = run("haproxy_server", **green(haproxy, "ready", hold=5))
    watcher.join()
    assert result["failed"] and result["msg"] == "replicas/r1-green was not UP for 5 s: it went DOWN 3 times"


def test_check_mode_changes_nothing(haproxy, run):
    result = run("haproxy_server", check=True, **green(haproxy, "ready"))
    assert (result["changed"], result["status"]) == (True, "MAINT")
    assert result["diff"] == {"before": "maint\n", "after": "ready\n"}
    assert haproxy.status("r1-green") == "MAINT"


def test_an_unknown_server_is_an_error_that_names_the_known(haproxy, run):
    result = run("haproxy_server", socket=haproxy.socket, server="r9-blue", state="ready")
    assert result["failed"] and "r1-blue, r1-green" in result["msg"]


def test_no_haproxy_is_one_plain_line(tmp_path, run):
    result = run("haproxy_server", socket=str(tmp_path / "none.sock"), server="r1-blue", state="ready")
    assert result["failed"] and "no HAProxy runs" in result["msg"] and "\n" not in result["msg"]
