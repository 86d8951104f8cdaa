"""A server with all features, as far as the page can see: `newer.js` changes what it says."""

import json
from pathlib import Path

from chat import Chat

SCRIPT = (Path(__file__).parent / "newer.js").read_text()


class Newer(Chat):
    """One tab that believes so."""

    def open(self):
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SCRIPT})
        return super().open()

    def answer(self, request, status, body):
        """What comes of a request that begins so."""
        self.driver.execute_script("window.answers[arguments[0]] = [arguments[1], arguments[2]]", request, status, body)

    def tell(self, frame):
        self.driver.execute_script("window.tell(arguments[0])", frame)

    def message(self, room, text, **more):
        """A message in the log after the last one here."""
        self.participant()
        last = self.driver.execute_script(
            "return JSON.parse(sessionStorage.getItem('rollcall')).rooms[arguments[0]].cursor", room)
        ms = int(last.split("-")[0]) + 1
        self.tell({"type": "message", "room": room, "id": f"{ms}-7", "prev": last, "member": "f" * 16, "name": "Grace", "n": 1,
                   "text": text, "at": ms, **more})
        return f"{ms}-7"

    def state(self, room="lobby", moderates=False, muted_until=None, **more):
        you = {"moderates": moderates, **({"muted_until": muted_until} if muted_until else {})}
        usual = {"topic": "", "access": "open", "frozen": False, "archived": False, "slow_ms": 0}
        self.tell({"type": "room", "room": room, **usual, **more, "you": you})

    def said(self, kind):
        frames = self.driver.execute_script("return window.said ?? []")
        return [frame for frame in frames if frame["type"] == kind]

    def requests(self, request):
        return [body for asked, body in self.driver.execute_script("return window.asked") if asked.startswith(request)]

    def css(self, selector):
        return self.driver.find_element("css selector", selector)

    def row(self, id_):
        return self.css(f"li[data-id='{id_}']")

    def saved(self, key):
        return json.loads(self.driver.execute_script("return localStorage.getItem(arguments[0])", key) or "null")
