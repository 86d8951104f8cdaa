"""How the page looks at each size: nothing is cut off, targets can be touched, and, where `AXE` is the path of axe-core
(npm), it finds nothing. With `ROLLCALL_SCREENS` pictures are kept in that folder, for people to look at."""

import os
import secrets
from pathlib import Path

import pytest

from person import Person
from stack import Account, Room

SCREENS = os.environ.get("ROLLCALL_SCREENS")
AXE = os.environ.get("AXE")

# Name, width, height, colours, whether by touch. `rtl`: for those who read from right to left.
SIZES = [
    ("light", 1280, 800, "light", False),
    ("rtl", 1280, 800, "light", False),
    ("dark", 1280, 800, "dark", False),
    ("phone-360", 360, 640, "light", True),
    ("phone-320", 320, 568, "dark", True),
    ("4k", 3840, 2160, "light", False),
    ("zoom-400", 320, 200, "light", False),
]

# A finger instead of the mouse.
TOUCH = "--blink-settings=primaryHoverType=1,availableHoverTypes=1,primaryPointerType=2,availablePointerTypes=2"

LINES = [
    ("Crimson", "Everybody ready? The roll begins at nine."),
    ("Teal", "The plan is at https://example.org/plan?step=2 – read it, please."),
    ("Amber", 'I set `MAX` to 15000, and this is the rest:\n```\nrelease: "1.1.0"\n```'),
    ("Plum", "@Ada can you watch the lobby while we are at it?"),
    ("Moss", "Unbreakable: " + "x" * 140),
    ("سارة", "مرحبا بالجميع، هل نبدأ الآن؟ (v1.1.0)"),
]

CUT_OFF = """
return [...document.querySelectorAll("#chat *, dialog *")].filter((it) => {
  const { left, right, width } = it.getBoundingClientRect();
  return it.checkVisibility({ visibilityProperty: true }) && width > 1 && (right > innerWidth + 1 || left < -1);
}).map((it) => it.id || it.className);
"""

SMALL = """
return [...document.querySelectorAll("#chat :is(button, #rooms a, textarea), dialog button")].filter((it) => {
  const { width, height } = it.getBoundingClientRect();
  return it.checkVisibility({ visibilityProperty: true }) && (width < 43.5 || height < 43.5) && !it.matches(".again, .text *");
}).map((it) => `${it.id || it.className} ${it.getAttribute("aria-label")}`);
"""

FINDINGS = """
const done = arguments[0];
axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  done(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).slice(0, 5)}`)), (error) => done([String(error)]));
"""


@pytest.fixture(params=SIZES, ids=[size[0] for size in SIZES])
def sized(request, browser, server):
    name, width, height, colours, touch = request.param
    ada, olive = Account(server.url, "Ada"), Account(server.url, "Olive")
    ada.call("POST", "rooms", {"name": "workshop", "topic": "How to roll without anyone noticing"})
    olive.call("POST", "rooms", {"name": "court"})
    olive.call("PATCH", "rooms/court", {"slow_ms": 15_000})
    olive.call("PUT", f"rooms/court/mutes/{ada.member}", {})
    for who, text in LINES:
        Room(server.url, "workshop").say(secrets.token_hex(16), who, 1, text)
    driver = browser(*([TOUCH] if touch else []))
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": touch})
    features = [{"name": "prefers-color-scheme", "value": colours}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    if name == "rtl":
        turn = "new MutationObserver((_, it) => { if (document.documentElement) { document.documentElement.dir = 'rtl'; it.disconnect(); } })"
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": f"{turn}.observe(document, {{ childList: true }})"})
    with olive.being_in("workshop"):
        chat = Person(driver, server.url, "workshop").open().sign_in_at_the_door("Ada")
        chat.until(lambda: len(chat.texts()) == len(LINES), "history is here")
        chat.until(lambda: chat.find("people-number").get_attribute("textContent") == "2", "both are here")
        chat.name, chat.touch = name, touch
        yield chat


def look(chat, what):
    """At what is on the screen now."""
    driver = chat.driver
    if SCREENS:
        Path(SCREENS).mkdir(parents=True, exist_ok=True)
        driver.save_screenshot(str(Path(SCREENS) / f"{chat.name}-{what}.png"))
    assert driver.execute_script(CUT_OFF) == [], what
    if chat.touch:
        assert driver.execute_script(SMALL) == [], what
    if AXE:
        driver.execute_cdp_cmd("Runtime.evaluate", {"expression": Path(AXE).read_text() + ";0"})
        assert driver.execute_async_script(FINDINGS) == [], what


def press(chat, id_):
    chat.driver.execute_script("document.getElementById(arguments[0]).click()", id_)


def test_nothing_is_cut_off_at_any_size(sized):
    chat = sized
    chat.say("I am here. `code` too.")
    chat.until_sent("I am here. `code` too.")
    look(chat, "talk")
    chat.driver.execute_script("document.querySelectorAll('li.message')[4].focus()")
    look(chat, "acts")
    for panel, name in (("rooms-open", "rooms"), ("people-toggle", "people")):
        press(chat, panel)
        if name == "people":
            chat.until(lambda: chat.all(".person .acts button"), "there is something to be done with Olive")
            chat.driver.execute_script("document.querySelector('.person .acts button').focus()")
        look(chat, name)
        press(chat, "shade")
    for opener, dialog in (("switch", "switcher"), ("room-about", "about-room"), ("account-open", "account"), ("keys-open", "keys")):
        press(chat, opener)
        chat.until(lambda: chat.find(dialog).is_displayed(), f"{dialog} is open")
        look(chat, dialog)
        chat.driver.execute_script("document.querySelector('dialog[open]').close()")
    chat.go("court")
    chat.until(lambda: "muted you" in chat.strip(), "one is muted")
    look(chat, "muted")


def test_while_it_waits_everything_can_be_read(sized, server):
    chat = sized
    server.kill()
    chat.say("said to nobody")
    chat.until(lambda: chat.find("notice").text != "", "it says that it waits")
    look(chat, "waiting")
