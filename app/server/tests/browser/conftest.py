"""Real browsers, headless. Debian's: nothing is downloaded but the driver of Firefox, which comes as source."""

import os
import re
import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.firefox.service import Service as FirefoxService

from stack import Server

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FIREFOX = os.environ.get("FIREFOX", "/usr/bin/firefox-esr")
GECKODRIVER = os.environ.get("GECKODRIVER") or shutil.which("geckodriver") or str(Path.home() / ".cargo/bin/geckodriver")
CHROMEDRIVER = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")

FLAGS = (
    "--headless",
    "--no-sandbox",  # CI is root in a container, where Chromium's own sandbox does not start.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,800",
    # A mouse, which a machine without a screen has not: one points at things.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report


class Browsers:
    """Opens browsers, each a person of their own."""

    def __init__(self, folder):
        self.folder, self.drivers = folder, []

    def chromium(self, *flags, cookies=None):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        if cookies is not None:  # 2: neither cookies nor any other data of sites
            options.add_experimental_option(
                "prefs", {"profile.default_content_setting_values.cookies": cookies}
            )
        for flag in (*FLAGS, *flags, f"--user-data-dir={self.folder / f'profile-{len(self.drivers)}'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.drivers.append(webdriver.Chrome(options, Service(CHROMEDRIVER)))
        return self.drivers[-1]

    def firefox(self):
        options = webdriver.FirefoxOptions()
        options.binary_location = FIREFOX
        for flag in ("-headless", "--width=1280", "--height=800"):
            options.add_argument(flag)
        log = str(self.folder / f"geckodriver-{len(self.drivers)}.log")
        self.drivers.append(webdriver.Firefox(options, FirefoxService(GECKODRIVER, log_output=log)))
        return self.drivers[-1]

    def quit(self, keep_pictures, name):
        for number, driver in enumerate(self.drivers):
            if keep_pictures:
                picture = self.folder / f"{name}-{number}.png"
                driver.save_screenshot(str(picture))
                print(f"\nsee {picture}")
            driver.quit()


@pytest.fixture
def browsers(request, tmp_path):
    """Keeps a picture of each if the test fails."""
    opened = Browsers(tmp_path)
    yield opened
    opened.quit(getattr(request.node, "failed", False), re.sub(r"\W+", "-", request.node.name))


@pytest.fixture
def browser(browsers):
    """Opens Chromium."""
    return browsers.chromium


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path / "server.log").start()
    yield running
    running.stop()
