#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Prints by room how many lines ran, of a build with --enable-coverage.

    coverage.py prepare BUILD       empties BUILD/profiles, and makes room there for every user
    coverage.py print BUILD         the table

Programs count in the files of BUILD/profiles as they run.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("base", "base/conf", "base/store", "policy", "policy/dns", "policy/facts", "report",
         "shim/message", "shim/smtp", "shim/lmtp", "shim/control", "integration/policymap",
         "integration/milter", "cmd")
PROGRAMS = ("stsgated", "stsgate", "stsgate-milter", "stsgate-deliver")


def prepare(build, profiles):
    """A program may run as another user than the one that made its file, so all may write to all."""
    shutil.rmtree(profiles, ignore_errors=True)
    profiles.mkdir(parents=True)
    profiles.chmod(0o1777)
    for program in PROGRAMS:
        subprocess.run([build / program, "-h"], capture_output=True, check=False)
    for path in profiles.iterdir():
        path.chmod(0o666)


def objects(build):
    tests = [path for folder, stem in (("unit", "test_"), ("fuzz", "fuzz_"))
             for path in sorted((build / "tests" / folder).glob(stem + "*"))
             if path.is_file() and not path.suffix and os.access(path, os.X_OK)]
    return [build / program for program in PROGRAMS] + tests


def lines_by_room(build, profiles):
    """{room: (lines that ran, lines)}"""
    merged = profiles / "all.profdata"
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", merged,
                    *sorted(profiles.glob("*.profraw"))], check=True)
    first, *others = objects(build)
    exported = subprocess.run(["llvm-cov", "export", "-summary-only", f"-instr-profile={merged}", first,
                               *(f"-object={other}" for other in others)],
                              capture_output=True, check=True).stdout
    rooms = {room: [0, 0] for room in ROOMS}
    for file in json.loads(exported)["data"][0]["files"]:
        path = pathlib.Path(os.path.realpath(file["filename"]))
        if path.is_relative_to(TOP) and str(path.relative_to(TOP).parent) in rooms:
            lines = file["summary"]["lines"]
            room = rooms[str(path.relative_to(TOP).parent)]
            room[0] += lines["covered"]
            room[1] += lines["count"]
    return rooms


def main(verb, build):
    build = pathlib.Path(build).resolve()
    profiles = build / "profiles"
    if verb == "prepare":
        prepare(build, profiles)
        return 0
    rooms = lines_by_room(build, profiles)
    rooms["all"] = [sum(column) for column in zip(*rooms.values())]
    for room, (ran, lines) in rooms.items():
        print(f"{room:22} {100 * ran / max(lines, 1):5.1f} % of {lines:6} lines")
    return 0 if rooms["all"][0] > 0 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
