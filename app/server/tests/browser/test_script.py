"""Script in whatever people type: nothing of it runs, and nothing is shown as markup."""

import secrets

import pytest
from person import Person
from selenium.webdriver.common.keys import Keys
from stack import Room

# Each would set `window.ran` if a browser took it for markup. A name has 32 characters.
NAMES = ["<img src=x onerror=ran=1>", "</script><script>ran=1</script>"]
TEXTS = [
    "<img src=x onerror=ran=1>",
    "</p></li><script>ran=1</script>",
    "</script><script>ran=1</script>",
    "<svg onload=ran=1>",
    "javascript:ran=1",
    "[here](javascript:ran=1)",
    "JaVaScRiPt://x/%0aran=1 data:text/html,<script>ran=1</script>",
    'https://example.org/"onmouseover="ran=1"x=',
    "https://example.org/<img/src=x/onerror=ran=1>",
    "`<img src=x onerror=ran=1>`",
    "```\n</code><script>ran=1</script>\n```",
    "@<img src=x onerror=ran=1> hello",
]
TOPIC = "<img src=x onerror=ran=1></script><script>ran=1</script> javascript:ran=1"
ROOM = "<img src=x onerror=ran=1>"

MARKUP = """
return [...document.querySelectorAll("#chat :is(img, iframe, object, embed, form form, b i), #chat script, dialog :is(img, script), svg[onload]")]
  .concat([...document.querySelectorAll("*")].filter((it) => [...it.attributes].some(({ name }) => name.startsWith("on"))))
  .map((it) => it.outerHTML.slice(0, 200));
"""
LINKS = "return [...document.querySelectorAll('#chat a')].map((it) => it.protocol)"


def quiet(page):
    """Nothing ran, nothing became markup, and no link leads anywhere but to a page."""
    assert page.driver.execute_script("return window.ran ?? null") is None
    assert page.driver.execute_script(MARKUP) == []
    assert set(page.driver.execute_script(LINKS)) <= {"http:", "https:"}
    violations = [it["message"] for it in page.console_errors() if "Content Security Policy" in it["message"]]
    assert violations == [], "nothing even tried"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text(browser, server, name):
    evil = Person(browser(), server.url).open().join(name)
    victim = Person(browser(), server.url).open().join("Ada")
    evil.say("hello")
    victim.until_shown("hello")
    victim.until(lambda: name in victim.people(), "the name is in the list")
    assert victim.shown()[-1]["name"] == name
    victim.find("text").send_keys("@" + name[:3])
    victim.until(lambda: name in victim.find("mentions").text, "the name is offered")
    evil.type_until(lambda: name in victim.find("typing").text, "who types is told")
    for page in (evil, victim):
        quiet(page)


def test_a_text_is_text(browser, server):
    room, key = Room(server.url, "lobby"), secrets.token_hex(16)
    for n, text in enumerate(TEXTS, 1):
        room.say(key, "Mallory", n, text)
    page = Person(browser(), server.url).open().join("Ada")
    page.until(lambda: len(page.texts()) == len(TEXTS), "they are here")
    assert page.texts()[0] == TEXTS[0] and page.texts()[2] == TEXTS[2]
    quiet(page)
    for n, text in enumerate(TEXTS, len(TEXTS) + 1):
        room.say(key, "Mallory", n, text)
    page.until(lambda: len(page.texts()) == 2 * len(TEXTS), "they came one by one, too")
    for link in page.all(".text a"):
        assert link.get_attribute("href").startswith("https://example.org/")
    quiet(page)
    page.driver.refresh()
    page.until_served()
    page.until(lambda: len(page.texts()) == 2 * len(TEXTS), "what was kept is text, too")
    quiet(page)


def test_a_room_and_its_topic_are_text(browser, server):
    owner = Person(browser(), server.url).open().join("Mallory").sign_up("Mallory")
    owner.make_room(ROOM)
    owner.find("room-about").click()
    owner.find("topic-field").send_keys(TOPIC, Keys.ENTER)
    owner.until(lambda: owner.find("topic").text == TOPIC, "the topic is set")
    quiet(owner)
    victim = Person(browser(), server.url).open().join("Ada")
    victim.find("text").send_keys(Keys.CONTROL, "k")
    victim.find("switch-to").send_keys("<img")
    victim.until(lambda: TOPIC in victim.find("switch-list").text, "it is found")
    quiet(victim)
    victim.find("switch-to").send_keys(Keys.ENTER)
    victim.until_in(ROOM)
    victim.until(lambda: TOPIC in victim.notices(), "the notice is text")
    victim.find("room-about").click()
    victim.until(lambda: TOPIC in victim.find("about-room").text, "the dialog says it")
    quiet(victim)


@pytest.mark.parametrize("address", ["#<img src=x onerror=ran=1>", "#%3Cscript%3Eran=1%3C/script%3E", "#javascript:ran=1", "#lobby?invite=<script>ran=1</script>"])
def test_an_address_is_text(browser, server, address):
    page = Person(browser(), server.url)
    page.address = f"{server.url}/{address}"
    page.open().join("Ada")
    page.find("room-about").click()
    quiet(page)


def test_the_policy_would_stop_what_got_through(browser, server):
    page = Person(browser(), server.url).open().join("Ada")
    page.driver.execute_script("""
      const hole = document.createElement("div");
      hole.innerHTML = "<img src=x onerror='window.ran=1'><a id=hole href='javascript:window.ran=1'>x</a>";
      document.body.append(hole);
      document.getElementById("hole").click();
    """)
    refused = lambda: [it for it in page.console_errors() if "Content Security Policy" in it["message"]]
    seen = []
    page.until(lambda: seen.extend(refused()) or len(seen) >= 2, "both are refused")
    assert page.driver.execute_script("return window.ran ?? null") is None
