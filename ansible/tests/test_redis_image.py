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

    def ask(self, *command):
        return docker("exec", self.container, "redis-cli", *command)

    def wait(self):
        def answers():
            asked = ["docker", "exec", self.container, "redis-cli", "ping"]
            return subprocess.run(asked, check=False, capture_output=True, text=True).stdout.strip() == "PONG"

        wait_until(answers)

    def crash(self, lost_bytes=0, gained=b""):
        """The end of the append-only file never reached the disk; or something else did."""
        docker("kill", self.container)
        change = f"truncate --size=-{lost_bytes} appendonlydir/*.incr.aof; cat >>$(ls appendonlydir/*.incr.aof)"
        shell = ["docker", "run", "--rm", "--interactive", *LABEL, "--network", "none", *self.data, "--entrypoint", "sh"]
        subprocess.run([*shell, IMAGE, "-c", change], input=gained, check=True, capture_output=True)
        docker("start", self.container)
        self.wait()

    def remove(self):
        docker("rm", "--force", self.container)
        docker("volume", "rm", self.volume)


@pytest.fixture
def redis():
    redis = Redis()
    try:
        redis.wait()
        yield redis
    finally:
        redis.remove()


def resp(*command):
    parts = [f"*{len(command)}", *(line for word in command for line in (f"${len(word)}", word))]
    return "".join(part + "\r\n" for part in parts).encode()


def test_half_a_transaction_does_not_come_back_from_the_dead(redis):
    """Anomaly `divergent-order`: an entry that a cut had taken stood in the room log again, after the next restart."""
    redis.ask("SET", "before", "1")
    redis.ask("EVAL", "redis.call('SET', 'torn', 1) redis.call('SET', 'too', 1)", "0")
    redis.crash(lost_bytes=len("EC\r\n"))
    assert redis.ask("MGET", "before", "torn") == "1"
    redis.ask("SET", "after", "1")
    redis.crash()
    assert redis.ask("MGET", "before", "torn", "after") == "1\n\n1"


def test_no_more_is_cut_off_than_one_function_writes(redis):
    """An old image has left such a beginning, and went on for hours: what came then is not thrown away."""
    one = resp("MULTI") + resp("SET", "good", "1") + resp("EXEC")
    redis.crash(gained=resp("MULTI") + resp("SET", "torn", "1") + one + resp("SET", "long", "x" * 200_000))
    assert redis.ask("GET", "good") == "1"
    assert redis.ask("STRLEN", "long") == "200000"
