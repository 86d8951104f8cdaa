"""scripts/build and scripts/setup, in a clone that a careful umask has made, with a compiler and a Docker that only write down what they get."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT

CARGO = """#!/bin/sh
mkdir -p target/machine/release
for name in rollcall-server rollcall-bots; do echo program >target/machine/release/$name; chmod 700 target/machine/release/$name; done
case "$*" in *mutants*) echo ROLLCALL_MUTANT >>target/machine/release/rollcall-server ;; esac
"""
RUSTC = "#!/bin/sh\necho host: machine\n"
# The last argument is the context.
DOCKER = """#!/bin/sh
[ "$1" = build ] || exit 0
for context; do :; done
echo "$*" >>told
[ "$context" = - ] || stat -c '%a %n' "$context"/* >>told
"""
CC = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
echo library >"$2"
"""


@pytest.fixture
def clone(tmp_path):
    """Files for their owner alone."""
    for part in ("scripts", "docker"):
        shutil.copytree(ROOT.parent / part, tmp_path / part)
    (tmp_path / "bin").mkdir()
    for name, text in (("cargo", CARGO), ("rustc", RUSTC), ("docker", DOCKER), ("cc", CC)):
        (tmp_path / "bin" / name).write_text(text)
    for path in tmp_path.rglob("*"):
        path.chmod(0o700)
    return tmp_path


def build(clone, *arguments, **environment):
    environment = os.environ | {"PATH": f"{clone}/bin:{os.environ['PATH']}"} | environment
    environment.pop("CARGO_TARGET_DIR", None)
    script = 'umask 077; exec scripts/build "$@"'
    subprocess.run(["bash", "-c", script, "build", *arguments], cwd=clone, env=environment, check=True, capture_output=True)
    return (clone / "told").read_text().splitlines()


def test_o15_what_goes_into_an_image_is_for_everybody(clone):
    """A container runs as nobody in particular, who could not even start what belongs to its owner alone."""
    files = [line.split() for line in build(clone, "--mutants") if line.startswith(("7", "6", "0"))]
    packed = {path.rpartition("/")[2] for _, path in files}
    assert {"rollcall-server", "redis-start", "redis-faults.so"} <= packed
    assert {mode for mode, path in files if not path.endswith("/made")} == {"755"}


def test_images_are_named_as_the_playbooks_name_them(clone):
    told = build(clone, ROLLCALL_IMAGES="mine")
    tags = [line.split("--tag ")[1].split()[0] for line in told if "--tag" in line]
    assert tags == ["mine-haproxy:3.0", "mine-redis:8.0", "mine-server:1.0.0", "mine-server:1.1.0"]


def test_each_release_of_a_show_is_what_it_is_called(clone):
    told = [line for line in build(clone, "--show") if "--tag" in line]
    made = {line.split("-server:")[1].split()[0]: line for line in told if "-server:" in line}
    assert set(made) == {"1.0.0", "1.1.0", "mutant", "bad", "slow", "forgetful"}
    assert "APPLAUSE=false" in made["1.0.0"] and "APPLAUSE=true" in made["1.1.0"]
    for name, mutant in (("bad", "five-percent-errors"), ("slow", "ten-times-slower"), ("forgetful", "drop-one")):
        assert f"NAME={name} " in made[name] and f"MUTANT={mutant} " in made[name]


def test_o20_a_fresh_build_takes_nothing_from_the_cache(clone):
    """Images kept the packages of the day on which they were first built."""
    told = [line for line in build(clone, "--fresh", "--mutants") if line.startswith("build")]
    assert len(told) > 5 and all("--no-cache" in line for line in told)
    (clone / "told").unlink()
    assert not any("--no-cache" in line for line in build(clone))


def test_o20_every_image_with_debian_stands_on_our_base_and_is_upgraded():
    """An official name that setup gave to an image of its own would hide what is in it."""
    for path in (ROOT.parent / "docker").glob("*.Dockerfile"):
        text = path.read_text()
        if "apt-get" in text:
            assert "FROM ${IMAGES}-base:trixie" in text and "apt-get upgrade -y" in text, path.name
        assert "FROM debian" not in text, path.name


# No registry answers; what is imported is kept.
SLOW_DOCKER = """#!/bin/sh
echo "$*" >>told
case "$1 $2" in
    "image inspect" | "pull "*) exit 1 ;;
    "import -") tar -x -f - ;;
esac
"""
DEBOOTSTRAP = """#!/bin/sh
for root; do :; done
mkdir -p "$root/etc/apt/sources.list.d"
echo "deb http://deb.debian.org/debian trixie main" >"$root/etc/apt/sources.list"
"""
# Their packages are there, as the stamp says.
VENV = """#!/bin/sh
exit 0
"""


@pytest.fixture
def setup(clone):
    shutil.copy(ROOT.parent / "Cargo.toml", clone)
    (clone / "ansible").mkdir()
    (clone / ".venv" / "bin").mkdir(parents=True)
    for name in ("requirements.txt", "requirements-dev.txt"):
        (clone / "ansible" / name).touch()
    programs = {"bin/docker": SLOW_DOCKER, "bin/debootstrap": DEBOOTSTRAP, ".venv/bin/python": VENV, "bin/rustc": "#!/bin/sh\necho rustc 9.0.0\n"}
    for name, text in programs.items():
        (clone / name).write_text(text)
        (clone / name).chmod(0o755)
    stamp = subprocess.run("sha256sum ansible/requirements*.txt", shell=True, cwd=clone, check=True, capture_output=True)
    (clone / ".venv" / "requirements.sha256").write_bytes(stamp.stdout)

    def setup(**environment):
        environment = os.environ | {"PATH": f"{clone}/bin:{os.environ['PATH']}"} | environment
        subprocess.run(["scripts/setup"], cwd=clone, env=environment, check=True, capture_output=True)
        return (clone / "told").read_text().splitlines()

    return setup


def test_o20_without_a_registry_the_base_has_the_security_suite_and_no_official_name(setup, clone):
    told = setup(ROLLCALL_IMAGES="mine")
    assert "import - mine-base:trixie" in told and not any(line.startswith("import - debian") for line in told)
    sources = (clone / "etc" / "apt" / "sources.list.d" / "debian.sources").read_text()
    assert "Suites: trixie trixie-updates" in sources
    assert "URIs: http://deb.debian.org/debian-security\nSuites: trixie-security" in sources
    assert not (clone / "etc" / "apt" / "sources.list").exists()


def test_o20_a_base_that_was_pulled_has_our_name_too(setup, clone):
    (clone / "bin" / "docker").write_text(SLOW_DOCKER.replace(' | "pull "*', ""))
    told = setup(ROLLCALL_IMAGES="mine")
    assert "tag debian:trixie-slim mine-base:trixie" in told and not any(line.startswith("import") for line in told)
