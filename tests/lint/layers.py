#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Holds the includes against the layers: base <- policy <- report <- {shim, integration} <- cmd.

A file includes its own folder and those to the left; each third-party header stands in the files
named here and nowhere else.  Also: the licence lines, the width, the length of files.
"""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
ALLOWED = {
    "base": {"base"},
    "policy": {"base", "policy"},
    "report": {"base", "policy", "report"},
    "shim": {"base", "policy", "report", "shim"},
    "integration": {"base", "policy", "report", "integration"},
    "cmd": {"base", "policy", "report", "shim", "integration", "cmd"},
}
THIRD_PARTY = {
    "unbound.h": {"policy/dns/resolver_engine.c"},
    "curl/curl.h": {"base/http_work.h", "report/smtp_submit.c"},
    "db.h": {"base/store/bdb.c"},
    "microhttpd.h": {"shim/control/control.c"},
    "libmilter/mfapi.h": {"integration/milter/milter.c"},
    "confuse.h": {"base/conf/conf.c"},
    "zlib.h": {"base/gzip.c"},
    "idn2.h": {"base/domain.c"},
    "openssl/ssl.h": {"base/x509.c", "shim/smtp/tls_client.c", "shim/smtp/tls_dane.c"},
    "jansson.h": {"policy/plan_text.c", "policy/facts/sts_json.c", "report/datagram_read.c",
                  "report/report.c", "report/tally_form.c", "integration/milter/milter_verdict.c",
                  "shim/control/control_answer.c", "shim/control/control_cache.c",
                  "shim/control/control_check.c", "shim/control/control_tlsrpt.c",
                  "cmd/stsgate_client.h", "cmd/stsgate_print.c", "cmd/stsgate_print.h",
                  "cmd/stsgate_print_report.c"},
}
LONGEST_FILE = 700
WIDEST_LINE = 100
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]', re.MULTILINE)


def faults_of(path):
    name = str(path.relative_to(ROOT))
    folder = name.split("/")[0]
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if "SPDX-License-Identifier: ISC" not in "\n".join(lines[:6]):
        yield f"{name}: no SPDX lines"
    if len(lines) > LONGEST_FILE:
        yield f"{name}: {len(lines)} lines"
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > WIDEST_LINE:
            yield f"{name}:{number}: wider than {WIDEST_LINE} columns"
    for header in INCLUDE.findall(text):
        room = header.split("/")[0]
        if "/" in header and room in ALLOWED and room not in ALLOWED[folder]:
            yield f"{name}: includes {header}, which is not to its left"
        if header in THIRD_PARTY and name not in THIRD_PARTY[header]:
            yield f"{name}: includes <{header}>, which belongs to {sorted(THIRD_PARTY[header])}"


def main():
    files = [path for folder in ALLOWED for suffix in ("c", "h")
             for path in sorted((ROOT / folder).glob(f"*.{suffix}"))]
    if not files:
        print("no source files found")
        return 1
    faults = [fault for path in files for fault in faults_of(path)]
    print("\n".join(faults) or f"{len(files)} files in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
