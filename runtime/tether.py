"""``python -m runtime.tether PARENT COMMAND …``: become COMMAND, and end when PARENT does.

On Linux the kernel sees to it, however the parent went (prctl(2), PR_SET_PDEATHSIG); elsewhere a
killed parent leaves its children behind.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before the kernel was told
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606  # the network's own programs


if __name__ == "__main__":
    main()
