"""The role that runs Redis, as site.yml runs it, on a stack that has nothing else."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, wait_until

PROJECT = "rollcall-pytest-redis"
NAME = f"{PROJECT}-redis"
# What stands for a replica of the server, with users on it: to the role it is one by its labels.
REPLICA = f"{PROJECT}-r1-blue"
LABEL = ["--label", f"rollcall.project={PROJECT}"]
IMAGE = "rollcall-redis:8.0"
BOTH = "redis://172.30.89.2:6379,redis://172.30.89.3:6379"
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - community.docker.docker_network:
        name: "{{ rollcall_project }}"
        ipam_config: [{ subnet: "{{ rollcall_network_prefix }}.0/24" }]
    - import_role: { name: redis }
"""


def docker(*words, check=True):
    return subprocess.run(["docker", *words], check=check, capture_output=True, text=True).stdout.strip()


class Role:
    def __init__(self, directory, project=PROJECT, network="172.30.89"):
        self.directory, self.project, self.network = directory, project, network
        (directory / "playbook.yml").write_text(PLAYBOOK)

    def run(self, *settings, playbook=None):
        """Its end, and what the operator saw; of the role, or of a playbook as operators run it."""
        playbook = ROOT / "playbooks" / f"{playbook}.yml" if playbook else self.directory / "playbook.yml"
        command = [Path(sys.executable).with_name("ansible-playbook"), playbook, "-i", ROOT / "inventories/local"]
        own = [f"rollcall_project={self.project}", f"rollcall_network_prefix={self.network}", f"rollcall_run_dir={self.directory}"]
        command += [word for setting in (*own, *settings) for word in ([setting] if setting.startswith("-v") else ["-e", setting])]
        environment = os.environ | {"ANSIBLE_ROLES_PATH": str(ROOT / "roles"), "ANSIBLE_STDOUT_CALLBACK": "default"}
        played = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
        return played.returncode, " ".join((played.stdout + played.stderr).split())

    def play(self, *settings):
        """How many of its tasks changed something."""
        return int(re.search(r"changed=(\d+)", self.told(*settings))[1])

    def told(self, *settings, playbook=None):
        code, words = self.run(*settings, playbook=playbook)
        assert code == 0, words
        return words

    def refusal(self, *settings, playbook=None):
        code, words = self.run(*settings, playbook=playbook)
        assert code != 0, words
        return words

    def container(self):
        """ID of the container that has the name of Redis, while it runs."""
        return docker("ps", "--quiet", "--no-trunc", "--filter", f"name=^{NAME}$")

    def ask(self, *words, check=True):
        return docker("exec", f"{self.project}-redis", "redis-cli", *words, check=check)

    def remove(self):
        docker("rm", "--force", f"{self.project}-redis", check=False)
        docker("volume", "rm", f"{self.project}-redis", f"{self.project}-secrets", check=False)
        docker("network", "rm", self.project, check=False)

    @property
    def password(self):
        return (self.directory / "redis-password").read_text()

    def said(self, *words):
        """What Redis, or another program in its image, answers from elsewhere in its network."""
        own = ["--rm", "--network", PROJECT, "--volume", f"{PROJECT}-secrets:/run/secrets:ro", "--user", "65532"]
        command = ["docker", "run", *LABEL, *own, "--entrypoint", "sh", IMAGE, "-c", " ".join(words)]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


def add_users(**environment):
    environment = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
    labels = [*LABEL, "--label", "rollcall.replica=r1"]
    docker("run", "--detach", *labels, "--name", REPLICA, *environment, "--entrypoint", "sleep", IMAGE, "600")


@pytest.fixture
def role(tmp_path):
    role = Role(tmp_path)
    yield role
    docker("rm", "--force", REPLICA, check=False)
    role.remove()
    docker("rmi", f"{IMAGE}-pytest", check=False)


@pytest.fixture
def other(tmp_path_factory):
    role = Role(tmp_path_factory.mktemp("other"), f"{PROJECT}-other", "172.30.88")
    yield role
    role.remove()


def test_a_second_run_changes_nothing(role):
    assert role.play() > 0
    before = role.container()
    assert before and role.play() == 0
    assert role.container() == before


def test_o7_a_limit_changes_while_users_are_on_it(role):
    """site.yml started Redis anew for it, and said "changed"."""
    role.play()
    add_users(REDIS_URL=BOTH)
    before = role.container()
    assert role.play("rollcall_redis_maxmemory=300mb", "rollcall_redis_memory=900m") > 0
    assert role.container() == before
    assert role.ask("CONFIG", "GET", "maxmemory").split() == ["maxmemory", str(300 * 2**20)]
    assert docker("inspect", "--format", "{{.HostConfig.Memory}}", NAME) == str(900 * 2**20)
    # And it has it still after a restart.
    docker("restart", NAME)
    assert role.play("rollcall_redis_maxmemory=300mb", "rollcall_redis_memory=900m") == 0
    assert role.container() == before
    assert "nobody could say anything more" in role.refusal("rollcall_redis_maxmemory=500kb")
    assert role.ask("CONFIG", "GET", "maxmemory").split() == ["maxmemory", str(300 * 2**20)]


def test_rewrites_that_an_interrupted_backup_left_off_are_on_again(role):
    """Its file grew for good: nothing else sets it, and Ansible comes to no `always` after an interrupt."""
    rewrites = "auto-aof-rewrite-percentage"
    role.play()
    role.ask("CONFIG", "SET", rewrites, "0")
    # As each change of the primary does.
    role.ask("CONFIG", "REWRITE")
    docker("restart", NAME)
    wait_until(lambda: role.ask("CONFIG", "GET", rewrites, check=False).split() == [rewrites, "100"])
    role.ask("CONFIG", "SET", rewrites, "0")
    assert role.play() == 1
    assert role.ask("CONFIG", "GET", rewrites).split() == [rewrites, "100"]
    assert role.play() == 0


@pytest.mark.parametrize("another", ["image", "command"])
def test_o7_another_redis_is_refused_under_users_and_made_without_them(role, another):
    role.play()
    before = role.container()
    assert role.ask("SET", "said", "before") == "OK"
    # Of the same content, it has another ID for its label.
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", f"{IMAGE}-pytest", "-"],
        input=f"FROM {IMAGE}\nLABEL other=1\n", check=True, capture_output=True, text=True,
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
    )  # fmt: skip
    command = '{"redis_command": ["/data/redis.conf", "--include", "/data/rollcall.conf", "--maxclients", "5000"]}'
    setting = {"image": f"rollcall_redis_image={IMAGE}-pytest", "command": command}[another]

    add_users(REDIS_URL=BOTH)
    words = role.refusal(setting)
    assert "runs with another image or other settings" in words and "playbooks/store.yml" in words
    assert role.container() == before
    # With what it has it goes on.
    assert role.play() == 0 and role.container() == before

    docker("rm", "--force", REPLICA)
    assert role.play(setting) > 0
    assert role.container() not in ("", before) and role.ask("GET", "said") == "before"


def test_an_image_that_nobody_has_built_is_refused_by_name(role):
    assert "There is no image rollcall-redis:none" in role.refusal("rollcall_redis_image=rollcall-redis:none")
    assert role.container() == ""


LOG = "rollcall:{1}:room:den:log"


def test_a_backup_leaves_a_folder_that_is_there_as_it_is_and_may_have_a_space_in_its_name(role, tmp_path):
    """/tmp was closed to all others, and the finished copy could not be given its name."""
    shared, own = tmp_path / "of all", tmp_path / "of all" / "of its own"
    shared.mkdir()
    shared.chmod(0o755)
    role.play()
    for folder in (shared, own):
        role.told(json.dumps({"backup": f"{folder}/a copy.tar.gz"}), playbook="backup")
    assert (shared / "a copy.tar.gz").is_file() and (own / "a copy.tar.gz").is_file()
    assert [folder.stat().st_mode & 0o777 for folder in (shared, own)] == [0o755, 0o700]


@pytest.mark.nightly
def test_a_backup_is_restored_here_and_in_another_project_and_nothing_else_is(role, other, tmp_path):
    copy, torn = tmp_path / "copies" / "one.tar.gz", tmp_path / "torn.tar.gz"
    role.play()
    for text in ("one", "two", "three"):
        role.ask("XADD", LOG, "*", "text", text)
    assert "holds 3 messages in 1 rooms" in role.told(f"backup={copy}", playbook="backup")
    assert copy.stat().st_mode & 0o077 == 0, "it has what people said to each other"
    role.ask("XADD", LOG, "*", "text", "after it")

    # Nothing is touched without a word, nor for a file that is no copy.
    assert "-e replace=true" in role.refusal(f"backup={copy}", playbook="restore")
    torn.write_bytes(copy.read_bytes()[:100])
    role.refusal(f"backup={torn}", "replace=true", playbook="restore")
    assert role.ask("XLEN", LOG) == "4"
    role.refusal(f"backup={torn}", playbook="restore")
    other.refusal(f"backup={torn}", playbook="restore")

    # Nor is Redis left away where the copy cannot be put there, as on a full disk.
    role.refusal(f"backup={copy}", "replace=true", "redis_put_back=false", playbook="restore")
    wait_until(lambda: role.ask("XLEN", LOG, check=False) == "4")

    role.told(f"backup={copy}", "replace=true", playbook="restore")
    assert role.play() == 0 and role.ask("XLEN", LOG) == "3"
    assert "playbooks/site.yml starts it" in other.told(f"backup={copy}", playbook="restore")
    other.play()
    assert other.ask("XLEN", LOG) == "3"


@pytest.fixture
def volume():
    docker("volume", "create", *LABEL, NAME)
    yield NAME
    docker("volume", "rm", "--force", NAME)


@pytest.mark.parametrize("exchange", ["", 'mv() { [ "$1" != --exchange ] && command mv "$@"; }\n'], ids=["at once", "in two steps"])
def test_a_copy_that_breaks_off_leaves_the_room_logs_as_they_were(exchange, volume, tmp_path):
    """They were removed before it was there, and site.yml then started Redis with what there was of it."""
    put_back = exchange + yaml.safe_load((ROOT / "roles/redis/vars/main.yml").read_text())["redis_put_back"]

    def run(script, content=b""):
        command = ["docker", "run", "--rm", "--interactive", *LABEL, "--volume", f"{volume}:/data", "--entrypoint", "sh", IMAGE]
        done = subprocess.run([*command, "-c", script], check=False, capture_output=True, input=content)
        return done.returncode, done.stdout.decode()

    def copy(name):
        (tmp_path / name / "appendonlydir").mkdir(parents=True)
        (tmp_path / name / "appendonlydir" / name).write_bytes(os.urandom(100_000))
        command = ["tar", "--create", "--gzip", "--directory", tmp_path / name, "appendonlydir"]
        return subprocess.run(command, check=True, capture_output=True).stdout

    old, new = copy("old"), copy("new")
    look = "ls; ls appendonlydir; stat --format %s appendonlydir/*"
    # Into a volume that has none, and twice.
    for _ in range(2):
        assert run(put_back, old)[0] == 0
        assert run(look)[1].split() == ["appendonlydir", "old", "100000"]
    assert run(put_back, new[:60_000])[0] != 0
    assert run(look)[1].split()[-2:] == ["old", "100000"]
    # What that left is no hindrance.
    assert run(put_back, new)[0] == 0
    assert run(look)[1].split() == ["appendonlydir", "new", "100000"]


LOGIN = "rollcall_redis_login=true"
AS_A_REPLICA = "redis-cli -h 172.30.89.2 --user rollcall --pass $(cat /run/secrets/redis-password) --no-auth-warning"
AS_NOBODY = "redis-cli -h 172.30.89.2"


def test_o23_redis_answers_those_alone_who_know_the_password(role):
    """Every user of the machine could read and write what was said."""
    assert role.play(LOGIN) > 0
    assert role.play(LOGIN) == 0
    assert (role.directory / "redis-password").stat().st_mode & 0o777 == 0o600
    assert "NOAUTH" in role.said(AS_NOBODY, "PING")
    # A replica may do what it does, and no more.
    assert role.said(AS_A_REPLICA, "XADD {p01}:room:vault:log '*' said 1").count("-") == 1
    for forbidden in ("FLUSHALL", "CONFIG GET maxmemory", "KEYS '*'", "SET elsewhere 1", "FUNCTION FLUSH"):
        assert "NOPERM" in role.said(AS_A_REPLICA, forbidden)
    # Nobody who looks on sees a secret.
    shown = docker("inspect", NAME) + docker("logs", NAME)
    secret = role.said("cat", "/run/secrets/redis-password")
    assert len(secret) == 64 and secret not in shown and role.password not in shown
    _, words = role.run(LOGIN, "rollcall_redis_maxmemory=200mb", "-vvv")
    assert "maxmemory" in words and secret not in words and role.password not in words
    # And it is the same after a restart.
    docker("restart", NAME)
    assert role.play(LOGIN, "rollcall_redis_maxmemory=200mb") == 0
    assert "NOAUTH" in role.said(AS_NOBODY, "PING")


@pytest.mark.nightly
def test_o23_the_door_stays_open_while_somebody_does_not_know(role):
    role.play()
    add_users(REDIS_URL=BOTH)
    before = role.container()
    code, words = role.run(LOGIN)
    assert code == 0 and f"still answers everybody on this machine, for {REPLICA}" in words
    assert role.container() == before
    assert role.said(AS_NOBODY, "PING") == role.said(AS_A_REPLICA, "PING") == "PONG"
    docker("rm", "--force", REPLICA)
    add_users(REDIS_URL=BOTH, REDIS_PASSWORD_FILE="/run/secrets/redis-password")
    assert role.play(LOGIN) > 0 and role.container() == before
    assert "NOAUTH" in role.said(AS_NOBODY, "PING") and role.said(AS_A_REPLICA, "PING") == "PONG"
    # And back.
    assert role.play() > 0 and role.container() == before
    assert role.said(AS_NOBODY, "PING") == role.said(AS_A_REPLICA, "PING") == "PONG"


@pytest.mark.nightly
def test_o23_another_password_is_taken_over_and_a_wrong_one_refused(role):
    given = role.directory / "given"
    given.write_text("first-of-all\n")
    file = f"rollcall_redis_password_file={given}"
    role.play(LOGIN, file)
    add_users(REDIS_URL=BOTH, REDIS_PASSWORD_FILE="/run/secrets/redis-password")
    assert role.password == "first-of-all"
    given.write_text("then-another\n")
    before, secret = role.container(), role.said("cat", "/run/secrets/redis-password")
    assert role.play(LOGIN, file) > 0 and role.container() == before
    assert role.said("cat", "/run/secrets/redis-password") != secret and role.said(AS_A_REPLICA, "PING") == "PONG"
    assert role.play(LOGIN, file) == 0

    # Somebody else, with another home: nothing is touched.
    (role.directory / "redis-password").unlink()
    given.write_text("wrong")
    for settings in ((LOGIN, file), (LOGIN,), ()):
        words = role.refusal(*settings)
        assert ("WRONGPASS" in words or "NOAUTH" in words) and "nothing was touched" in words
    assert role.said(AS_A_REPLICA, "PING") == "PONG" and role.container() == before


def test_an_external_redis_has_to_keep_what_was_said(role):
    docker("network", "create", "--subnet", "172.30.89.0/24", PROJECT)
    address = "172.30.89.99"
    docker("run", "--detach", *LABEL, "--name", REPLICA, "--network", PROJECT, "--ip", address, IMAGE, "--requirepass", "theirs", "--protected-mode", "no")
    given = role.directory / "given"
    external = ["rollcall_redis=external", f"rollcall_redis_url=redis://{address}:6379", f"rollcall_redis_password_file={given}"]
    ask = ["exec", "--env", "REDISCLI_AUTH=theirs", REPLICA, "redis-cli"]
    given.write_text("wrong")
    wait_until(lambda: "PONG" in docker(*ask, "PING", check=False))
    assert "WRONGPASS" in role.refusal(*external)
    given.write_text("theirs")
    assert "CONFIG SET appendonly yes" in role.refusal(*external)
    docker(*ask, "CONFIG", "SET", "appendonly", "yes")
    docker(*ask, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert "noeviction, and not allkeys-lru" in role.refusal(*external)
    docker(*ask, "CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert docker("volume", "ls", "--quiet", "--filter", f"name=^{PROJECT}-secrets$") == ""
    assert role.play(*external) > 0 and role.play(*external) == 0
    assert role.container() == "" and role.said("cat", "/run/secrets/redis-password") == "theirs"
    docker(*ask, "REPLICAOF", "172.30.89.98", "6379")
    assert "each of them is a replica" in role.refusal(*external)
    assert "does not answer" in role.refusal(*external, f"rollcall_redis_url=redis://{address}:1")
