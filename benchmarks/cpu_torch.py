"""Gives torch in a lock file its wheel for processors on Linux.

    uv pip compile … | python benchmarks/cpu_torch.py > requirements-peers.lock

The public index has torch for Linux with CUDA only, which drags in gigabytes of libraries; the wheel for processors lies
on PyTorch's own index under the same version. With its hash alone on Linux, pip takes that wheel from wherever it is
told to look, or refuses.
"""

from __future__ import annotations

import re
import sys

VERSION = "2.13.0"
HASH = "sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
"""Of torch-2.13.0+cpu for CPython 3.11 on x86-64."""


def with_cpu_wheel(lock: str) -> str:
    """Returns a lock with torch's entry parted into one for Linux and one for the rest.

    Raises:
        SystemExit: the lock has torch in another version.
    """
    entry = re.compile(rf"^torch=={re.escape(VERSION)} \\\n", re.M)
    parted = (
        f"torch=={VERSION} ; sys_platform == 'linux' \\\n    --hash={HASH}\n"
        f"torch=={VERSION} ; sys_platform != 'linux' \\\n"
    )
    changed, count = entry.subn(lambda _: parted, lock)
    if count != 1:
        raise SystemExit(f"torch=={VERSION} is not in the lock: change the version and the hash in {__file__}.")
    return changed


if __name__ == "__main__":
    sys.stdout.write(with_cpu_wheel(sys.stdin.read()))
