# Apache-2.0
"""Docker, on this machine or on another."""

HOST_OPTION = {"docker_host": {"type": "str", "default": ""}}


def docker_command(module, host=""):
    """The command that every other begins with. `host` as in DOCKER_HOST, such as ssh://root@10.0.0.2; empty is this machine."""
    return [module.get_bin_path("docker", required=True), *(["--host", host] if host else [])]
