# Apache-2.0
"""What a replica counts, as much of it as tells a bad one from a good one."""

import re

LINE = re.compile(r'^(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>[0-9.eE+-]+|NaN|\+Inf)$')
LABEL = re.compile(r'(\w+)="([^"]*)"')
# What is timed, and where a release counts it.
TIMED = {"request": "rollcall_http_request_seconds", "send": "rollcall_send_seconds"}


def parse(text):
    """(name, value of its only label) -> number; our metrics have at most one, and buckets are not asked for."""
    found = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match and not match["name"].endswith("_bucket"):
            labels = LABEL.findall(match["labels"] or "")
            found[match["name"], labels[0][1] if labels else ""] = float(match["value"])
    return found


class Times:
    """How long all of one kind took together."""

    def __init__(self, seconds=0.0, count=0):
        self.seconds = seconds
        self.count = count

    def __add__(self, other):
        return Times(self.seconds + other.seconds, self.count + other.count)

    @property
    def mean_ms(self):
        return 1000 * self.seconds / self.count if self.count else 0.0


class Sample:
    """Requests and sends of one or several replicas within a window."""

    def __init__(self, requests=0, errors=0, times=None):
        self.requests = requests
        self.errors = errors
        # By kind, and never one mean of all: a send takes many times as long as a read, so that would tell who has the
        # senders.
        self.times = times or {}

    def __add__(self, other):
        times = {kind: self.timed(kind) + other.timed(kind) for kind in self.times | other.times}
        return Sample(self.requests + other.requests, self.errors + other.errors, times)

    def timed(self, kind):
        return self.times.get(kind, Times())

    @property
    def error_share(self):
        return self.errors / self.requests if self.requests else 0.0


def window(before, after):
    """What was counted between two scrapes; nothing if this release does not count it, or started anew meanwhile."""
    delta = {key: after[key] - before.get(key, 0.0) for key in after}
    if not any(name == "rollcall_http_requests_total" for name, _ in delta):
        return None
    if any(change < 0 for (name, _), change in delta.items() if name.endswith(("_total", "_count"))):
        return None

    def total(metric, *labels):
        return sum(change for (name, label), change in delta.items() if name == metric and (not labels or label in labels))

    return Sample(
        # A rejected send is the sender's doing, as a 4xx is.
        requests=int(total("rollcall_http_requests_total") + total("rollcall_messages_in_total")),
        errors=int(total("rollcall_http_requests_total", "5xx") + total("rollcall_messages_in_total", "failed")),
        times={kind: Times(total(f"{name}_sum"), int(total(f"{name}_count"))) for kind, name in TIMED.items()},
    )
