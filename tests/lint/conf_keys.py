#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Holds stsgate.conf(5) and the example against the code.

Keys and defaults must be the same both ways.  A key that the page says has no effect must not be
read anywhere, and every other one must be.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
PRINTER = "tests/unit/conf_keys"
NO_EFFECT = "no effect in this version"
TOP = "Outside of all sections"


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def keys_of_code():
    printed = subprocess.run([PRINTER], capture_output=True, text=True, check=True).stdout
    return dict(line.split(" = ", 1) for line in printed.splitlines())


def paragraphs():
    """(section.key, default, words) for each key of the page."""
    part = text("man/stsgate.conf.5").split("\n.Sh KEYS\n")[1].split("\n.Sh ")[0]
    for section in part.split("\n.Ss ")[1:]:
        name, _, body = section.partition("\n")
        prefix = "" if name == TOP else name + "."
        rows = re.split(r"^\.It Ic (\S+) No = Li (.*)$", body, flags=re.MULTILINE)
        for key, default, words in zip(rows[1::3], rows[2::3], rows[3::3]):
            yield prefix + key, default.replace(r"\(dq", '"'), " ".join(words.split())


def keys_of_example():
    """(section.key, value) for each line of the example that shows a default."""
    section = ""
    for line in text("integration/examples/stsgate.conf").splitlines():
        opening = re.match(r"(\S+) \{$", line)
        if opening or line == "}":
            section = opening.group(1) + "." if opening else ""
        shown = re.match(r"\s*#([a-z-]+)\s*= (.*)$", line)
        if shown:
            yield section + shown.group(1), shown.group(2)


def members():
    """section.key -> where it lands in struct conf, as the table says."""
    table = text("base/conf/conf_table.c").split("conf_keys[] = {")[1].split("\n};")[0]
    for row in re.findall(r"\{ (\".*?) \},$", table, re.MULTILINE | re.DOTALL):
        section, key = re.findall(r'"([^"]*)"', row)[:2]
        field = re.search(r"IN\(\w+, [^,]+, (\w+)\)|FIELD\([^,]+, ([\w.]+)\)"
                          r"|(?:TEXT|STRINGS|LISTEN)\(\w+, ([\w.]+)|[A-Z]+\(([a-z][\w.]*)", row)
        found = next(filter(None, field.groups())) if field else None
        yield f"{section}.{key}".lstrip("."), found


def effect_faults(pages):
    source = "\n".join(path.read_text(encoding="utf-8")
                       for folder in ("policy", "report", "shim", "integration", "cmd")
                       for path in sorted((ROOT / folder).rglob("*.c")))
    landing = {"smtp.address-families": "smtp.use_ipv6", "destination.relay": "relay_host"}
    for key, member in members():
        path = landing.get(key) or ".".join(member.split(".")[:2])
        read = re.search(rf"(?:->|\.){re.escape(path)}\b", source) is not None
        effect = NO_EFFECT not in pages.get(key, ("", ""))[1]
        if read and not effect:
            yield f"{key}: documented to have no effect, but {path} is read"
        if effect and not read:
            yield f"{key}: documented, but {path} is read nowhere"


def main():
    code = keys_of_code()
    pages = {key: (default, words) for key, default, words in paragraphs()}
    faults = [f"{key}: not documented" for key in code if key not in pages]
    faults += [f"{key}: documented and does not exist" for key in pages if key not in code]
    faults += [f"{key}: the default is {code[key]}, the page says {default}"
               for key, (default, _) in pages.items() if code.get(key, default) != default]
    faults += [f"{key}: nothing is said of it" for key, (_, words) in pages.items() if not words]
    faults += [f"{key}: the example shows {value}, not {code.get(key)}"
               for key, value in keys_of_example() if code.get(key) != value]
    faults += effect_faults(pages)
    print("\n".join(faults) or f"{len(code)} keys: page, example and code agree")
    return 1 if faults or not code else 0


if __name__ == "__main__":
    sys.exit(main())
