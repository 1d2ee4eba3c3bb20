#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Measures the tree; prints, and judges nothing.

    tests/lint/house.py [ROOT]

Prints files and lines of each room; its functions: median, 90th percentile and longest, in lines of
the body; circles of calls between files of a room; and public names that do not begin with the name
of their header.  A call is found by the name of the function, so that calls through pointers are not
seen.  In a program's main file and in x_inside.h names are not compared.
"""

import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
ROOMS = ("base", "base/conf", "base/store", "policy/dns", "policy", "policy/facts", "report", "fleet",
         "shim/message", "shim/smtp", "shim/lmtp", "shim/control", "integration/policymap",
         "integration/milter", "cmd")
BODY = re.compile(r"^((?:static )?[^\n#/{}]*)\n(\w+)\((?:[^{}]|\n)*?\)\n\{\n(.*?)^\}$", re.M | re.S)
PROTOTYPE = re.compile(r"^(?!static|typedef|#|\t| )[\w \t*]*?\b(\w+)\((?!\*)", re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def functions(path):
    """(name, is it static, lines of the body, body)."""
    for kind, name, body in BODY.findall(path.read_text("utf-8")):
        yield name, kind.startswith("static"), body.count("\n"), COMMENT.sub("", body)


def circles(graph):
    """Groups of files each of which reaches the others."""
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for following in graph[todo.pop()] - seen:
                seen.add(following)
                todo.append(following)
        return seen
    reached = {name: reach(name) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached[other])
              for name in graph if name in reached[name]}
    return [sorted(group) for group in groups if len(group) > 1]


def call_graph(sources):
    """File to files of the room that define a public function which it calls."""
    home, bodies = {}, {}
    for path in sources:
        found = list(functions(path))
        bodies[path.name] = "\n".join(body for _, _, _, body in found)
        home.update({name: path.name for name, static, _, _ in found if not static})
    return {name: {home[called] for called in re.findall(r"\b(\w+)\(", body)
                   if home.get(called, name) != name}
            for name, body in bodies.items()}


def misnamed(headers):
    for path in headers:
        stem = path.stem
        if stem.endswith("_inside"):
            continue
        for name in PROTOTYPE.findall(COMMENT.sub("", path.read_text("utf-8"))):
            if not name.startswith((stem, "__")) and not stem.startswith(name.rpartition("_")[0]):
                yield f"{path.relative_to(ROOT)}: {name}"


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def main():
    print(f"{'room':<24}{'files':>6}{'lines':>7}{'functions':>11}{'median':>8}{'p90':>5}{'longest':>9}")
    rings, wrong = [], []
    for room in ROOMS:
        files = sorted(path for end in "ch" for path in (ROOT / room).glob("*." + end))
        sources = [path for path in files if path.suffix == ".c"]
        lengths = [length for path in sources for _, _, length, _ in functions(path)]
        if not lengths:
            continue
        lines = sum(path.read_text("utf-8").count("\n") for path in files)
        print(f"{room:<24}{len(files):>6}{lines:>7}{len(lengths):>11}"
              f"{statistics.median(lengths):>8.0f}{quantile(lengths, .9):>5}{max(lengths):>9}")
        rings += [f"{room}: {' '.join(ring)}" for ring in circles(call_graph(sources))]
        wrong += misnamed(path for path in files if path.suffix == ".h")
    print("", f"call circles: {len(rings)}", *rings, "", f"names: {len(wrong)}", *wrong, sep="\n")


if __name__ == "__main__":
    main()
