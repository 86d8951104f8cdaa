"""What a newcomer runs first: infra/compose, with images that scripts/build made, and the Procfile."""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, free_port, wait_until

TOP = ROOT.parent
COMPOSE = TOP / "infra" / "compose"
# scripts/setup --dev puts one there where the machine has none.
PLUGINS = TOP / ".venv" / "docker"
PROJECT, NETWORK = "rollcall-pytest-compose", "172.30.88"


def environment(**more):
    given = os.environ | {"COMPOSE_PROJECT_NAME": PROJECT, "ROLLCALL_IMAGES": PROJECT, "ROLLCALL_NETWORK": NETWORK} | more
    return given if not (PLUGINS / "cli-plugins").exists() else given | {"DOCKER_CONFIG": str(PLUGINS)}


def command(*words, cwd=TOP, **more):
    done = subprocess.run(words, cwd=cwd, env=environment(**more), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def compose():
    """`docker compose` in a clone, as a newcomer types it. That there is none is a failure: nothing here is skipped."""
    command("docker", "compose", "version")
    return lambda *words, **more: command("docker", "compose", *words, **more)


# --- the images ---------------------------------------------------------------------------------------------------


def stages(text):
    """Name -> instructions, each one line; of a COPY what is copied, and where to."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    found, name = {}, None
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            name = rest.rpartition(" AS ")[2]
            found[name] = []
        elif name:
            *sources, target = [part for part in rest.split() if not part.startswith("--")] if word == "COPY" else [rest]
            found[name].append((word, [source.rpartition("/")[2] for source in sources], target))
    return found


STAGES = stages((COMPOSE / "Dockerfile").read_text())


@pytest.mark.parametrize("name", ["server", "redis", "haproxy"])
def test_an_image_of_compose_is_the_one_of_the_playbooks(name):
    [own] = stages((TOP / "docker" / f"{name}.Dockerfile").read_text()).values()
    own = [(word, sources, "/rollcall-server" if target == "/rollcall-server" else target) for word, sources, target in own]
    assert STAGES[name] == own


CARGO = """#!/bin/sh
echo "$RUSTFLAGS|$*" >>told
mkdir -p target/machine/release
for name in rollcall-server rollcall-bots; do echo program >target/machine/release/$name; done
"""
RUSTC = "#!/bin/sh\necho host: machine\n"


def told_to_cargo(clone, *words):
    """What a cargo that only writes down was called with: flags, arguments, packages."""
    (clone / "bin").mkdir()
    for name, text in (("cargo", CARGO), ("rustc", RUSTC), ("docker", "#!/bin/sh\nexit 0\n")):
        (clone / "bin" / name).write_text(text)
        (clone / "bin" / name).chmod(0o755)
    given = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
    subprocess.run(words, cwd=clone, env=given | {"PATH": f"{clone}/bin:{os.environ['PATH']}"}, check=True, capture_output=True)
    flags, _, arguments = (clone / "told").read_text().strip().partition("|")
    words = shlex.split(arguments)
    packages = {words[place + 1] for place, word in enumerate(words) if word == "-p"}
    return flags, [word for word in words if word != "-p" and word not in packages], packages


def test_the_server_of_compose_is_built_as_scripts_build_does(tmp_path):
    for name in ("scripts", "docker"):
        shutil.copytree(TOP / name, tmp_path / "one" / name)
    flags, words, packages = told_to_cargo(tmp_path / "one", "scripts/build", "--binaries")
    [run] = [target for word, _, target in STAGES["build"] if word == "RUN"]
    (tmp_path / "two").mkdir()
    run = run.replace(" /image ", f" {tmp_path}/image ")
    assert told_to_cargo(tmp_path / "two", "sh", "-euc", run) == (flags, words, {"rollcall-server"})
    assert "rollcall-server" in packages and (tmp_path / "image" / "rollcall-server").stat().st_mode & 0o777 == 0o755


def test_the_toolchain_of_compose_is_the_oldest_that_is_promised():
    oldest = tomllib.loads((TOP / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    assert f"ARG RUST_IMAGE=rust:{oldest}-" in (COMPOSE / "Dockerfile").read_text()


def test_what_the_build_copies_is_sent_to_docker_and_is_all_that_it_needs():
    text = (COMPOSE / "Dockerfile").read_text()
    copied = {source for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
              for source in line.split()[:-1] if not source.startswith("--")}
    sent = {line[1:] for line in (COMPOSE / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == sent and all((TOP / name).exists() for name in copied)
    members = tomllib.loads((TOP / "Cargo.toml").read_text())["workspace"]["members"]
    assert all(member.startswith("app/") for member in members)


# --- the stack, as it is written down --------------------------------------------------------------------------------


def test_haproxys_configuration_is_what_the_template_says():
    command(str(COMPOSE / "haproxy-config"), "--check", PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


def test_haproxy_takes_it_without_a_warning():
    files = ["--volume", f"{COMPOSE}/haproxy.cfg:/etc/rollcall/haproxy.cfg:ro", "--volume", f"{TOP}/haproxy/errors:/etc/rollcall/errors:ro"]
    limits = ["--rm", "--network", "none", "--env", f"ROLLCALL_NETWORK={NETWORK}", "--label", "rollcall.project=rollcall-pytest"]
    command("docker", "run", *limits, *files, "rollcall-haproxy:3.0", "-c", "-dW", "-f", "/etc/rollcall/haproxy.cfg")


def test_containers_of_compose_may_do_what_those_of_the_playbooks_may(compose):
    services = json.loads(compose("config", "--format", "json"))["services"]
    settings = yaml.safe_load((ROOT / "inventories/local/group_vars/all.yml").read_text())
    for name, service in services.items():
        kind = "server" if name in ("r1", "r2") else name
        assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges"], name
        assert int(service["mem_limit"]) == int(settings[f"rollcall_{kind}_memory"].rstrip("m")) << 20, name
        assert service["pids_limit"] == settings.get(f"rollcall_{kind}_pids", 64), name
        if f"rollcall_{kind}_nofile" in settings:
            assert service["ulimits"]["nofile"] == settings[f"rollcall_{kind}_nofile"], name
    assert [name for name, service in services.items() if service.get("ports")] == ["haproxy"]
    assert [port["host_ip"] for port in services["haproxy"]["ports"]] == ["127.0.0.1"]
    grace = int(services["r1"]["stop_grace_period"].rstrip("s")) * 1000
    assert grace > int(services["r1"]["environment"]["DRAIN_DEADLINE_MS"]) == settings["rollcall_drain_deadline_ms"]


def test_redis_of_compose_keeps_what_that_of_the_playbooks_keeps(compose):
    told = iter(json.loads(compose("config", "--format", "json"))["services"]["redis"]["command"])
    told = {name.removeprefix("--"): value for name, value in zip(told, told, strict=True)}
    own = yaml.safe_load((ROOT / "roles/redis/vars/main.yml").read_text())["redis_configuration"]
    own = dict(re.findall(r'^([a-z-]+) "?([\w/]*)"?$', own, re.MULTILINE))
    kept = {"dir", "appendonly", "appendfsync", "save", "maxmemory-policy", "tcp-keepalive", "protected-mode"}
    assert {name: told[name] for name in kept} == {name: own[name] for name in kept}
    assert told["maxmemory"] == yaml.safe_load((ROOT / "inventories/local/group_vars/all.yml").read_text())["rollcall_redis_maxmemory"]


# --- the stack, as it runs -------------------------------------------------------------------------------------------


class Chat:
    """A program that says one thing after the other, each until it is acknowledged, and notes what else it was answered."""

    def __init__(self, port):
        self.port, self.said, self.failed, self.releases = port, 0, [], set()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.talk)

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"{}")
        except (OSError, ValueError, http.client.HTTPException) as error:
            return 0, {"error": str(error)}
        finally:
            connection.close()

    def release(self):
        status, answer = self.ask("GET", "/api/v1/version")
        return answer["data"]["release"] if status == 200 else None

    def texts(self):
        return [message["text"] for message in self.ask("GET", "/api/v1/rooms/lobby/messages?limit=200")[1]["data"]["messages"]]

    def talk(self):
        while not self.stopping.wait(0.2):
            said = {"client": "0123456789abcdef" * 2, "name": "Ada", "n": self.said + 1, "text": f"message {self.said + 1}"}
            status, answer = self.ask("POST", "/api/v1/rooms/lobby/messages", said)
            if status in (200, 201):
                self.said += 1
            else:
                self.failed.append((status, answer))
            self.releases.add(self.release())


TOOLCHAIN = """FROM rollcall-server:1.0.0 AS made
FROM rollcall-base:trixie
COPY --from=made /rollcall-server /
RUN echo 'echo host: machine' >/usr/local/bin/rustc \\
    && echo 'install -D /rollcall-server target/machine/release/rollcall-server' >/usr/local/bin/cargo \\
    && chmod 0755 /usr/local/bin/*
"""


@pytest.fixture
def toolchain():
    """An image in place of Rust's, whose cargo has made the server before: there is no registry here, and no way to the crates."""
    name = f"{PROJECT}-toolchain"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=TOOLCHAIN, text=True, check=True, capture_output=True)
    yield name
    command("docker", "rmi", name)


@pytest.fixture
def up(compose, toolchain):
    port = str(free_port())
    # One that was killed in the middle of it leaves its stack.
    compose("down", "--volumes", "--rmi", "all", "--timeout", "5")
    for image in ("redis:8.0", "haproxy:3.0"):
        command("docker", "tag", f"rollcall-{image}", f"{PROJECT}-{image.split(':')[0]}:compose")
    try:
        # Compose starts what depends on nothing in any order, and HAProxy first was once the end of it.
        compose("up", "--detach", "--no-build", "haproxy", ROLLCALL_PORT=port)
        compose("up", "--detach", ROLLCALL_PORT=port, RUST_IMAGE=toolchain)
        yield Chat(port)
    finally:
        compose("down", "--volumes", "--rmi", "all", "--timeout", "5")


def roll(up, *words, **more):
    given = environment(ROLLCALL_PORT=up.port, **more)
    return subprocess.run([COMPOSE / "roll", *words], env=given, capture_output=True, text=True, check=False)


def test_compose_up_is_a_chat_and_its_roll_is_not_noticed(compose, up, toolchain):
    wait_until(lambda: up.release() == "1.0.0", 60)
    up.thread.start()
    wait_until(lambda: up.said >= 3)
    try:
        done = roll(up, RELEASE="1.1.0", RUST_IMAGE=toolchain)
        assert done.returncode == 0, done.stdout + done.stderr
        # It was, by all that a later `up` made anew at once.
        containers = compose("ps", "--quiet", "--no-trunc").split()
        compose("up", "--detach", "--no-build", ROLLCALL_PORT=up.port)
        assert sorted(containers) == sorted(compose("ps", "--quiet", "--no-trunc").split())
        after = up.said
        wait_until(lambda: up.said >= after + 3)
    finally:
        up.stopping.set()
        up.thread.join()
    assert up.failed == [] and up.releases == {"1.0.0", "1.1.0"} and up.release() == "1.1.0"
    assert up.texts() == [f"message {number}" for number in range(1, up.said + 1)][-200:]
    assert [compose("exec", "-T", name, "id", "-u").strip() for name in ("redis", "haproxy")] == ["100", "65532"]

    compose("stop", "r2")
    done = roll(up, "--no-build")
    assert done.returncode == 1 and "r2 does not serve, so nobody would" in done.stderr and up.release() == "1.1.0"


def test_a_roll_reads_the_settings_that_the_clone_keeps(tmp_path):
    """It ran beside compose.yaml, where there is no .env, and started a replica in another network."""
    (tmp_path / "docker").write_text(f"#!/bin/sh\npwd >>{tmp_path}/where\nexit 1\n")
    (tmp_path / "docker").chmod(0o755)
    done = subprocess.run([COMPOSE / "roll"], env=environment(PATH=f"{tmp_path}:{os.environ['PATH']}"), check=False)
    assert done.returncode == 1 and (tmp_path / "where").read_text() == f"{TOP}\n" and (TOP / ".env").exists()


def test_a_roll_does_nothing_that_it_was_not_told():
    done = subprocess.run([COMPOSE / "roll", "--nobuild"], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr == "unknown option --nobuild; --help tells\n"


# --- without Docker --------------------------------------------------------------------------------------------------


def test_the_procfile_is_a_chat():
    port = str(free_port())
    binary = Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target")) / "debug" / "rollcall-server"
    assert binary.exists(), "cargo build makes it"
    given = os.environ | {"CHAT_PORT": port, "ADMIN_PORT": str(free_port())}
    honcho = subprocess.Popen([sys.executable, "-m", "honcho", "start"], cwd=TOP, env=given, stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: Chat(port).release() is not None, 20)
        assert Chat(port).ask("POST", "/api/v1/rooms/lobby/messages", {"client": "a" * 32, "name": "Ada", "n": 1, "text": "hello"})[0] in (200, 201)
        assert Chat(port).texts() == ["hello"]
    finally:
        honcho.send_signal(signal.SIGINT)
        output, _ = honcho.communicate(timeout=30)
    assert "drained" in output and "chat.1 stopped (rc=0)" in output
