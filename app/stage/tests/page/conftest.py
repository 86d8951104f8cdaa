"""The stage's page in real Chromium, headless: Debian's, with its own driver."""

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from recording import make
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

REPOSITORY = Path(__file__).resolve().parents[4]
# Phones are pages of the chat: they are driven as its own tests drive them.
sys.path.append(str(REPOSITORY / "app/server/tests/browser"))

from stack import free_port  # noqa: E402

STAGE = os.environ.get("ROLLCALL_STAGE", str(REPOSITORY / "target/debug/rollcall-stage"))
SERVER = os.environ.get("ROLLCALL_SERVER", str(REPOSITORY / "target/debug/rollcall-server"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMEDRIVER = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")
# A stage that can act shows itself only to those who know this; the demo has it from here, too.
STAGE_KEY = os.environ.setdefault("ROLLCALL_STAGE_KEY", "0123456789abcdef")
PATIENCE_SECONDS = 60
# Of servers that tests start: whoever has it is an operator.
KEY = "0123456789abcdef" * 2

FLAGS = (
    "--headless",
    "--no-sandbox",  # CI is root in a container, where Chromium's own sandbox does not start.
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


def until(true, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := true()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)
    return found


def knowing(url, **headers):
    """The headers of a browser that was shown the stage's key."""
    return {"cookie": f"stage-{urllib.parse.urlsplit(url).port}={STAGE_KEY}", **headers}


def answers(url):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=knowing(url)), timeout=5):
            return True
    except urllib.error.HTTPError:
        return False
    except OSError:
        return False


class Process:
    """A program of ours that answers at a URL."""

    def __init__(self, command, url, log, environment=None):
        self.command, self.url, self.log, self.environment = command, url, log, environment
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log, stderr=log)
        until(lambda: answers(self.url) or self.process.poll() is not None, f"{self.url} answers")
        assert self.process.poll() is None, Path(self.log).read_text()
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()


class Page:
    """The stage in a browser."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def open(self, **place):
        asked = "&".join(f"{name}={value}" for name, value in {"key": STAGE_KEY, **place}.items())
        self.driver.get(f"{self.url}?{asked}")
        return self

    def frozen(self, at):
        """At one moment of a recording."""
        self.open(at=at)
        self.until(f"document.documentElement.dataset.at === '{at}'", "the moment is drawn")
        self.until("[...document.images].every((it) => it.complete)", "pictures are there")
        return self

    def resize(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        # Boxes, and then what is drawn in them.
        drawn = self.run("return frames.drawn")
        self.until(f"frames.drawn > {drawn + 3}", "it is drawn anew")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, condition, what):
        return until(lambda: self.run(f"return {condition}"), what)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).textContent", selector)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture
def browser(request, tmp_path):
    """Opens the page in browsers of a size; keeps a picture of each if the test fails."""
    drivers = []

    def open_browser(url, width=1920, height=1080, *flags):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, *flags, f"--window-size={width},{height}", f"--user-data-dir={tmp_path / f'profile-{len(drivers)}'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        drivers.append(webdriver.Chrome(options, Service(CHROMEDRIVER)))
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        drivers[-1].execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        return Page(drivers[-1], url)

    yield open_browser
    for number, driver in enumerate(drivers):
        if getattr(request.node, "failed", False):
            name = re.sub(r"\W+", "-", request.node.name)
            picture = tmp_path / f"{name}-{number}.png"
            driver.save_screenshot(str(picture))
            print(f"\nsee {picture}", *driver.get_log("browser"), sep="\n")
        driver.quit()


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Makes a recording with so many people, once."""
    made = {}

    def recording(people):
        if people not in made:
            made[people] = tmp_path_factory.mktemp("recordings") / f"{people}.jsonl"
            made[people].write_text(make(people), encoding="utf-8")
        return made[people]

    return recording


@pytest.fixture
def stage(tmp_path):
    """Starts the stage with these arguments."""
    running = []

    def start(*arguments):
        port = free_port()
        command = [STAGE, "--port", str(port), *map(str, arguments)]
        url = f"http://127.0.0.1:{port}/stage"
        running.append(Process(command, url, tmp_path / f"stage-{len(running)}.log").start())
        return running[-1]

    yield start
    for process in running:
        process.stop()


@pytest.fixture
def server(tmp_path):
    """A replica on the in-memory log: its process, its address, and where its admin listener is."""
    port, admin = free_port(), free_port()
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    environment |= {"PORT": str(port), "ADMIN_PORT": str(admin), "REPLICA": "r1", "RELEASE": "1.0.0", "API_KEY": KEY}
    process = Process([SERVER], f"http://127.0.0.1:{port}/readyz", tmp_path / "server.log", environment).start()
    yield process, f"http://127.0.0.1:{port}", f"127.0.0.1:{admin}"
    process.stop()
