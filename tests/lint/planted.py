#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Plants faults in a copy of the tree, one after the other, and shows that ./runtests is red for each.

    tests/lint/planted.py [NAME]...     all, or those named

Not a part of ./runtests, since it takes some minutes.  The copy is of the last commit, with only a few
stories in it; first it must be green without any fault.  Needs root, as the stories do.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
KEPT = {"test_contract.py"}
FIRST = "test_starts_empty(void **state)\n{\n"
STORY = "tests/e2e/test_planted.py"
PARALLEL = '''
from concurrent.futures import ThreadPoolExecutor

from checks import address


def test_planted(net, mta):
    domains = [net.domain() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda domain: mta.deliver(address(domain)), domains):
            assert result.only.short == "250 2.0.0"
'''
ALTERNATES = '''
import pathlib


def test_planted():
    seen = pathlib.Path(__file__).with_name("seen")
    if not seen.exists():
        seen.write_text("")
        raise AssertionError("the first time")
    seen.unlink()
'''
SKIPS = '''
import pytest


def test_planted():
    pytest.skip("not today")
'''
LEAVES = '''
import os


def test_planted():
    os._exit(0)
'''


class Plant:
    """A fault: text after a text of a file, or a new file; the part that must find it, and its words."""

    def __init__(self, part, words, *edits, meanwhile=None):
        self.part, self.words, self.edits, self.meanwhile = part, words, edits, meanwhile


def kill_make(copy, process):
    """SIGTERM to the make of `process` once twenty programs have a result."""
    while process.poll() is None:
        if len(list((copy / "build/gcc/tests").rglob("*.trs"))) >= 20:
            for entry in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    parent = int((entry / "stat").read_text("latin-1").rpartition(")")[2].split()[1])
                    command = (entry / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if parent == process.pid and command[0] == b"make" and b"check" in command:
                    os.kill(int(entry.name), signal.SIGTERM)
                    return
        time.sleep(0.01)


BUF = "tests/unit/test_buf.c"
PLANTS = {
    "crash": Plant("unit", r"failed: \[unit-gcc\] tests/unit/test_buf",
                   (BUF, FIRST, "\traise(11);\n"), (BUF, "#include <string.h>\n", "#include <signal.h>\n")),
    "early-end": Plant("unit", r"failed: \[unit-gcc\] tests/unit/test_buf announced \d+ tests and ran",
                       (BUF, FIRST, "\t_Exit(0);\n"), (BUF, "#include <string.h>\n", "#include <stdlib.h>\n")),
    "every-second-time": Plant(
        "unit", r"passed only the second time: \[unit-gcc\] tests/unit/test_buf",
        (BUF, FIRST, '\tif (unlink("seen") != 0)\n\t\tassert_int_equal(close(creat("seen", 0600)), 1);\n'),
        (BUF, "#include <string.h>\n", "#include <fcntl.h>\n#include <unistd.h>\n")),
    "unit-skip": Plant("unit", r"skipped: \[unit-gcc\] tests/unit/test_buf: test_starts_empty",
                       (BUF, FIRST, "\tskip();\n")),
    "check-ended-half-way": Plant("unit", r"failed: \[unit-gcc\] tests/\S+ has no result",
                                  meanwhile=kill_make),
    "story-every-second-time": Plant("e2e", rf"passed only the second time: \[e2e\] {STORY}::test_planted",
                                     (STORY, None, ALTERNATES)),
    "story-skip": Plant("e2e", rf"skipped: \[e2e\] {STORY}::test_planted", (STORY, None, SKIPS)),
    "share-left-early": Plant("e2e", rf"failed: \[e2e\] {STORY}::test_planted has no result",
                          (STORY, None, LEAVES)),
    "leak": Plant("sanitizers", r"failed: \[e2e-sanitizers\] .*AddressSanitizer: \d+ byte\(s\) leaked",
                  ("cmd/stsgated.c", 'log_message(LOG_LEVEL_INFO, "stop", "stopped");\n',
                   "\t{ void *volatile planted = malloc(100); planted = NULL; (void)planted; }\n"),
                  (STORY, None, PARALLEL)),
    "race": Plant("threads", r"failed: \[e2e-threads\] .*ThreadSanitizer: data race",
                  ("shim/smtp/deliver.c", "deliver_group(void *context, struct txn *txn, struct group *group)\n{\n",
                   "\tstatic unsigned planted;\n\n\tplanted++;\n"),
                  (STORY, None, PARALLEL)),
}


def git(copy, *words):
    subprocess.run(["git", "-C", copy, *words], check=True, stdout=subprocess.DEVNULL)


def make_copy(directory):
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", TOP, directory], check=True)
    for folder in ("e2e", "mta", "lab"):
        for path in (directory / "tests" / folder).glob("test_*.py"):
            if path.name not in KEPT:
                path.unlink()


def plant(copy, edits):
    for name, after, text in edits:
        path = copy / name
        if after is None:
            path.write_text(text, "utf-8")
            continue
        before = path.read_text("utf-8")
        assert before.count(after) == 1, f"{name} does not have once: {after}"
        path.write_text(before.replace(after, after + text), "utf-8")


def pull_up(copy, edits):
    for name, after, _ in edits:
        if after is None:
            (copy / name).unlink()
        else:
            git(copy, "checkout", "-q", name)


def runtests(copy, part, meanwhile=None):
    """(exit status, what it printed)"""
    environment = {**os.environ, "CI": "true"}
    environment.pop("STSGATE_BUILD", None)
    with subprocess.Popen(["./runtests", *part.split()], cwd=copy, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        if meanwhile:
            meanwhile(copy, process)
        output, _ = process.communicate()
    return process.returncode, output


def verdict(status, output, words):
    """The fault of that run; "" when it is red, for the right reason."""
    last = re.fullmatch(r"(\d+) passed, (\d+) failed", output.splitlines()[-1])
    if not last:
        return f"the last line is {output.splitlines()[-1]!r}"
    if words is None:
        return "" if status == 0 and last.group(2) == "0" else "red without any fault"
    if status == 0 or last.group(2) == "0":
        return "green"
    return "" if re.search(words, output) else f"red, but nothing says {words}"


def said(output):
    """The first lines that name what is wrong, and the last one."""
    named = [line[:160] for line in output.splitlines()
             if re.match(r"failed|skipped|passed only", line)]
    more = [f"and {len(named) - 5} more"] if len(named) > 5 else []
    return [*named[:5], *more, output.splitlines()[-1]]


def main(*names):
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="stsgate-planted.") as directory:
        copy = pathlib.Path(directory) / "copy"
        make_copy(copy)
        copy.parent.chmod(0o755)
        chosen = names or PLANTS
        parts = dict.fromkeys(PLANTS[name].part for name in chosen)
        for name in ["nothing", *chosen]:
            one = PLANTS.get(name) or Plant(" ".join(parts), None)
            began = time.monotonic()
            plant(copy, one.edits)
            status, output = runtests(copy, one.part, one.meanwhile)
            fault = verdict(status, output, one.words)
            pull_up(copy, one.edits)
            wrong += bool(fault)
            print(f"{'WRONG' if fault else 'right'}: planted {name}, {one.part}: status {status}, "
                  f"{time.monotonic() - began:.0f} s {fault}", flush=True)
            print("\n".join(f"    {line}" for line in said(output)), flush=True)
            if fault:
                print("\n".join(f"    | {line}" for line in output.splitlines()[-40:]), flush=True)
            if fault and name == "nothing":
                break
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
