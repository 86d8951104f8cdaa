"""scripts/build, in a clone that a careful umask has made, with a compiler and a Docker that only write down what they get."""

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
