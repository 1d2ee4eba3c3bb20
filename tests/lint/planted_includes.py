#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Holds tests/lint/layers.py to its promise: faults are planted in a copy of the sources, one after
the other, and it must find each, and nothing without them.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
FOLDERS = ("base", "policy", "report", "shim", "integration", "cmd", "tests/unit")
# name: (file, the line that is planted behind its "config.h" or its guard, what must be said)
PLANTS = {
    "include of a room above": ("base/buf.c", '#include "policy/finding.h"', "policy is not below base"),
    "include of a neighbour on the rung": ("shim/lmtp/lmtp_dot.c", '#include "shim/smtp/dial.h"',
                                           "shim/smtp is not below shim/lmtp"),
    "store in the milter": ("integration/milter/milter_link.c", '#include "base/store/store.h"',
                            "base/store is not below integration/milter"),
    "log in policy/": ("policy/plan.c", '#include "base/log.h"', "policy/ is pure"),
    "threads in policy/": ("policy/plan_host.c", "#include <pthread.h>", "policy/ is pure"),
    "log in what policy/ includes": ("base/domain.h", '#include "base/log.h"', "policy/ is pure"),
    "inside of another module": ("policy/facts/gather.c", '#include "policy/facts/sts_cache_inside.h"',
                                 "for policy/facts/sts_cache*.c alone"),
    "inside in a test": ("tests/unit/test_tally.c", '#include "report/tally_inside.h"',
                         "for report/tally*.c alone"),
    "room that does not exist": ("shim/planted.c", "", "shim is no room"),
    "include by another path": ("shim/smtp/dial.c", '#include "dial.h"', "no path from the root"),
    "third-party header": ("report/report_mail.c", "#include <unbound.h>", "belongs to"),
}


def lint(copy):
    done = subprocess.run([sys.executable, ROOT / "tests/lint/layers.py"], capture_output=True, text=True,
                          check=False, env={**os.environ, "srcdir": str(copy)})
    return done.returncode, done.stdout + done.stderr


def plant(path, line):
    """The earlier text."""
    before = path.read_text("utf-8") if path.exists() else None
    if before is None:
        path.write_text("/* SPDX-License-Identifier: ISC */\n", "utf-8")
        return before
    lines = before.split("\n")
    at = next(number for number, text in enumerate(lines)
              if text == '#include "config.h"' or text.startswith("#define ") and text.endswith("_H"))
    path.write_text("\n".join([*lines[:at + 1], "", line, *lines[at + 1:]]), "utf-8")
    return before


def faults_of(copy):
    status, output = lint(copy)
    if status != 0:
        yield f"without a fault: {output}"
    for name, (file, line, words) in PLANTS.items():
        before = plant(copy / file, line)
        status, output = lint(copy)
        if status == 0 or not any(text.startswith(f"{file}: ") and words in text
                                  for text in output.splitlines()):
            yield f"{name}: not found; status {status}: {output}"
        if before is None:
            (copy / file).unlink()
        else:
            (copy / file).write_text(before, "utf-8")


def main():
    with tempfile.TemporaryDirectory(prefix="stsgate-planted.") as directory:
        copy = pathlib.Path(directory)
        for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.[ch]")):
            copied = copy / path.relative_to(ROOT)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(path.read_bytes())
        faults = list(faults_of(copy))
    print("\n".join(faults) or f"{len(PLANTS)} planted faults found")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
