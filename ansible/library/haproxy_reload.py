#!/usr/bin/python
# Apache-2.0
"""Have HAProxy run the configuration that lies there, and hear from it that it does."""

DOCUMENTATION = r"""
module: haproxy_reload
short_description: Reload HAProxy if it runs another configuration, and believe only its own answer
description:
  - Compares the configuration with the one that was last seen to be in force, which C(applied) remembers as a hash. So
    what an earlier run wrote and could not bring into force is made good by the next.
  - A reload keeps the listener and the live connections, which a restart would cut. The master process is asked for it
    at its socket, where it answers when the reload has come to its end, and how. A signal would say nothing of a reload
    that failed.
options:
  directory: {description: "The configuration, as HAProxy reads it: C(haproxy.cfg) and what it names.", type: path, required: true}
  applied: {description: File that remembers the configuration that is in force., type: path, required: true}
  master: {description: Path of the master process' socket., type: path, required: true}
  socket: {description: Path of the runtime socket., type: path, required: true}
  started: {description: "HAProxy has just been started, and has read what lies there.", type: bool, default: false}
  timeout: {description: Seconds that a start or a reload may take., type: float, default: 20}
author: [Rollcall]
attributes:
  check_mode: {support: full, description: Says whether it would reload.}
"""

EXAMPLES = r"""
- name: Have the configuration take effect
  haproxy_reload: {directory: /path/haproxy, applied: /path/run/applied, master: /path/run/master.sock, socket: /path/run/haproxy.sock}
"""

RETURN = r"""
answer: {description: What the master process said., type: str, returned: after a reload}
"""

import hashlib
import socket
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rollcall_files import put
from ansible.module_utils.rollcall_haproxy import HaproxyError, Runtime

PAUSE_SECONDS = 0.1


# Certificates come into force by the runtime API (haproxy_certificate), and need no reload.
ELSEWHERE = "tls"


def digest(directory):
    """One hash of all files of a configuration, names included."""
    sum_of_all = hashlib.sha256()
    files = (path for path in Path(directory).rglob("*") if path.is_file() and path.relative_to(directory).parts[0] != ELSEWHERE)
    for file in sorted(files):
        sum_of_all.update(f"{file.relative_to(directory)} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return sum_of_all.hexdigest()


def remembered(path):
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def remember(path, what):
    put(path, what + "\n")


def reload(master, timeout):
    """The answer of the master process, which comes at the reload's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(master)
            connection.sendall(b"reload\n")
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace").strip()
        except OSError as error:
            raise HaproxyError(f"HAProxy's master process does not answer at {master}: {error}") from error


def await_start(path, timeout):
    """Until it answers: one that cannot bind its port is started by Docker again and again, and never does."""
    until = time.monotonic() + timeout
    while True:
        try:
            return Runtime(path).ask("show version")
        except HaproxyError as error:
            if time.monotonic() > until:
                raise HaproxyError(f"{error}. docker logs says why it does not start") from error
            time.sleep(PAUSE_SECONDS)


def run(module):
    params = module.params
    wanted = digest(params["directory"])
    fresh = remembered(params["applied"]) == wanted
    if module.check_mode or fresh:
        if not module.check_mode:
            await_start(params["socket"], params["timeout"])
        module.exit_json(changed=not fresh)
    await_start(params["socket"], params["timeout"])
    answer = ""
    if not params["started"]:
        answer = reload(params["master"], params["timeout"])
        if not answer.startswith("Success=1"):
            raise HaproxyError(f"HAProxy refused the reload and goes on with what it had: {answer or 'no answer'}")
    remember(params["applied"], wanted)
    module.exit_json(changed=True, answer=answer)


def main():
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "applied": {"type": "path", "required": True},
            "master": {"type": "path", "required": True},
            "socket": {"type": "path", "required": True},
            "started": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 20},
        },
        supports_check_mode=True,
    )
    try:
        run(module)
    except HaproxyError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"cannot read the configuration: {error}")


if __name__ == "__main__":
    main()
