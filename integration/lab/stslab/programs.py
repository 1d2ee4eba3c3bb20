# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Where stsgated, stsgate and stsgate-deliver are, and how to run them to the end.

A program is looked for in the variable of its name (STSGATED, STSGATE,
STSGATE_DELIVER), in the directory STSGATE_BUILD, in the source tree and in
build/ below it, and on PATH.
"""

import os
import pathlib
import shutil
import subprocess

from . import pace, sanitizer

TOP = pathlib.Path(__file__).resolve().parents[3]


class ProgramMissing(RuntimeError):
    """A program of stsgate was not built."""


class ProgramFaulty(RuntimeError):
    """A sanitizer reported a fault of a program of stsgate."""


def find(name):
    """The path of one of our programs."""
    named = os.environ.get(name.upper().replace("-", "_"))
    if named:
        return named
    build = os.environ.get("STSGATE_BUILD")
    for directory in ([pathlib.Path(build)] if build else [TOP, TOP / "build"]):
        if os.access(directory / name, os.X_OK):
            return str(directory / name)
    found = None if build else shutil.which(name)
    if not found:
        raise ProgramMissing(f"{name} is not built; set STSGATE_BUILD to the build directory")
    return found


def run(name, *arguments, stdin=b"", seconds=30):
    """Run one of our programs; its result has returncode, stdout and stderr as text."""
    done = subprocess.run([find(name), *arguments], input=stdin, timeout=pace.patience(seconds),
                          capture_output=True, check=False)
    complaint = sanitizer.complaint(done.stderr)
    if complaint:
        raise ProgramFaulty(complaint)
    done.stdout = done.stdout.decode("utf-8", "replace")
    done.stderr = done.stderr.decode("utf-8", "replace")
    return done
