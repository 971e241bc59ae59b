"""Turns itself into one process of the local stack: `launch.py PARENT_PID DEATH_SIGNAL UID:GID COMMAND…`.

A program of its own (standard library only), because both things it does must happen between fork and exec, where
Python code of a threaded parent is not safe. It keeps its process id, so the id that the parent knows is the server's.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def leave_root(uid: int, gid: int) -> None:
    """PostgreSQL refuses to run as root, yet a root user's files lie in folders that nobody else may enter.

    So the process becomes another user that keeps, of all that root may, only the right to enter those folders; the
    other way would be to open the folders themselves to everybody.
    """
    os.setgroups([])
    if sys.platform != "linux":
        os.setgid(gid)
        os.setuid(uid)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgid(gid)
    os.setuid(uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    mask = 1 << CAP_DAC_OVERRIDE
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; low words, then high
    if libc.capset(header, sets) == 0:  # where a container withholds the right, the folders have to be open already
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main(arguments: list[str]) -> None:
    parent, death_signal = int(arguments[0]), int(arguments[1])
    uid, gid = (int(part) for part in arguments[2].split(":"))
    command = arguments[3:]
    if uid:
        leave_root(uid, gid)
    if sys.platform == "linux":
        # After the change of user, which clears it. The kernel sends the signal when the thread that started us ends.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit(1)  # the parent ended before the line above
    os.execv(command[0], command)  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
