#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Counts the results of tests, so that there are as many results as tests, or a failure.

    results.py add LEDGER PART OUTCOME NAME         one result
    results.py check LEDGER PART BUILD STATUS [NAME]...
        those of "make check" in BUILD, which ended with STATUS; of all programs, or of those named
    results.py stories LEDGER PART DIRECTORY STATUS those of tests/e2e/run
    results.py shares DIRECTORY                     says what one run of tests/e2e/run came to
    results.py again LEDGER PART                    names what may be run a second time
    results.py second LEDGER PART AGAIN             the second results, in the ledger AGAIN
    results.py summary LEDGER                       the last lines of ./runtests

A ledger has one JSON object a line.  "again" prints nothing when a sanitizer reported anything, and
nothing when more files failed than a busy machine explains.
"""

import datetime
import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
KNOWN_FLAKY = HERE / "known-flaky"
LONGEST_EXCUSE = datetime.timedelta(days=30)
AGAIN_MAX = 5
COUNTED = 3     # the exit status of "check" and "stories" where something failed: not that of a traceback
REPORT = re.compile(r"WARNING: ThreadSanitizer|ERROR: (?:Address|Leak)Sanitizer|runtime error:"
                    r"|(?:Address|Thread|UndefinedBehavior)Sanitizer:DEADLYSIGNAL"
                    r"|FATAL: \w+Sanitizer")
ANNOUNCED = re.compile(r"^\[==========\] (?:\S+: )?Running (\d+) test\(s\)\.", re.MULTILINE)
ENDED = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\w+)$", re.MULTILINE)
PASSED, FAILED, SKIPPED, SECOND = "passed", "failed", "skipped", "second"


def load(path):
    """The objects of a ledger; a line that was cut off by a killed writer is left out."""
    found = []
    if path.exists():
        for line in path.read_text("utf-8", "replace").splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found


def store(path, rows, mode="a"):
    with open(path, mode, encoding="utf-8") as ledger:
        ledger.writelines(json.dumps(row) + "\n" for row in rows)


def row(part, outcome, name, note="", final=False):
    return {"part": part, "outcome": outcome, "name": name, "note": note, "final": final}


# make check

def wanted_programs(build):
    listed = subprocess.run(["make", "-C", str(build), "-s", "--no-print-directory", "list-tests"],
                            capture_output=True, text=True, check=False,
                            env={**os.environ, "MAKEFLAGS": ""})
    return listed.stdout.split()


def functions_of(log):
    """The last verdict on each test function: SKIPPED is printed beside an OK of the same name."""
    ended = {}
    for verdict, name in ENDED.findall(log):
        if ended.get(name) != "FAILED":
            ended[name] = verdict
    return ended


def program_rows(build, part, name):
    """The results of one program of "make check"."""
    log_path, result_path = build / f"{name}.log", build / f"{name}.trs"
    log = log_path.read_text("utf-8", "replace") if log_path.exists() else ""
    results = re.findall(r"^:test-result: (\w+)", result_path.read_text("utf-8", "replace"),
                         re.MULTILINE) if result_path.exists() else []
    final = REPORT.search(log) is not None
    if len(results) != 1:
        return [row(part, FAILED, name, "has no result", final)]
    if final and results[0] == "PASS":
        return [row(part, FAILED, name, "passed, with a sanitizer's report", final)]
    if results[0] == "SKIP":
        return [row(part, SKIPPED, name, (log.strip().splitlines() or [""])[0])]
    announced, ended = sum(map(int, ANNOUNCED.findall(log))), functions_of(log)
    rows = [row(part, {"OK": PASSED, "SKIPPED": SKIPPED}.get(verdict, FAILED), f"{name}: {function}",
                "", final) for function, verdict in ended.items()]
    wrong = []
    if results[0] != "PASS" and not any(item["outcome"] == FAILED for item in rows):
        wrong.append(row(part, FAILED, name, f"ended with {results[0]}", final))
    if pathlib.PurePath(name).name.startswith("test_") and announced == 0:
        wrong.append(row(part, FAILED, name, "announced no test", final))
    elif announced != len(ended):
        wrong.append(row(part, FAILED, name, f"announced {announced} tests and ran {len(ended)}", final))
    return rows + wrong or [row(part, PASSED, name)]


def check(build, part, status, *names):
    names = names or wanted_programs(build)
    rows = [item for name in names for item in program_rows(build, part, name)]
    if not names:
        rows.append(row(part, FAILED, "make list-tests", "named no test"))
    return rows + unexplained(rows, part, "make check", status)


def unexplained(rows, part, name, status):
    """A run that ended with something else than 0 failed, whatever was counted."""
    if status != 0 and not any(item["outcome"] == FAILED for item in rows):
        return [row(part, FAILED, name, f"ended with {status}")]
    return []


# stories

def outcome_of(phases):
    """One test's outcome of its setup, call and teardown."""
    outcomes = {phase["outcome"] for phase in phases}
    for worst in ("failed", "xpassed", "skipped", "xfailed"):
        if worst in outcomes:
            return FAILED if worst in ("failed", "xpassed") else SKIPPED
    return PASSED


def share_rows(path, part):
    """The results of one share; as many as it collected."""
    lines = load(path)
    begun = [line for line in lines if "collected" in line]
    if not begun:
        return [row(part, FAILED, path.stem, "collected nothing")], 0, 0
    phases = {}
    for line in lines:
        if "id" in line:
            phases.setdefault(line["id"], []).append(line)
    rows = []
    for name in begun[0]["collected"]:
        seen = phases.pop(name, [])
        final = any(phase["final"] for phase in seen)
        note = next((phase["note"] for phase in sorted(seen, key=lambda phase: not phase["final"])
                     if phase["outcome"] != "passed"), "")
        if not any(phase["when"] == "teardown" for phase in seen):
            rows.append(row(part, FAILED, name, "has no result", final))
        else:
            rows.append(row(part, outcome_of(seen), name, note, final))
    for name, seen in phases.items():   # what was told at collection: a file that skips or breaks
        rows.append(row(part, outcome_of(seen), name, seen[0]["note"]))
    return rows, len(begun[0]["collected"]), begun[0]["all"]


def stories(directory, part, status):
    rows, collected, wanted = [], 0, 0
    for path in sorted(directory.glob("share-*.json")):
        of_share, own, everything = share_rows(path, part)
        collected, wanted = collected + own, max(wanted, everything)
        rows += of_share
        ended_path = path.with_suffix(".status")
        ended = ended_path.read_text("ascii").strip() if ended_path.exists() else "nothing"
        if ended not in ("0", "1") and not (ended == "5" and own == 0):
            rows.append(row(part, FAILED, path.stem, f"broke off: its pytest ended with {ended}"))
    if collected != wanted or wanted == 0:
        rows.append(row(part, FAILED, "the shares", f"have {collected} stories of {wanted}"))
    return rows + unexplained(rows, part, "tests/e2e/run", status)


def counted(rows):
    return {outcome: sum(item["outcome"] == outcome for item in rows)
            for outcome in (FAILED, PASSED, SKIPPED)}


def tell(rows):
    return ", ".join(f"{number} {outcome}" for outcome, number in counted(rows).items()
                     if number or outcome == PASSED)


def shares(directory):
    rows = stories(directory, "", 0)
    for item in rows:
        if item["outcome"] == FAILED:
            print(f"failed: {item['name']} {item['note']}".rstrip())
    for item in rows:
        if item["outcome"] == SKIPPED:
            print(f"skipped: {item['name']} {item['note']}".rstrip())
    print(tell(rows))
    return 1 if counted(rows)[FAILED] else 0


# what is run a second time, to be named

def file_of(name):
    """The name to run it by a second time: a story's own, and for a test function its program's."""
    return name if "::" in name else name.split(": ")[0]


def again(rows, part):
    wrong = [item for item in rows if item["part"] == part and item["outcome"] == FAILED]
    names = sorted({file_of(item["name"]) for item in wrong})
    files = {name.split("::")[0] for name in names}
    if any(item["final"] for item in wrong) or len(files) > AGAIN_MAX:
        return []
    return [name for name in names if (HERE.parent / name.split("::")[0]).exists()
            or (HERE.parent / (name + ".c")).exists()]


def second(rows, part, later):
    """`rows`, where what failed and passed in `later` is SECOND."""
    wrong = {file_of(item["name"]) for item in later if item["outcome"] == FAILED}
    right = {file_of(item["name"]) for item in later if item["outcome"] == PASSED} - wrong
    for item in rows:
        if item["part"] == part and item["outcome"] == FAILED and file_of(item["name"]) in right:
            item["outcome"] = SECOND
    return rows


# the end

def known_flaky(today):
    """{name: reason} of tests/known-flaky, and what is wrong with that file."""
    excused, wrong = {}, []
    for number, line in enumerate(KNOWN_FLAKY.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, until, reason = (line.split(" | ", 2) + ["", ""])[:3]
        try:
            date = datetime.date.fromisoformat(until)
        except ValueError:
            date = None
        if date is None or not reason.strip():
            wrong.append(f"line {number} is not: NAME | YYYY-MM-DD | REASON")
        elif not today <= date <= today + LONGEST_EXCUSE:
            wrong.append(f"{name}: {until} is past, or more than {LONGEST_EXCUSE.days} days away")
        else:
            excused[name] = reason.strip()
    return excused, wrong


def summary(rows):
    today = datetime.datetime.now(datetime.timezone.utc).date()
    excused, wrong = known_flaky(today)
    rows = rows + [row("known-flaky", FAILED, "tests/known-flaky", note) for note in wrong]
    strict = os.environ.get("CI") == "true"
    passed = failed = 0
    for item in rows:
        name, outcome, note = item["name"], item["outcome"], item["note"]
        reason = excused.get(name) or excused.get(file_of(name))
        said = {FAILED: "failed", SKIPPED: "skipped",
                SECOND: "passed only the second time"}.get(outcome)
        bad = outcome == FAILED or (outcome == SECOND and not reason) or (outcome == SKIPPED and strict)
        passed += not bad and outcome != SKIPPED
        failed += bad
        if said:
            known = f"known: {reason}" if outcome == SECOND and reason else ""
            print(" ".join(filter(None, [f"{said}:", f"[{item['part']}]", name, note, known])))
    print(f"\n{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


def main(verb, *arguments):
    path = pathlib.Path(arguments[0])
    if verb == "shares":
        return shares(path)
    if verb == "add":
        store(path, [row(*arguments[1:])])
    elif verb in ("check", "stories"):
        part, where, status, *names = arguments[1:]
        read = check if verb == "check" else stories
        rows = read(pathlib.Path(where), part, int(status), *names)
        store(path, rows)
        print(f"    {tell(rows)}")
        return COUNTED if counted(rows)[FAILED] else 0
    elif verb == "again":
        print("\n".join(again(load(path), arguments[1])))
    elif verb == "second":
        store(path, second(load(path), arguments[1], load(pathlib.Path(arguments[2]))), "w")
    elif verb == "summary":
        return summary(load(path))
    else:
        print(__doc__, file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
