"""What 1.1.0 has and 1.0.0 has not: applause, and a colour of its own. It comes and goes with the release that serves."""

from person import Person

ACCENT = "return getComputedStyle(document.documentElement).getPropertyValue('--accent')"


def claps(chat):
    return chat.driver.execute_script("return document.getElementById('clap')?.checkVisibility() ?? false")


def again(server, release, applause):
    server.kill()
    server.own["APPLAUSE"] = applause
    server.start(release)


def test_applause_comes_and_goes_with_the_release_that_serves(browser, server):
    chat = Person(browser(), server.url).open().join("Ada")
    blue = chat.driver.execute_script(ACCENT)
    assert not claps(chat), "1.0.0 has none"
    again(server, "1.1.0", "true")
    chat.until(lambda: claps(chat), "1.1.0 has it, on a page that came from 1.0.0")
    assert chat.driver.execute_script(ACCENT) != blue
    chat.find("clap").click()
    chat.until_sent("👏")
    again(server, "1.0.0", "false")
    chat.until(lambda: not claps(chat), "back on 1.0.0 it is gone")
    assert chat.driver.execute_script(ACCENT) == blue
    again(server, "1.1.0", "true")
    chat.until(lambda: claps(chat), "and here it is again")
    assert chat.driver.execute_script("return document.querySelectorAll('#clap').length") == 1
