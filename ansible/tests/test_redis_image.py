"""Our Redis image, restarted after a crash that left half a transaction on disk."""

import subprocess

import pytest
from conftest import wait_until

IMAGE = "rollcall-redis:8.0"
LABEL = ["--label", "rollcall.project=rollcall-pytest"]
SETTINGS = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]


def docker(*arguments):
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


class Redis:
    def __init__(self):
        self.volume = docker("volume", "create", *LABEL)
        self.data = ["--volume", f"{self.volume}:/data"]
        self.container = docker("run", "--detach", *LABEL, "--network", "none", *self.data, IMAGE, *SETTINGS)
        self.wait()

    def ask(self, *command):
        return docker("exec", self.container, "redis-cli", *command)

    def wait(self):
        def answers():
            asked = ["docker", "exec", self.container, "redis-cli", "ping"]
            return subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip() == "PONG"

        wait_until(answers)

    def crash(self, lost_bytes):
        """The end of the append-only file never reached the disk."""
        docker("kill", self.container)
        cut = f"truncate --size=-{lost_bytes} /data/appendonlydir/*.incr.aof"
        docker("run", "--rm", *LABEL, "--network", "none", *self.data, "--entrypoint", "sh", IMAGE, "-c", cut)
        docker("start", self.container)
        self.wait()

    def remove(self):
        docker("rm", "--force", self.container)
        docker("volume", "rm", self.volume)


@pytest.fixture
def redis():
    redis = Redis()
    yield redis
    redis.remove()


def test_half_a_transaction_does_not_come_back_from_the_dead(redis):
    """Anomaly `divergent-order`: an entry that a cut had taken stood in the room log again, after the next restart."""
    redis.ask("SET", "before", "1")
    redis.ask("EVAL", "redis.call('SET', 'torn', 1) redis.call('SET', 'too', 1)", "0")
    redis.crash(lost_bytes=len("EC\r\n"))
    assert redis.ask("MGET", "before", "torn") == "1"
    redis.ask("SET", "after", "1")
    redis.crash(lost_bytes=0)
    assert redis.ask("MGET", "before", "torn", "after") == "1\n\n1"
