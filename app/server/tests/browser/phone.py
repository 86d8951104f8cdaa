"""A phone in the audience: it joins by `/#hall`, taps and votes."""

from person import Person

# A finger instead of the mouse.
TOUCH = "--blink-settings=primaryHoverType=1,availableHoverTypes=1,primaryPointerType=2,availablePointerTypes=2"
SIZE = (390, 844)

# Says something and reloads when a move opens its second connection, before the first one is closed: the page goes on until
# the next one is there, and hears nothing on it.
RELOAD_IN_A_MOVE = """
const Real = WebSocket;
window.WebSocket = class extends Real {
  constructor(...where) {
    super(...where);
    document.getElementById("text").value = said;
    document.getElementById("composer").requestSubmit();
    location.reload();
  }
  set onmessage(_) {}
};
"""

# Taps once when it sees that another replica serves it.
TAP_WHEN_MOVED = """
const serving = document.getElementById("serving");
const look = new MutationObserver(() => {
  look.disconnect();
  document.querySelector(".hall-notice").click();
});
look.observe(serving, { subtree: true, childList: true, characterData: true });
"""


class Phone(Person):
    """One tab of it."""

    def __init__(self, driver, url, size=SIZE, colours="light"):
        super().__init__(driver, url, "hall")
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        features = [{"name": "prefers-color-scheme", "value": colours}]
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def enter(self):
        """One tap, by the name that is proposed."""
        self.open().asked()
        self.css("#join .primary").click()
        self.until_in_hall()
        return self.record()

    def until_in_hall(self):
        self.until(lambda: self.css(".hall-bar").is_displayed(), "it is in the hall")
        self.until_served()

    def until_served(self):
        served = "return document.getElementById('status').dataset.state === 'serving'"
        self.until(lambda: self.driver.execute_script(served), "a replica serves the page")

    def view(self, words):
        self.driver.find_element("xpath", f"//nav[@aria-label='The hall']//button[normalize-space()='{words}']").click()
        return self

    def tap(self):
        self.css(".hall-notice").click()

    def tap_when_moved(self):
        self.driver.execute_script(TAP_WHEN_MOVED)

    def reload_in_a_move(self, text):
        """Once it is told to go it says so, and reloads before it has gone."""
        self.driver.execute_script(f"const [said] = arguments;{RELOAD_IN_A_MOVE}", text)

    def has_reloaded(self):
        return not self.driver.execute_script("return 'seen' in window")

    def told(self):
        """How a tap was judged."""
        return self.css(".hall-said").text

    def asked_now(self):
        """What it tells of a question wherever one does not answer it."""
        return self.driver.execute_script("return document.querySelector('.hall-asks').textContent")

    def receipt(self):
        self.view("Receipt")
        # At once: it is drawn anew with each message.
        words = "return [...document.querySelectorAll('.hall-receipt dt')].map((it) => [it.innerText, it.nextElementSibling.innerText])"
        return dict(self.driver.execute_script(words))

    def vote(self, replica):
        self.view("Vote")
        self.until(lambda: replica in self.ballot(), "it is asked")
        self.driver.find_element("xpath", f"//*[@class='ballot']//button[.='{replica}']").click()
        self.until(lambda: f"{replica} is in the log" in self.css(".hall-vote .soft").text, "it is counted")

    def answer(self):
        """What it says of itself when the roll is called."""
        said = ".hall-receipt [role=status]"
        can = f"return !document.querySelector('.hall-receipt .primary').hidden && !document.querySelector('{said}').textContent"
        self.until(lambda: self.driver.execute_script(can), "the roll is called")
        receipt = self.receipt()
        self.css(".hall-receipt .primary").click()
        self.until(lambda: self.css(said).text == "Your answer is in the log.", "it has answered")
        return receipt

    def ballot(self):
        """The replicas that one may vote for, and whether that is one's vote."""
        return {it.text: it.get_attribute("aria-pressed") == "true" for it in self.all(".ballot button")}
