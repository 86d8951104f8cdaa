# Apache-2.0
"""What a replica counts, as much of it as tells a bad one from a good one."""

import re

LINE = re.compile(r'^(?P<name>[a-z_]+)(?:\{(?P<labels>[^}]*)\})? (?P<value>[0-9.eE+-]+|NaN|\+Inf)$')
LABEL = re.compile(r'(\w+)="([^"]*)"')


def parse(text):
    """(name, value of its only label) -> number; our metrics have at most one, and buckets are not asked for."""
    found = {}
    for line in text.splitlines():
        match = LINE.match(line)
        if match and not match["name"].endswith("_bucket"):
            labels = LABEL.findall(match["labels"] or "")
            found[match["name"], labels[0][1] if labels else ""] = float(match["value"])
    return found


class Sample:
    """Requests and sends of one or several replicas within a window."""

    def __init__(self, requests=0, errors=0, seconds=0.0, timed=0):
        self.requests = requests
        self.errors = errors
        # The sum of the times of `timed` requests.
        self.seconds = seconds
        self.timed = timed

    def __add__(self, other):
        return Sample(*(mine + theirs for mine, theirs in zip(self._parts(), other._parts())))

    def _parts(self):
        return self.requests, self.errors, self.seconds, self.timed

    @property
    def error_share(self):
        return self.errors / self.requests if self.requests else 0.0

    @property
    def mean_ms(self):
        return 1000 * self.seconds / self.timed if self.timed else 0.0


def window(before, after):
    """What was counted between two scrapes; nothing if this release does not count it, or started anew meanwhile."""
    delta = {key: after[key] - before.get(key, 0.0) for key in after}
    if not any(name == "rollcall_http_requests_total" for name, _ in delta):
        return None
    if any(change < 0 for (name, _), change in delta.items() if name.endswith(("_total", "_count"))):
        return None

    def total(metric, *labels):
        return sum(change for (name, label), change in delta.items() if name == metric and (not labels or label in labels))

    timed = ("rollcall_http_request_seconds", "rollcall_send_seconds")
    return Sample(
        # A rejected send is the sender's doing, as a 4xx is.
        requests=int(total("rollcall_http_requests_total") + total("rollcall_messages_in_total")),
        errors=int(total("rollcall_http_requests_total", "5xx") + total("rollcall_messages_in_total", "failed")),
        seconds=sum(total(f"{name}_sum") for name in timed),
        timed=int(sum(total(f"{name}_count") for name in timed)),
    )
