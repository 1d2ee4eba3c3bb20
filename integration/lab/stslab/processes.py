# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Ending an MTA the hard way, with all that it has started."""

import contextlib
import os
import pathlib
import signal


def _parents():
    """Process id -> its parent's."""
    parents = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()
            parents[int(entry.name)] = int(fields[1])
    return parents


def kill_tree(root):
    """SIGKILL to a process and everything below it, stopped first so that nothing new is begun."""
    family = [root]
    for _ in range(2):
        parents = _parents()
        for pid in family:
            family += [child for child, parent in parents.items()
                       if parent == pid and child not in family]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_below(root, name):
    """SIGKILL to what runs as `name` below a process; gives how many there were."""
    parents, found = _parents(), []
    for pid in parents:
        above = pid
        while above not in (0, root):
            above = parents.get(above, 0)
        with contextlib.suppress(OSError):
            if above == root and pathlib.Path(f"/proc/{pid}/comm").read_text("ascii") == name + "\n":
                os.kill(pid, signal.SIGKILL)
                found.append(pid)
    return len(found)
