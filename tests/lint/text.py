#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Holds the files to .editorconfig: UTF-8, LF, a newline at the end, no blanks at the end of a line,
tabs in C and spaces in Python.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
FOLDERS = ("base", "policy", "report", "shim", "integration", "cmd", "man", "scripts", "tests")
SUFFIXES = (".c", ".h", ".py", ".inc", ".md", ".1", ".5", ".8", ".in", ".supp", ".lua", ".ini", ".json",
            ".mc", ".m4", ".conf")
OCTETS = ("tests/fuzz/corpus/", "integration/lab/screenshots/")
INDENTED = {".c": re.compile(r"^ {8}", re.MULTILINE), ".h": re.compile(r"^ {8}", re.MULTILINE),
            ".py": re.compile(r"^ *\t", re.MULTILINE)}


def files():
    top = [path for path in ROOT.iterdir() if path.suffix in (".md", ".ac", ".am")
           or path.name in ("NEWS", "LICENSE", "runtests", "quickstart")]
    below = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))
             if path.suffix in SUFFIXES]
    return [path for path in top + below if path.is_file()
            and not str(path.relative_to(ROOT)).startswith(OCTETS)]


def faults_of(path):
    octets = path.read_bytes()
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        yield "is not UTF-8"
        return
    if "\r" in text:
        yield "has CR"
    if text and not text.endswith("\n"):
        yield "has no newline at the end"
    for number, line in enumerate(text.splitlines(), 1):
        if line != line.rstrip(" \t"):
            yield f"has blanks at the end of line {number}"
    wrong = INDENTED.get(path.suffix)
    if wrong and wrong.search(text):
        yield "is indented with spaces" if path.suffix != ".py" else "is indented with tabs"


def main():
    found = files()
    faults = [f"{path.relative_to(ROOT)} {fault}" for path in found for fault in faults_of(path)]
    print("\n".join(faults) or f"{len(found)} files in order")
    return 1 if faults or len(found) < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
