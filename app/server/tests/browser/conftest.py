"""Real Chromium, headless. Debian's, with its own driver: nothing is downloaded."""

import os
import re

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from stack import Server

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
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
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture
def browser(request, tmp_path):
    """Opens browsers, each a person of their own; keeps a picture of each if the test fails."""
    drivers = []

    def open_browser(*flags, cookies=None):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        if cookies is not None:  # 2: neither cookies nor any other data of sites
            options.add_experimental_option(
                "prefs", {"profile.default_content_setting_values.cookies": cookies}
            )
        for flag in (*FLAGS, *flags, f"--user-data-dir={tmp_path / f'profile-{len(drivers)}'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        drivers.append(webdriver.Chrome(options, Service(CHROMEDRIVER)))
        return drivers[-1]

    yield open_browser
    for number, driver in enumerate(drivers):
        if getattr(request.node, "failed", False):
            name = re.sub(r"\W+", "-", request.node.name)
            picture = tmp_path / f"{name}-{number}.png"
            driver.save_screenshot(str(picture))
            print(f"\nsee {picture}")
        driver.quit()


@pytest.fixture
def server(tmp_path):
    running = Server(tmp_path / "server.log").start()
    yield running
    running.stop()
