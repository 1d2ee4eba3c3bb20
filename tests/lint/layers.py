#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Holds the includes against the ladder of the rooms (HACKING.md).

A file includes its own room and those on lower rungs, by the path from the root, the lowest first.
The files of policy/ itself are pure.  x_inside.h is included by x*.c of the same room alone.  Each
third-party header stands in the files named here and nowhere else.  Also: the licence lines, the
width, the length of files.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
# Rooms on one rung do not include each other.
LADDER = (
    ("base",),
    ("base/conf", "base/store"),
    ("policy/dns",),
    ("policy",),
    ("policy/facts", "shim/message", "report"),
    ("fleet",),
    ("shim/smtp", "shim/lmtp", "integration/policymap"),
    ("shim/control",),
    ("cmd",),
)
ORDER = [room for rung in LADDER for room in rung]
ORDER.insert(ORDER.index("shim/control"), "integration/milter")
ALLOWED = {room: {lower for below in LADDER[:number] for lower in below} | {room}
           for number, rung in enumerate(LADDER) for room in rung}
# The milter is a program of its own, and a client of stsgated's sockets.
ALLOWED["integration/milter"] = {"base", "base/conf", "integration/milter"}
ALLOWED["cmd"].add("integration/milter")

# What pure code may include: no log, clock, thread, store, socket, resolver.
PURE_ROOM = "policy"
PURE = {f"base/{name}.h" for name in ("arena", "buf", "digest", "domain", "ip", "limits", "number",
                                      "reply", "utc", "utf8", "x509_error")} \
    | {"base/conf/conf_rules.h", "policy/dns/dns.h", "policy/dns/resolver_health.h"}
PURE_SYSTEM = {"errno.h", "inttypes.h", "jansson.h", "limits.h", "openssl/err.h", "openssl/evp.h",
               "openssl/x509.h", "openssl/x509_vfy.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h",
               "stdio.h", "stdlib.h", "string.h", "strings.h"}
THIRD_PARTY = {
    "unbound.h": {"policy/dns/resolver_engine.c", "cmd/libraries_daemon.c"},
    "curl/curl.h": {"base/http_work.h", "report/smtp_submit.c", "cmd/libraries_net.c"},
    "db.h": {"base/store/bdb.c", "cmd/libraries_daemon.c"},
    "microhttpd.h": {"shim/control/control.c", "cmd/libraries_daemon.c"},
    "libmilter/mfapi.h": {"integration/milter/milter.c", "cmd/libraries_milter.c"},
    "confuse.h": {"base/conf/conf.c", "cmd/libraries_base.c"},
    "zlib.h": {"base/gzip.c", "cmd/libraries_net.c"},
    "gmime/gmime.h": {"cmd/received_mail.c", "cmd/libraries_mail.c"},
    "idn2.h": {"base/domain.c", "cmd/libraries_base.c"},
    "openssl/ssl.h": {"base/x509.c", "shim/smtp/tls_client.c", "shim/smtp/tls_dane.c"},
    "jansson.h": {"policy/plan_text.c", "policy/facts/sts_json.c", "report/datagram_read.c",
                  "report/history_form.c", "shim/control/control_history.c",
                  "shim/control/control_why.c",
                  "report/received.c", "report/received.h", "report/report.c", "report/tally_form.c", "integration/milter/milter_verdict.c",
                  "shim/control/control_answer.c", "shim/control/control_cache.c",
                  "shim/control/control_check.c", "shim/control/control_status.c", "shim/control/control_tlsrpt.c",
                  "cmd/libraries_base.c", "cmd/stsgate_client.h", "cmd/stsgate_print.c",
                  "cmd/stsgate_print.h",
                  "cmd/stsgate_print_report.c", "cmd/stsgate_read.c"},
}
LONGEST_FILE = 700
WIDEST_LINE = 100
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+[<"]([^">]+)[">]', re.MULTILINE)
QUOTED = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)
BLOCK = re.compile(r'(?:^[ \t]*#[ \t]*include[ \t]+"[^"]+".*\n)+', re.MULTILINE)


def room_of(name):
    return name.rpartition("/")[0]


def rank(header):
    room = room_of(header)
    return (ORDER.index(room) if room in ORDER else len(ORDER), header)


def form_faults(name, text):
    lines = text.splitlines()
    if "SPDX-License-Identifier: ISC" not in "\n".join(lines[:6]):
        yield f"{name}: no SPDX lines"
    if len(lines) > LONGEST_FILE:
        yield f"{name}: {len(lines)} lines"
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > WIDEST_LINE:
            yield f"{name}:{number}: wider than {WIDEST_LINE} columns"


def ladder_faults(name, text):
    room = room_of(name)
    if room not in ALLOWED:
        yield f"{name}: {room} is no room of the ladder"
        return
    for header in INCLUDE.findall(text):
        if room_of(header) in ALLOWED and room_of(header) not in ALLOWED[room]:
            yield f"{name}: includes {header}, and {room_of(header)} is not below {room}"
        if header in THIRD_PARTY and name not in THIRD_PARTY[header]:
            yield f"{name}: includes <{header}>, which belongs to {sorted(THIRD_PARTY[header])}"


def order_faults(name, text):
    """Holds for tests as well."""
    for header in QUOTED.findall(text):
        if header != "config.h" and not (ROOT / header).is_file():
            yield f'{name}: includes "{header}", which is no path from the root'
    for block in BLOCK.findall(text):
        headers = QUOTED.findall(block)
        if headers != sorted(headers, key=rank):
            yield f"{name}: includes {headers[0]} and so on, not in the order of the rooms"


def purity_faults(name, text):
    """Of a file in policy/, and of the headers of base/ that those may include."""
    for header in INCLUDE.findall(text):
        ours = "/" in header and (ROOT / header).is_file()
        if header == "config.h":
            continue
        if ours and header not in PURE and room_of(header) != PURE_ROOM:
            yield f"{name}: includes {header}, and {PURE_ROOM}/ is pure"
        if not ours and room_of(name) == PURE_ROOM and header not in PURE_SYSTEM:
            yield f"{name}: includes <{header}>, and {PURE_ROOM}/ is pure"


def inside_faults(name, text):
    """Holds for tests as well."""
    for header in QUOTED.findall(text):
        owner = header.removesuffix("_inside.h")
        if owner != header and not re.fullmatch(rf"{re.escape(owner)}(_\w+)?\.c", name):
            yield f"{name}: includes {header}, which is for {owner}*.c alone"


def main():
    rooms = sorted({room.split("/")[0] for room in ORDER})
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
             for folder in (*rooms, "tests") for suffix in ("c", "h")
             for path in sorted((ROOT / folder).rglob(f"*.{suffix}"))}
    files = [name for name in texts if not name.startswith("tests/")]
    if not files:
        print("no source files found")
        return 1
    faults = []
    for name, text in texts.items():
        faults += [*order_faults(name, text), *inside_faults(name, text)]
        if name in files:
            faults += [*form_faults(name, text), *ladder_faults(name, text)]
        if room_of(name) == PURE_ROOM or name in PURE:
            faults += purity_faults(name, text)
    print("\n".join(faults) or f"{len(files)} files in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
