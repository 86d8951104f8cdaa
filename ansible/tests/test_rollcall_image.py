"""An image goes from one Docker to another; here both are this machine's, seen by two names."""

import subprocess

import pytest

IMAGE = "rollcall-haproxy:3.0"
SELF = "unix:///var/run/docker.sock"


def image_id():
    return subprocess.run(["docker", "image", "inspect", "--format", "{{.Id}}", IMAGE], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("host", ["", SELF])
def test_what_is_there_is_not_copied(run, host):
    told = run("rollcall_image", image=IMAGE, docker_host=host)
    assert not told["changed"] and told["id"] == image_id()


def test_an_image_that_nobody_has_built_is_refused_by_name(run):
    assert "no image rollcall-none:1" in run("rollcall_image", image="rollcall-none:1", docker_host=SELF)["msg"]


def test_a_docker_that_is_away_is_no_docker_without_the_image(run):
    told = run("rollcall_image", check=True, image=IMAGE, docker_host="unix:///nowhere/docker.sock")
    assert told["failed"] and "does not tell" in told["msg"]
