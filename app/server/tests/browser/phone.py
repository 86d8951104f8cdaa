"""A phone in the audience: it joins by `/#hall`, taps and votes."""

from person import Person

# A finger instead of the mouse.
TOUCH = "--blink-settings=primaryHoverType=1,availableHoverTypes=1,primaryPointerType=2,availablePointerTypes=2"
SIZE = (390, 844)


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

    def told(self):
        """How a tap was judged."""
        return self.css(".hall-said").text

    def receipt(self):
        self.view("Receipt")
        words = self.all(".hall-receipt dt"), self.all(".hall-receipt dd")
        return {dt.text: dd.text for dt, dd in zip(*words, strict=True)}

    def ballot(self):
        """The replicas that one may vote for, and whether that is one's vote."""
        return {it.text: it.get_attribute("aria-pressed") == "true" for it in self.all(".ballot button")}
