"""Two replicas on one Redis, each behind a way of its own, rolled one after the other as a roll does it."""

import json
import os
import subprocess
import threading
import time
import urllib.request

from stack import Server, Wire, free_port

REDIS = os.environ.get("ROLLCALL_REDIS_SERVER", "redis-server")
SPREAD_MS = 200
PATIENCE_S = 30


class Redis:
    """A real one, of the test's own, which keeps nothing."""

    def __init__(self, folder):
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}"
        settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
        self.process = subprocess.Popen([REDIS, *settings], stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if "Ready to accept connections" in line:
                return
        raise RuntimeError(f"Redis ended with {self.process.wait()}")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Replicas:
    """Two replicas; `ways[0]` leads to one of them, `ways[1]` to the other. `settings`: more of their environment."""

    def __init__(self, folder, address="127.0.0.1", **settings):
        self.folder, self.started, self.turns, self.settings = folder, [], 0, settings
        self.redis = Redis(folder)
        self.now = [self._start(name, "1.0.0") for name in ("r1", "r2")]
        self.ways = [Wire(replica.port, address=address) for replica in self.now]

    def _start(self, name, release):
        log = self.folder / f"{name}-{len(self.started)}.log"
        self.started.append(Server(log, self.redis, name, **self.settings))
        return self.started[-1].start(release)

    def turn(self, number, meanwhile=lambda: None):
        """A newer release beside the old one, which is emptied, and stopped once nobody is there. What it told of its drain.
        `meanwhile`: once everybody was told to go."""
        self.turns += 1
        old, new = self.now[number], self._start(f"r{number + 1}", f"1.0.{self.turns}")
        self.ways[number].port = new.port
        self.now[number] = new
        _ask(old, "POST", {"spread_ms": SPREAD_MS, "deadline_ms": PATIENCE_S * 1000})
        meanwhile()
        deadline = time.monotonic() + PATIENCE_S
        while (told := _ask(old, "GET"))["connections"] > 0:
            assert time.monotonic() < deadline, f"it was never empty: {told}"
            time.sleep(0.02)
        old.process.terminate()
        assert old.process.wait(PATIENCE_S) == 0
        assert told["forced"] == told["ignored"] == 0, told
        return told

    def stop(self):
        for way in self.ways:
            way.close()
        for replica in self.started:
            replica.stop()
        self.redis.stop()


def _ask(replica, method, body=None):
    address = f"http://127.0.0.1:{replica.admin_port}/drain"
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, sent, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


class Rolling(threading.Thread):
    """Rolls both, again and again, for as long as it is entered."""

    def __init__(self, replicas):
        super().__init__()
        self.replicas, self.over, self.told, self.error = replicas, threading.Event(), [], None

    def run(self):
        try:
            while not self.over.is_set() or len(self.told) < 2:
                self.told.append(self.replicas.turn(len(self.told) % 2))
        except BaseException as error:  # noqa: BLE001: it is raised where somebody hears it
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()
        if self.error:
            raise self.error
