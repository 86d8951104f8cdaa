#!/usr/bin/python
# Apache-2.0
"""Is the new release worse than the one that serves beside it?"""

DOCUMENTATION = r"""
module: rollcall_canary
short_description: Compare a new slot with those of the old release, over the same seconds
description:
  - Reads the metrics of all of them, sends each the same requests past HAProxy (mostly reads, some sends into a room made
    for it, which no client can enter and the server soon forgets) for a few seconds, reads the metrics again, and
    compares what was counted in between, clients' requests included. The own requests make the verdict the same with an
    audience of ten thousand and of none.
  - Requests, clients' sends over their connections, and the own requests as seen from here are timed each by
    themselves. The control has the senders and the canary hardly any yet; a send waits for a disk, and would hide how
    slow the rest is.
  - The control runs beside the canary, on the same machine and the same Redis, so a slow disk or a busy machine slows
    both, and is not taken for a fault of the release.
  - Bad means more errors (5xx, failed sends, own requests refused or without an answer) or longer times of one kind
    than the control by a factor, and by an amount that matters; or that it answers hardly any of the requests that the
    control answers. Where only times are longer both are watched once more, and it is bad if they are longer again. A
    machine that starts a container and does other work may hold one process up for a second, which a mean of 2.5 s does
    not forget; a slow release is slow in both. Too few requests on either side prove nothing; then it says so and passes.
  - If either release is too old to count its requests, both are judged by the module's own requests alone.
options:
  canary: {description: C(server) and C(address) of the new slot., type: dict, required: true}
  controls: {description: The same of the slots it is compared with., type: list, elements: dict, required: true}
  port: {description: Public port of the slots., type: int, default: 8080}
  admin_port: {description: Port of their metrics., type: int, default: 8090}
  seconds: {description: "How long to watch; twice as long where only times are longer.", type: float, default: 2.5}
  probes_per_second: {description: Own requests a second to each slot., type: int, default: 120}
  min_samples: {description: "So many requests on either side, at least, for a verdict on errors.", type: int, default: 100}
  error_ratio: {description: Bad is a share of errors larger by this factor., type: float, default: 3}
  error_floor: {description: "and larger than this share.", type: float, default: 0.015}
  latency_ratio: {description: Bad is a mean time longer by this factor., type: float, default: 3}
  latency_floor_ms: {description: and by more than this., type: float, default: 5}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Does nothing.}
"""

EXAMPLES = r"""
- name: Compare the new slot with the others
  rollcall_canary:
    canary: {server: r1-green, address: 172.30.90.111}
    controls: [{server: r2-blue, address: 172.30.90.12}, {server: r3-blue, address: 172.30.90.13}]
"""

RETURN = r"""
verdict: {description: "C(good), C(bad) (then the module fails) or C(unknown).", type: str, returned: always}
source: {description: "C(metrics), or C(probes) where a release does not count.", type: str, returned: when compared}
canary: {description: "Requests, errors and mean times of the canary.", type: dict, returned: when compared}
control: {description: The same of the control., type: dict, returned: when compared}
note: {description: Why there is no verdict., type: str, returned: when it is unknown}
seconds: {description: Time this took., type: float, returned: always}
"""

import http.client
import json
import secrets
import threading
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_admin import Admin, AdminError, split
from ansible.module_utils.rollcall_metrics import Sample, Times, parse, window
from ansible.module_utils.rollcall_probe import new_room

# A slow release answers fewer requests in the time there is; with several at once it still answers enough.
CONNECTIONS = 4
# Every so many requests one is a send.
SEND_EVERY = 10
# A request that takes longer has no answer.
PATIENCE_SECONDS = 2
# What a request of ours may be answered: it is well-formed, but the room may have had its rate.
FINE = (200, 429)
# A mean says more than a share of rare errors does, so it needs fewer samples by this factor.
TIMED_PART = 10


class Prober(threading.Thread):
    """One connection's requests, at a steady pace."""

    def __init__(self, address, room, params, until):
        super().__init__(daemon=True)
        self.address, published = split(address)
        self.port = published or params["port"]
        self.path = f"/api/v1/rooms/{room}/messages"
        self.pause = CONNECTIONS / params["probes_per_second"]
        self.until = until
        self.key, self.sent = secrets.token_hex(16), 0
        self.connection = None
        self.answered, self.unanswered, self.refused = Sample(), 0, 0

    def run(self):
        asked, due = 0, time.monotonic()
        while due < self.until:
            time.sleep(max(0.0, due - time.monotonic()))
            asked += 1
            self.ask(asked % SEND_EVERY == 0)
            # One that lags does not make up for it with a burst.
            due = max(due + self.pause, time.monotonic())

    def ask(self, send):
        began = time.monotonic()
        try:
            status = self.send() if send else self.request("GET", f"{self.path}?limit=5")
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
            self.close()
        else:
            self.refused += int(status not in FINE and status < 500)
            self.answered += Sample(1, int(status not in FINE), {"probe": Times(time.monotonic() - began, 1)})

    def send(self):
        """The same number again until it was taken, as any client does."""
        body = {"client": self.key, "name": "canary", "n": self.sent + 1, "text": f"canary {self.sent + 1}"}
        status = self.request("POST", self.path, json.dumps(body))
        self.sent += status == 200
        return status

    def request(self, method, path, body=None):
        if not self.connection:
            self.connection = http.client.HTTPConnection(self.address, self.port, timeout=PATIENCE_SECONDS)
        self.connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = self.connection.getresponse()
        response.read()
        return response.status

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Watched:
    """One slot over the seconds in which it is watched."""

    def __init__(self, slot, params):
        self.name, self.address = slot["server"], slot["address"]
        self.admin = Admin(self.address, params["admin_port"], PATIENCE_SECONDS)
        self.before = self.scrape()
        self.counted = None

    def scrape(self):
        try:
            return parse(self.admin.text("/metrics"))
        except AdminError as error:
            raise AdminError(f"{self.name} does not answer any more: {error}") from error

    def probe(self, room, params, until):
        self.probers = [Prober(self.address, room, params, until) for _ in range(CONNECTIONS)]
        for prober in self.probers:
            prober.start()

    def finish(self):
        for prober in self.probers:
            prober.join()
            prober.close()
        self.counted = window(self.before, self.scrape())

    def lasts(self):
        """Whether it can still be compared with; a control that died meanwhile is no measure."""
        try:
            self.finish()
        except AdminError:
            return False
        return True

    def sample(self, source):
        """What was counted, and what never got as far as a counter."""
        answered = sum((prober.answered for prober in self.probers), Sample())
        unanswered = Sample(*[sum(prober.unanswered for prober in self.probers)] * 2)
        # Metrics take a 4xx for the client's fault; of our own requests none is.
        refused = Sample(0, sum(prober.refused for prober in self.probers))
        counted = self.counted + refused + Sample(times=answered.times) if source == "metrics" else answered
        return unanswered + counted


def watch(params):
    """The canary's sample and the control's, and where they come from."""
    canary, *controls = [Watched(slot, params) for slot in [params["canary"], *params["controls"]]]
    room, until = new_room(), time.monotonic() + params["seconds"]
    for watched in (canary, *controls):
        watched.probe(room, params, until)
    canary.finish()
    controls = [control for control in controls if control.lasts()]
    source = "metrics" if all(watched.counted for watched in (canary, *controls)) else "probes"
    return canary.sample(source), sum((control.sample(source) for control in controls), Sample()), source


def failing(canary, control, params):
    """What is not answered, or wrongly, more often than it may be, in words."""
    found = []
    if canary.requests < params["min_samples"] <= control.requests // len(params["controls"]):
        found.append(f"it answered {canary.requests} requests, each of the control {control.requests // len(params['controls'])}")
    limit = max(params["error_ratio"] * control.error_share, params["error_floor"])
    if min(canary.requests, control.requests) >= params["min_samples"] and canary.error_share > limit:
        found.append(
            f"{canary.error_share:.1%} of {canary.requests} requests failed, {control.error_share:.1%} of the control's {control.requests}"
        )
    return found


def slower(canary, control, params):
    """What takes longer than it may, in words."""
    return [words for kind in canary.times for words in slower_of(kind, canary.timed(kind), control.timed(kind), params)]


def slower_of(kind, canary, control, params):
    """The same of the times of one kind."""
    limit = max(params["latency_ratio"] * control.mean_ms, control.mean_ms + params["latency_floor_ms"])
    if min(canary.count, control.count) < params["min_samples"] // TIMED_PART or canary.mean_ms <= limit:
        return []
    return [f"a {kind} takes {canary.mean_ms:.1f} ms, the control's {control.mean_ms:.1f} ms"]


def compare(params):
    if not params["controls"]:
        return {"verdict": "unknown", "note": "canary: nothing serves the old release any more, so there is nothing to compare with"}
    canary, control, source = watch(params)
    if slower(canary, control, params) and not failing(canary, control, params):
        canary, control, source = watch(params)
    found = failing(canary, control, params) + slower(canary, control, params)
    result = {"source": source}
    for name, sample in (("canary", canary), ("control", control)):
        means = {kind: round(times.mean_ms, 2) for kind, times in sample.times.items()}
        result[name] = {"requests": sample.requests, "errors": sample.errors, "mean_ms": means}
    if found:
        return result | {"verdict": "bad", "msg": f"canary {params['canary']['server']}: " + "; ".join(found)}
    if min(canary.requests, control.requests) < params["min_samples"]:
        few = f"canary: {canary.requests} requests, and {control.requests} of the control, prove nothing"
        return result | {"verdict": "unknown", "note": f"{few}; it takes {params['min_samples']}"}
    return result | {"verdict": "good"}


def main():
    module = AnsibleModule(
        argument_spec={
            "canary": {"type": "dict", "required": True},
            "controls": {"type": "list", "elements": "dict", "required": True},
            "port": {"type": "int", "default": 8080},
            "admin_port": {"type": "int", "default": 8090},
            "seconds": {"type": "float", "default": 2.5},
            "probes_per_second": {"type": "int", "default": 120},
            "min_samples": {"type": "int", "default": 100},
            "error_ratio": {"type": "float", "default": 3},
            "error_floor": {"type": "float", "default": 0.015},
            "latency_ratio": {"type": "float", "default": 3},
            "latency_floor_ms": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, verdict="unknown", seconds=0)
    began = time.monotonic()
    try:
        result = compare(module.params)
    except AdminError as error:
        # This is no time to go on. But one that died, not one that was worse, so it is not marked.
        module.fail_json(msg=f"canary: {error}", verdict="unknown")
    result["seconds"] = round(time.monotonic() - began, 3)
    if result["verdict"] == "bad":
        module.fail_json(**result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
