"""People in the hall, each with a phone of their own: what they do while the show goes on, and what each has seen of it."""

import re

from phone import SIZE, TOUCH, Phone

NAMES = ("Quiet Otter", "Brave Finch", "Sunny Newt")
# How often somebody was moved, as a receipt says it.
TIMES = {"never": 0, "once": 1, "twice": 2}


class Audience:
    """So many real browsers, who come by the address that the stage shows."""

    def __init__(self, browser, url, count):
        self.phones = [Phone(browser(url, *SIZE, TOUCH).driver, url) for _ in range(count)]
        # Names that are proposed may be those of two, and the stage's recording tells people by their names.
        for number, phone in enumerate(self.phones):
            phone.open().join(f"{NAMES[number % len(NAMES)]} {number}")
            phone.until_in_hall()
        self.names = {phone.participant()["name"] for phone in self.phones}
        # What one of them does in a move: `reloads` is told apart, since a page that is gone counts nothing.
        self.reloads, self.taps, self.errs = self.phones[:3]

    def before_a_roll(self):
        self.reloads.reload_in_a_move("Said while I was told to go")
        self.taps.tap_when_moved()
        self.errs.tap()

    def after_a_roll(self, colour):
        """All of them shine in the colour of the release that serves now."""
        lantern = "return document.querySelector('.hall-lantern').dataset.colour"
        for phone in self.phones:
            phone.until(lambda phone=phone: phone.driver.execute_script(lantern) == colour, f"it shines in colour {colour}")
        if self.reloads.has_reloaded():
            self.reloads.until_in_hall()
            assert self.reloads.texts().count("Said while I was told to go") == 1
            self.reloads.record()

    def talk(self):
        for number, phone in enumerate(self.phones):
            phone.view("Talk").say(f"Greetings from phone {number}")
            phone.until_sent(f"Greetings from phone {number}")

    def vote(self, most, fewer):
        for number, phone in enumerate(self.phones):
            phone.vote(fewer if number % 3 == 0 else most)

    def answer(self):
        """Each for itself. How often they were moved, without the one who reloaded."""
        receipts = {phone: phone.answer() for phone in self.phones}
        for phone, receipt in receipts.items():
            came, of = receipt["messages"].split(" of ")
            assert came == of and phone.css(".hall-receipt .verdict").text == "Nothing was lost.", receipt
            said, taken = receipt["yours, in the log"].split(" of ")
            assert said == taken, receipt
        del receipts[self.reloads]
        return sum(times(receipt["moved"]) for receipt in receipts.values())

    def without_who_reloaded(self):
        return self.names - {self.reloads.participant()["name"]}


def times(words):
    return TIMES.get(words) or int((re.match(r"\d+", words) or "0")[0])
