"""The page as a person uses it: join, write, read. Every wait is for something to be seen."""

import json

from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 20

# What a person could see of the connection's fate, from the first moment: its state and the words for it over
# the form, and who serves. A look now and then would miss what comes and goes.
RECORD = """
const status = document.getElementById("status");
const seen = (window.seen = { states: [], notices: [], served: [], people: [] });
const text = (id) => document.getElementById(id).textContent;
const note = (list, value) => value && list.at(-1) !== value && list.push(value);
const look = () => {
  note(seen.states, status.dataset.state);
  note(seen.notices, text("notice"));
  const chip = document.getElementById("serving");
  if (!chip.hidden) note(seen.served, `${text("replica")} ${text("release")}`);
  note(seen.people, text("people-count"));
};
look();
const all = { subtree: true, childList: true, characterData: true, attributes: true };
for (const id of ["status", "serving"]) new MutationObserver(look).observe(document.getElementById(id), all);
new MutationObserver(look).observe(document.getElementById("people"), all);
"""

SHOWN = """
return Array.from(document.querySelectorAll(".conversation:not([hidden]) .message"), (row) => ({
  id: row.dataset.id ?? null,
  own: row.classList.contains("own"),
  name: row.querySelector(".name")?.textContent ?? null,
  text: row.querySelector(".text").textContent,
  state: row.querySelector(".state")?.dataset.state ?? null,
}));
"""

SCROLL_UP = "document.querySelector('.conversation:not([hidden])').scrollTop = 99"

BELOW = """
const view = document.querySelector(".conversation:not([hidden])");
return view.scrollHeight - view.scrollTop - view.clientHeight;
"""


class Chat:
    """One tab of one browser."""

    def __init__(self, driver, url, room="lobby"):
        self.driver = driver
        self.address = f"{url}/#{room}"

    def open(self):
        self.driver.get(self.address)
        return self

    def open_twin(self):
        """Another tab, with a copy of this one's session, as a duplicated one has. The driver hears of it a moment later, and
        goes there."""
        before = set(self.driver.window_handles)
        self.driver.execute_script("window.open(location.href, '_blank')")
        self.until(lambda: set(self.driver.window_handles) - before, "the other tab is there")
        (twin,) = set(self.driver.window_handles) - before
        self.driver.switch_to.window(twin)

    def asked(self):
        """The field for the name, once the page's modules have loaded and it asks for one."""
        self.until(lambda: self.find("name").is_displayed(), "the page asks for a name")
        return self.find("name")

    def join(self, name):
        field = self.asked()
        field.clear()
        field.send_keys(name, Keys.ENTER)
        self.until_served()
        return self.record()

    def record(self):
        """From now on what a person could see of the connection is noted."""
        self.driver.execute_script(RECORD)
        return self

    def until_served(self):
        served = "return document.getElementById('status').dataset.state === 'serving'"
        self.until(lambda: self.driver.execute_script(served), "a replica serves the page")
        self.until(lambda: self.find("text").is_displayed(), "one can write")

    def say(self, text):
        self.find("text").send_keys(text, Keys.ENTER)

    def shown(self):
        """The messages of the room on the screen, from top to bottom."""
        return self.driver.execute_script(SHOWN)

    def texts(self):
        return [row["text"] for row in self.shown()]

    def until_shown(self, text):
        self.until(lambda: text in self.texts(), f"{text!r} is shown")

    def until_sent(self, text):
        settled = {"own": True, "text": text, "state": "sent"}
        self.until(
            lambda: any(settled.items() <= row.items() and row["id"] for row in self.shown()),
            f"{text!r} is in the log",
        )

    def scroll_up(self):
        self.driver.execute_script(SCROLL_UP)
        self.until(lambda: self.below() > 1000, "one is further up")

    def below(self):
        """How much of the conversation lies below what is on the screen, in pixels."""
        return self.driver.execute_script(BELOW)

    def seen(self, what):
        return self.driver.execute_script(f"return window.seen.{what}")

    def participant(self):
        self.driver.execute_script("document.dispatchEvent(new Event('freeze', { bubbles: true }))")
        return json.loads(self.driver.execute_script("return sessionStorage.getItem('rollcall')"))

    def console_errors(self):
        return [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def find(self, id_):
        return self.driver.find_element(By.ID, id_)

    def until(self, condition, what):
        wait = WebDriverWait(self.driver, PATIENCE_S, 0.05)
        wait.until(lambda _: _unless_loading(condition), f"waited {PATIENCE_S} s until {what}")


def _unless_loading(condition):
    """What holds; nothing does while the page is just being loaded again, and has taken its elements along."""
    try:
        return condition()
    except StaleElementReferenceException:
        return False
    except WebDriverException as error:
        if any(words in str(error) for words in ("does not belong to the document", "No node with given id found")):
            return False
        raise
