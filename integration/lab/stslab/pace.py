# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""How long the lab and its tests wait for what must happen before they call it a failure.

A program under a sanitizer takes its time, and so does a busy machine.  The factor stands here alone:
STSLAB_SLOW names it, or the build says it.  Times that a test is about, and those that the lab's hosts
take on purpose, are never stretched.
"""

import functools
import os
import pathlib
import re

ADDRESS_FACTOR, THREAD_FACTOR = 2.0, 4.0


@functools.cache
def _sanitizers():
    """"address,undefined" or the like; "" where the programs were built without."""
    makefile = pathlib.Path(os.environ.get("STSGATE_BUILD", "/nonexistent")) / "Makefile"
    text = makefile.read_text("utf-8") if makefile.exists() else ""
    flags = re.search(r"^SANITIZER_FLAGS = .*-fsanitize=(\S+)", text, re.MULTILINE)
    return flags.group(1) if flags else ""


def is_sanitized():
    return _sanitizers() != ""


def factor():
    named = os.environ.get("STSLAB_SLOW")
    if named:
        return float(named)
    if not is_sanitized():
        return 1.0
    return THREAD_FACTOR if "thread" in _sanitizers() else ADDRESS_FACTOR


def patience(seconds):
    """`seconds` on an ordinary build, more where everything takes longer."""
    return seconds * factor()
