"""A person at the page who does more than talk: signs in, opens rooms, presses what there is to press."""

import json
import urllib.parse

from chat import Chat
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

PASSWORD = "four long words here"


class Person(Chat):
    """One tab of one browser."""

    def css(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def row(self, id_):
        return self.css(f"li[data-id='{id_}']")

    def row_of(self, text):
        """The message on the screen that says so."""
        self.until_shown(text)
        return self.row(next(row["id"] for row in self.shown() if row["text"] == text))

    def press(self, words):
        """The button of an open dialog that says so."""
        self.driver.find_element("xpath", f"//dialog[@open]//button[normalize-space()='{words}']").click()

    def type_until(self, condition, what):
        """One who types goes on with it; a letter alone, right after a message, is not worth telling others."""
        self.until(lambda: self.find("text").send_keys(".") or condition(), what)

    def act(self, text, label):
        """What one can do with a message: the pointer goes there, and presses. What cannot be undone takes two presses."""
        offered = lambda: self.all(f".message .acts [aria-label='{label}']")
        self.until(lambda: offered() or (self.point_at(text), offered())[1], f"{label!r} is offered")
        self.css(f".message .acts [aria-label='{label}']").click()
        for sure in self.all(".message .acts .sure"):
            sure.click()

    def point_at(self, text):
        """Comes from elsewhere: a row that was scrolled under the pointer hears nothing of it."""
        away, row = self.find("room-title"), self.row_of(text)
        ActionChains(self.driver).move_to_element(away).move_to_element(row).perform()

    def acts(self, text):
        self.point_at(text)
        return [it.get_attribute("aria-label") for it in self.all(".message .acts button")]

    def close_dialog(self):
        self.driver.execute_script("document.querySelector('dialog[open]').close()")

    def fill_account(self, name, password):
        for id_, value in (("account-name", name), ("account-password", password)):
            self.find(id_).clear()
            self.find(id_).send_keys(value)
        self.find("account-password").send_keys(Keys.ENTER)

    def sign_up(self, name, password=PASSWORD):
        self.find("account-open").click()
        self.press("Register a name instead")
        self.fill_account(name, password)
        return self.until_account("registered")

    def sign_in_at_the_door(self, name, password=PASSWORD):
        """Before one has a name here."""
        self.asked()
        self.find("join-account").click()
        self.fill_account(name, password)
        self.until_served()
        return self.until_account("registered")

    def until_account(self, words):
        # On a phone it is in a drawer.
        called = lambda: self.find("account-open").get_attribute("textContent")
        self.until(lambda: words in called(), f"the page calls one {words}")
        return self

    def go(self, room):
        """To a room by its name in the address."""
        self.driver.execute_script("location.hash = '#' + encodeURIComponent(arguments[0])", room)
        self.until_in(room)
        return self

    def until_in(self, title):
        self.until(lambda: self.find("room-title").text == title, f"one is in {title}")

    def make_room(self, name, private=False):
        self.find("text").send_keys(Keys.CONTROL, "k")
        self.find("switch-to").send_keys(name)
        hint = "New private room" if private else "New room"
        self.until(lambda: hint in self.find("switch-list").text, "it can be made")
        option = f"//li[@role='option'][span[@class='hint' and .='{hint}']]"
        # The list is drawn anew when rooms are found by that name.
        self.until(lambda: self.driver.find_element("xpath", option).click() or True, "it is chosen")
        self.until_in(name)
        self.until(lambda: "made this room" in self.notices(), "it is made")
        return self

    def notices(self):
        return " ".join(it.text for it in self.all(".conversation:not([hidden]) .notice"))

    def strip(self):
        return self.find("strip").text

    def word(self):
        return self.find("word").text

    def people(self):
        """Names of who is here, in the order of the list."""
        return [it.text for it in self.all("#people-list .person .name")]

    def address_room(self):
        """The room on the screen, by its name."""
        return urllib.parse.unquote(self.driver.current_url.split("#")[1])

    def badge(self, room):
        return "".join(it.text for it in self.all(f"#rooms a[href='#{urllib.parse.quote(room)}'] .badge"))

    def saved(self, key):
        return json.loads(self.driver.execute_script("return localStorage.getItem(arguments[0])", key) or "null")
