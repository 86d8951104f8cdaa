"""Toys that answer and count like replicas, one of them worse than the others."""

import http.server
import re
import threading
import time

import pytest
from conftest import free_port, load

CONNECTIONS = 4

METRICS = """# HELP rollcall_http_requests_total HTTP requests, by status class.
rollcall_http_requests_total{{status="2xx"}} {good}
rollcall_http_requests_total{{status="5xx"}} {bad}
rollcall_messages_in_total{{outcome="rejected"}} 1000
rollcall_messages_in_total{{outcome="failed"}} 0
rollcall_http_request_seconds_bucket{{le="0.5"}} {all}
rollcall_http_request_seconds_sum {seconds}
rollcall_http_request_seconds_count {all}
rollcall_send_seconds_sum {send_seconds}
rollcall_send_seconds_count {sends}
"""


class Counting:
    """A replica that fails every so many requests, and takes its time. Public and admin listener in one.

    Clients of its own, if it has any, send over WebSockets or by POST: `sends` and `posts` say how many per second, and
    how many seconds each takes.
    """

    def __init__(self, fail_every=0, seconds=0.0, counts=True, sends=(0, 0), posts=(0, 0), stalls=False):
        self.stalls = stalls
        self.port, self.fail_every, self.seconds, self.counts = free_port(), fail_every, seconds, counts
        self.sends, self.posts, self.began = sends, posts, time.monotonic()
        self.good = self.bad = self.spent = 0
        self.paths = set()
        self.lock = threading.Lock()
        counting = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one piece; the kernel would hold the second back, for 40 ms.
            wbufsize = -1

            def do_GET(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                counting.paths.add(self.path.partition("?")[0])
                status, body = (200, counting.metrics()) if self.path == "/metrics" else counting.serve()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def serve(self):
        if self.good > 20:
            self.hold_up(0.5)
        time.sleep(self.seconds)
        with self.lock:
            fails = self.fail_every and (self.good + self.bad + 1) % self.fail_every == 0
            self.good, self.bad = self.good + (not fails), self.bad + bool(fails)
            self.spent += self.seconds
        return 500 if fails else 200, b"{}"

    def hold_up(self, seconds):
        """Once, if it is one that stalls: all that it is asked meanwhile waits, as in a process that gets no CPU."""
        with self.lock:
            if self.stalls:
                self.stalls = False
                time.sleep(seconds)
                self.spent += CONNECTIONS * seconds

    def metrics(self):
        if not self.counts:
            return b"rollcall_connections 3\n"
        sends, posts = (int(rate * (time.monotonic() - self.began)) for rate, _ in (self.sends, self.posts))
        return METRICS.format(
            good=self.good + posts,
            bad=self.bad,
            all=self.good + self.bad + posts,
            seconds=self.spent + posts * self.posts[1],
            sends=sends,
            send_seconds=sends * self.sends[1],
        ).encode()


@pytest.fixture
def compare():
    """The module's verdict on two toys. Each has its own port, so the one that both listeners share is told by name."""
    toys = []

    def compare(canary, control, **params):
        module = load("rollcall_canary")
        ports = {"canary": canary.port, "control": control.port}
        toys.extend((canary, control))

        class OnOwnPort(module.Watched):
            def __init__(self, slot, params):
                port = ports[slot["server"]]
                super().__init__(slot, params | {"port": port, "admin_port": port})
                self.params = params | {"port": port}

            def probe(self, room, _, until):
                super().probe(room, self.params, until)

        module.Watched = OnOwnPort
        slots = [{"server": name, "address": "127.0.0.1"} for name in ports]
        defaults = {"seconds": 2.0, "probes_per_second": 200, "min_samples": 50}
        defaults |= {"error_ratio": 3, "error_floor": 0.015, "latency_ratio": 3, "latency_floor_ms": 5}
        return module.compare(defaults | {"canary": slots[0], "controls": slots[1:]} | params)

    yield compare
    for toy in toys:
        toy.server.shutdown()
        toy.server.server_close()


def test_as_good_as_the_control_is_good(compare):
    result = compare(Counting(), Counting())
    assert (result["verdict"], result["source"]) == ("good", "metrics")
    # The rejected sends that the toys tell of are older than the window, and their senders' doing.
    assert result["canary"]["errors"] == 0 and result["canary"]["requests"] >= 50


def test_o21_it_talks_where_nobody_can_come_in(compare):
    """All of them in one room, so that they do the same; the next roll in another."""
    rooms = []
    for _ in range(2):
        sides = Counting(), Counting()
        compare(*sides, seconds=0.3)
        assert sides[0].paths == sides[1].paths
        rooms += sides[0].paths - {"/metrics"}
    assert len(set(rooms)) == 2
    assert all(re.fullmatch("/api/v1/rooms/rollcall-probe-[0-9a-f]{32}/messages", room) for room in rooms)


def test_five_percent_errors_are_bad(compare):
    result = compare(Counting(fail_every=20), Counting())
    assert result["verdict"] == "bad" and "requests failed" in result["msg"]


def test_the_same_errors_on_both_sides_are_not_the_release_s(compare):
    assert compare(Counting(fail_every=20), Counting(fail_every=20))["verdict"] == "good"


def test_ten_times_slower_is_bad(compare):
    result = compare(Counting(seconds=0.05), Counting(seconds=0.005))
    assert result["verdict"] == "bad" and "a request takes" in result["msg"]


def test_a_canary_that_was_held_up_once_is_good(compare):
    """With other work on two cores a good release was refused: its requests took 13.3 ms, the control's 2.3 ms."""
    result = compare(Counting(stalls=True), Counting())
    assert (result["verdict"], result["canary"]["errors"]) == ("good", 0)


def test_ten_times_slower_than_nothing_is_nothing(compare):
    assert compare(Counting(seconds=0.003), Counting(seconds=0.0003))["verdict"] == "good"


def test_slow_sends_of_the_control_s_clients_do_not_hide_a_slow_canary(compare):
    """It has all the senders, since nobody has moved yet."""
    result = compare(Counting(seconds=0.04), Counting(seconds=0.0005, sends=(600, 0.02)))
    assert result["verdict"] == "bad" and "a request takes" in result["msg"]


def test_nor_do_their_slow_requests(compare):
    """Only the own requests are the same on both sides."""
    result = compare(Counting(seconds=0.04), Counting(seconds=0.0005, posts=(600, 0.02)))
    assert result["verdict"] == "bad" and "a probe takes" in result["msg"]


def test_slow_sends_are_bad(compare):
    result = compare(Counting(sends=(50, 0.1)), Counting(sends=(400, 0.01)))
    assert result["verdict"] == "bad" and "a send takes 100.0 ms, the control's 10.0 ms" in result["msg"]


def test_few_sends_prove_nothing(compare):
    assert compare(Counting(sends=(1, 0.1)), Counting(sends=(400, 0.01)))["verdict"] == "good"


def test_so_slow_that_there_are_few_samples_is_bad_all_the_same(compare):
    assert compare(Counting(seconds=0.3), Counting())["verdict"] == "bad"


def test_one_that_hardly_answers_is_bad(compare):
    result = compare(Counting(seconds=0.9), Counting())
    assert result["verdict"] == "bad" and "it answered" in result["msg"]


def test_too_few_requests_prove_nothing_and_say_so(compare):
    result = compare(Counting(fail_every=2), Counting(), probes_per_second=8, min_samples=200)
    assert result["verdict"] == "unknown" and "prove nothing" in result["note"]


def test_nothing_to_compare_with_is_said(compare):
    assert compare(Counting(), Counting(), controls=[])["verdict"] == "unknown"


def test_a_release_that_counts_nothing_is_judged_by_the_answers(compare):
    result = compare(Counting(fail_every=20), Counting(counts=False))
    assert (result["verdict"], result["source"]) == ("bad", "probes")


def test_a_canary_that_is_gone_fails_without_a_verdict(run, toy):
    toy.stop()
    slot = {"server": "r1-green", "address": "127.0.0.1"}
    result = run("rollcall_canary", canary=slot, controls=[slot], port=toy.port, admin_port=toy.port)
    assert result["failed"] and result["verdict"] == "unknown" and "r1-green does not answer" in result["msg"]
