# Apache-2.0
"""Asking clients to move while their replicas go on."""

from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.rollcall_admin import Admin, AdminError, AdminRefusal

NOTHING = {"told": 0, "moved": 0, "ignored": 0, "left": 0}
# A replica that does not answer by then is a note, not a reason to keep everybody else waiting.
PATIENCE_SECONDS = 5


class Nudged:
    """One replica, and what its nudge has brought so far."""

    def __init__(self, name, address, port):
        self.name = name
        self.admin = Admin(address, port, PATIENCE_SECONDS)
        self.before, self.now = NOTHING, NOTHING
        self.note = ""

    def begin(self, request):
        """Ask; a replica that cannot be asked is one whose clients stay."""
        try:
            self.before = self.admin.get("/nudge")
            self.now = self.admin.call("POST", "/nudge", request)
        except AdminRefusal as error:
            self.note = f"{self.name} was not nudged, so its clients stay where they are: {error}"
        except AdminError as error:
            self.note = f"{self.name} could not be asked: {error}"

    def look(self):
        """What has become of it; nothing new of a replica that went away."""
        if self.note:
            return
        try:
            self.now = self.admin.get("/nudge")
        except AdminError as error:
            self.note = f"{self.name} went away meanwhile: {error}"

    def count(self, what):
        """Of this nudge; the replica counts all of its life. Those left are those left."""
        return self.now["left"] if what == "left" else self.now[what] - self.before[what]


class Nudge:
    """A nudge of several replicas at once: a client that moves from the first must not be asked by the last again."""

    def __init__(self, replicas, port):
        """`replicas`: name -> address."""
        self.replicas = [Nudged(name, address, port) for name, address in replicas.items()]

    def begin(self, requests):
        """`requests`: name -> body of the request; a replica without one is not asked."""
        self.replicas = [it for it in self.replicas if it.name in requests]
        self._all(lambda it: it.begin(requests[it.name]))

    def look(self):
        self._all(Nudged.look)

    def _all(self, do):
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(do, self.replicas))

    def total(self, what):
        """`told`, `moved`, `ignored` or `left`, of all together."""
        return sum(it.count(what) for it in self.replicas)

    @property
    def notes(self):
        return [it.note for it in self.replicas if it.note]
