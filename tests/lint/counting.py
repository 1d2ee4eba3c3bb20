#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Holds tests/results.py to its promise: as many results as tests, or a failure.

Each case is what one run left behind, and what has to be said of it.
"""

import datetime
import json
import os
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests"))

import results  # noqa: E402

GOOD = "[==========] Running 2 test(s).\n[       OK ] test_a\n[       OK ] test_b\n"
RACE = "WARNING: ThreadSanitizer: data race (pid=1)\n"
# name: log, result (None: no file), passed, failed, skipped, whether it may be run a second time
PROGRAMS = {
    "every test passed": (GOOD, "PASS", 2, 0, 0, False),
    "one failed": (GOOD.replace("[       OK ] test_b", "[  FAILED  ] test_b"), "FAIL", 1, 1, 0, True),
    "one was skipped": (GOOD.replace("[       OK ] test_b", "[  SKIPPED ] test_b"), "PASS", 1, 0, 1, False),
    "crashed": ("[==========] Running 2 test(s).\n[       OK ] test_a\n", "FAIL", 1, 2, 0, True),
    "left early with status 0": ("[==========] Running 2 test(s).\n[       OK ] test_a\n", "PASS",
                                 1, 1, 0, True),
    "announced nothing": ("", "PASS", 0, 1, 0, True),
    "never ran": (None, None, 0, 1, 0, True),
    "was cut off": (GOOD, None, 0, 1, 0, True),
    "is skipped as a whole": ("no mandoc\n", "SKIP", 0, 0, 1, False),
    "race": (RACE + GOOD, "FAIL", 2, 1, 0, False),
    "race, and passed": (RACE + GOOD, "PASS", 0, 1, 0, False),
}


def line(name, when="call", outcome="passed", final=False):
    return {"id": name, "when": when, "outcome": outcome, "note": "", "final": final}


def whole(name, **call):
    return [line(name, "setup"), line(name, **call), line(name, "teardown")]


# name: lines of the one share (None: no file), how pytest ended, passed, failed, skipped
SHARES = {
    "every story passed": ([{"collected": ["a", "b"], "all": 2}, *whole("a"), *whole("b")], "0", 2, 0, 0),
    "one failed": ([{"collected": ["a", "b"], "all": 2}, *whole("a"), *whole("b", outcome="failed")],
                   "1", 1, 1, 0),
    "one was skipped": ([{"collected": ["a"], "all": 1}, line("a", "setup", "skipped"),
                         line("a", "teardown")], "0", 0, 0, 1),
    "a fixture failed at the end": ([{"collected": ["a"], "all": 1}, line("a", "setup"), line("a"),
                                     line("a", "teardown", "failed")], "1", 0, 1, 0),
    "pytest was killed in b": ([{"collected": ["a", "b"], "all": 2}, *whole("a"), line("b", "setup")],
                               "137", 1, 2, 0),
    "pytest left early with 0": ([{"collected": ["a", "b"], "all": 2}, *whole("a")], "0", 1, 1, 0),
    "another share is missing": ([{"collected": ["a"], "all": 3}, *whole("a")], "0", 1, 1, 0),
    "nothing was collected": ([], "4", 0, 3, 0),
    "no share": (None, None, 0, 1, 0),
    "a file skips itself": ([line("f.py", "collect", "skipped"), {"collected": ["a"], "all": 1},
                             *whole("a")], "0", 1, 0, 1),
    "an expected failure": ([{"collected": ["a"], "all": 1}, *whole("a", outcome="xfailed")], "0", 0, 0, 1),
    "an unexpected success": ([{"collected": ["a"], "all": 1}, *whole("a", outcome="xpassed")], "0", 0, 1, 0),
}


def told(rows):
    found = results.counted(rows)
    return found[results.PASSED], found[results.FAILED], found[results.SKIPPED]


def program_faults(directory):
    for what, (log, result, *wanted, again) in PROGRAMS.items():
        build = pathlib.Path(tempfile.mkdtemp(dir=directory))
        name = "tests/unit/test_buf"
        (build / name).parent.mkdir(parents=True)
        if log is not None:
            (build / f"{name}.log").write_text(log)
        if result is not None:
            (build / f"{name}.trs").write_text(f":test-result: {result}\n")
        rows = results.check(build, "part", 0, name)
        if list(told(rows)) != wanted:
            yield f"a program that {what}: {told(rows)}, not {wanted}"
        if bool(results.again(rows, "part")) != again:
            yield f"a program that {what}: run a second time, or not, against the rule"
    rows = results.check(directory, "part", 2, "tests/lint/layers.py")
    if not any("has no result" in row["note"] for row in rows):
        yield "a run without any result is not noticed"


def share_faults(directory):
    for what, (lines, ended, *wanted) in SHARES.items():
        share = pathlib.Path(tempfile.mkdtemp(dir=directory))
        if lines is not None:
            (share / "share-0.json").write_text("".join(json.dumps(row) + "\n" for row in lines))
            (share / "share-0.status").write_text(ended + "\n")
        rows = results.stories(share, "part", 0)
        if list(told(rows)) != wanted:
            yield f"stories where {what}: {told(rows)}, not {wanted}: {rows}"
    (share / "share-0.json").write_text(json.dumps({"collected": ["a"], "all": 1}) + "\n"
                                        + "".join(json.dumps(row) + "\n" for row in whole("a")))
    (share / "share-0.status").write_text("0\n")
    if told(results.stories(share, "part", 1)) != (1, 1, 0):
        yield "a run of stories that ended with 1 and counted no failure passes"


def flaky_faults(directory):
    today = datetime.date(2030, 1, 10)
    results.KNOWN_FLAKY = directory / "known-flaky"
    for text, excused, wrong in (("# nothing\n\n", 0, 0), ("a | 2030-02-09 | a reason\n", 1, 0),
                                 ("a | 2030-02-10 | too far\n", 0, 1), ("a | 2030-01-09 | past\n", 0, 1),
                                 ("a | 2030-01-20 |\n", 0, 1), ("a | soon | a reason\n", 0, 1), ("a\n", 0, 1)):
        results.KNOWN_FLAKY.write_text(text)
        found = results.known_flaky(today)
        if (len(found[0]), len(found[1])) != (excused, wrong):
            yield f"known-flaky with {text!r}: {found}"


def main():
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory)
        faults = [*program_faults(path), *share_faults(path), *flaky_faults(path)]
    print("\n".join(faults) or f"{len(PROGRAMS) + len(SHARES)} runs counted right")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
