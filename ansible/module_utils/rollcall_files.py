# Apache-2.0
"""Files that are whole whoever reads them, and whenever: also after a power cut."""

import contextlib
import os


def put(path, content, mode=None, owner=-1, suffix=".new"):
    """Put text, or bytes, in the place of what the file has. Without a `mode` the umask says who reads it; `owner` is for root to give.

    On the disk the name may be there before the content is, so the content goes first.
    """
    new = f"{path}{suffix}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        if mode is not None:
            os.fchmod(file.fileno(), mode)
        if owner != -1 and os.geteuid() == 0:
            os.fchown(file.fileno(), owner, -1)
        os.fsync(file.fileno())
    os.replace(new, path)
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
