# Apache-2.0
"""Where a stack keeps its state on its machine: HAProxy's configuration and sockets, the lock, the journal.

One place per project, whoever looks: two of them would be two locks, and two HAProxys. `python rollcall_state.py PROJECT`
prints it.
"""

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

# Of all stacks. Root may write there, and whoever root lets.
SHARED = "/var/lib/rollcall"
HOW_TO_SHARE = f"sudo install -d -m 1775 -g docker {SHARED}"
# Where HAProxy's container has the state's directory `run`. Releases that know no other place have it there, too.
RUN = "/run/rollcall"
# On the containers of replicas, for a stack that has lost its HAProxy.
LABEL = "rollcall.state"
PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}$")


class DockerError(Exception):
    """Docker does not say what runs."""


def containers(project):
    """`docker inspect` of the stack's containers. One that goes meanwhile is left out."""

    def docker(*arguments):
        return subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)

    try:
        listed = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label=rollcall.project={project}")
    except FileNotFoundError as error:
        raise DockerError("there is no docker here: scripts/setup installs it") from error
    if listed.returncode != 0:
        raise DockerError(f"Docker does not say what runs: {listed.stderr.strip()}")
    ids = listed.stdout.split()
    return json.loads(docker("inspect", *ids).stdout or "[]") if ids else []


def in_force(project):
    """The directory that the stack's own containers name, running or not; nothing if there are none, or none that does."""
    if not PROJECT.match(project):
        return None
    return named_by(containers(project))


def named_by(containers):
    """The same from `docker inspect`."""
    mounts = [mount for container in containers for mount in container["Mounts"] if mount["Destination"] == RUN]
    labels = [container["Config"]["Labels"].get(LABEL) for container in containers]
    named = [str(Path(mount["Source"]).parent) for mount in mounts] + [label for label in labels if label]
    return named[0] if named else None


def place(project, home, shared=SHARED, found=in_force):
    """The stack's directory, or the one that a new stack gets. A stack of a release that knew only the home directory goes on
    there."""
    ours, own = os.path.join(shared, project), os.path.join(home, ".rollcall", project)
    standing = found(project)
    if standing or os.path.isdir(ours):
        return standing or ours
    return own if os.path.isdir(own) or not may_make(ours) else ours


def may_make(path):
    """Whether this user may make the directory."""
    return os.access(nearest(path), os.W_OK | os.X_OK)


def nearest(path):
    """The path itself, or what there is of it."""
    path = Path(path)
    return next(it for it in (path, *path.parents) if os.path.lexists(it))


def owner(path):
    """The name of the user to whom a path, or what can be seen of it, belongs."""
    number = os.stat(nearest(path)).st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def give_to_owner(path):
    """What root makes in another user's directory is that user's, as all else there."""
    if os.geteuid() == 0:
        parent = os.stat(os.path.dirname(path))
        os.chown(path, parent.st_uid, parent.st_gid)


if __name__ == "__main__":
    print(place(sys.argv[1], os.environ["HOME"]))
