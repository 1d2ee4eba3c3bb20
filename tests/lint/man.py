#!/usr/bin/python3
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Holds the manual pages against the code, both ways: options, commands, log fields,
metrics, exit codes.

The keys of stsgate.conf(5) have a test of their own.  Every page must also pass mandoc's lint.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
PAGES = ("stsgated.8", "stsgate.1", "stsgate-deliver.8", "stsgate-milter.8",
         "stsgate-lab.1", "stsgate.conf.5")
LAB = "integration/lab/stslab"
EXITS = {"EX_OK": 0, "EXIT_NO": 1, "EX_USAGE": 64, "EX_NOUSER": 67, "EX_NOHOST": 68,
         "EX_UNAVAILABLE": 69, "EX_TEMPFAIL": 75, "EX_IOERR": 74, "EX_NOPERM": 77, "EX_CONFIG": 78}


def page(name):
    return (ROOT / "man" / name).read_text(encoding="utf-8")


def code(*names):
    return "\n".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def differ(what, in_code, in_page):
    """The faults where two sets that must be equal are not."""
    if not in_code:
        yield f"{what}: found none in the code"
    for name in sorted(in_code - in_page):
        yield f"{what}: {name} is not documented"
    for name in sorted(in_page - in_code):
        yield f"{what}: {name} is documented and does not exist"


def options_of_code(text):
    """Short options of getopt's string and long ones of the table, as {"c", "-json"}."""
    short = re.search(r'(?:letters = |letters\[\] = )"\+?:?([A-Za-z:]*)"', text)
    found = set(short.group(1).replace(":", "")) if short else set()
    return found | {"-" + name for name in re.findall(r'\{ "([a-z-]+)", (?:no|required)_argument', text)}


def options_of_page(text):
    return {option for line in re.findall(r"^\.It (Fl .*)$", text, re.MULTILINE)
            for option in re.findall(r"Fl (-?[A-Za-z][A-Za-z-]*)", line)}


def options_of_help(text):
    """Those that --help lists: two blanks, the options, what they mean."""
    return {option for line in re.findall(r'"  (-.*?)  +', text)
            for option in re.findall(r"(?:^|, )-(-?[A-Za-z][a-z-]*)", line)}


def exits_of_page(text):
    section = re.search(r"^\.Sh EXIT STATUS\n(.*?)(?=^\.Sh )", text, re.MULTILINE | re.DOTALL)
    return set(map(int, re.findall(r"^\.It (?:Li )?(\d+)", section.group(1), re.MULTILINE)))


def exits_of_code(text):
    return {number for name, number in EXITS.items() if re.search(rf"\b{name}\b", text)}


def command_faults():
    rows = re.findall(r'\{ "([a-z]+)", (?:"([a-z]+)"|NULL), (?:true|false), (?:NULL, )?(?:run|stsgate)_', code("cmd/stsgate.c"))
    in_code = {" ".join(filter(None, row)) for row in rows}
    in_page = {" ".join(re.sub(r"\b(Cm|Ar domain)\b", "", line).split())
               for line in re.findall(r"^\.It (Cm .*)$", page("stsgate.1"), re.MULTILINE)}
    return differ("stsgate(1) commands", in_code, in_page)


def log_faults():
    keys = re.findall(r'log_(?:text|number|format)\([^,]+,\s*"([a-z-]+)"', code("shim/smtp/deliver_log.c"))
    listed = page("stsgated.8").split(".Sh LOG")[1].split(".Sh FILES")[0]
    in_page = set(re.findall(r"^\.It Cm (\S+)", listed, re.MULTILINE))
    return differ("log fields", set(keys) | {"event"}, in_page)


def milter_log_faults():
    keys = re.findall(r'log_(?:text|number|format)\([^,]+,\s*"([a-z-]+)"',
                      code("integration/milter/milter_session.c"))
    listed = page("stsgate-milter.8").split(".Sh LOG")[1].split(".Sh FILES")[0]
    in_page = set(re.findall(r"^\.It Cm (\S+)", listed, re.MULTILINE))
    return differ("log fields of stsgate-milter", set(keys) | {"event"}, in_page)


def route_faults():
    rows = re.findall(r'\{ "(/[^"]*)", (?:"([^"]*)"|NULL), "([A-Z]+)"', code("shim/control/control_routes.c"))
    def word(before):
        if before == "/v1/tlsrpt/":
            return "day"
        return "domain" if before.endswith("/") else ""

    in_code = {f"{method} {before}{word(before)}{after}" for before, after, method in rows}
    in_page = {re.sub(r"Li|Ns|Ar|\s", " ", line).strip()
               for line in re.findall(r"^\.It (Li (?:GET|POST|DELETE) .*)$", page("stsgated.8"),
                                      re.MULTILINE)}
    in_page = {line.split()[0] + " " + "".join(line.split()[1:]) for line in in_page}
    return differ("control paths", in_code, in_page)


def metric_faults():
    rows = re.findall(r'= \{ "([a-z_]+)", (COUNTER|GAUGE),', code("base/metrics.c"))
    in_code = {f"stsgate_{name}{'_total' if kind == 'COUNTER' else ''}" for name, kind in rows}
    in_page = set(re.findall(r"^\.It Li (stsgate_\S+)$", page("stsgated.8"), re.MULTILINE))
    return differ("metrics", in_code, in_page)


def alarm_faults():
    in_code = set(re.findall(r'^\t\[ALARM_[A-Z_]+\] = \{ "([a-z-]+)",', code("base/alarm.c"),
                             re.MULTILINE))
    listed = page("stsgated.8").partition(".Li event=alarm\n")[2].partition(".El\n")[0]
    return differ("alarms", in_code, set(re.findall(r"^\.It Li (\S+)$", listed, re.MULTILINE)))


def program_faults(name, page_name, *sources):
    text = code(*sources)
    yield from differ(f"{name} options", options_of_code(text), options_of_page(page(page_name)))
    yield from differ(f"{name} --help", options_of_code(text), options_of_help(text))
    yield from differ(f"{name} exit statuses", exits_of_code(text), exits_of_page(page(page_name)))


def lab_faults():
    """stsgate-lab is in Python: its parser's words are the commands, options and exits."""
    command, text = code(f"{LAB}/command.py"), page("stsgate-lab.1")
    before, _, after = text.partition(".Sh SCENARIOS\n")
    listed = re.search(r"^The commands:\n(.*)", before, re.MULTILINE | re.DOTALL).group(1)
    yield from differ("stsgate-lab commands", set(re.findall(r'verb\("([a-z]+)",', command)),
                      set(re.findall(r"^\.It Cm ([a-z]+)$", listed, re.MULTILINE)))
    used = set(re.findall(r"^\.(?:Op )?Fl -([a-z]+)", before, re.MULTILINE))
    options = set(re.findall(r'add_argument\((?:"-[A-Z]", )?"--([a-z]+)"', command)) | {"help"}
    yield from differ("stsgate-lab options", options, used)
    versions = [re.search(pattern, text, re.MULTILINE).group(1) for pattern, text in (
        (r"^AC_INIT\(\[stsgate\], \[([^]]+)\]", code("configure.ac")),
        (r'^VERSION = "(.*)"$', code(f"{LAB}/__init__.py")))]
    yield from differ("stsgate-lab version", {versions[0]}, {versions[1]})
    exits = set(map(int, re.search(r"^EXIT_OK.* = ([\d, ]+)$", command, re.MULTILINE)
                    .group(1).split(", ")))
    yield from differ("stsgate-lab exit statuses", exits, exits_of_page(text))
    in_page = {name for line in re.findall(r"^\.It Cm (.*)$", after.partition(".Sh ")[0],
                                           re.MULTILINE) for name in line.split(" , ")}
    yield from differ("stsgate-lab scenarios", scenarios_of_code(), in_page)


def scenarios_of_code():
    """The first text of each Scenario(), or of a shorthand for it."""
    return {name for path in (ROOT / LAB / "scenarios").glob("[a-z]*.py")
            for name in re.findall(r'(?:Scenario|_with)\(\s*"([a-z-]+)", "',
                                   path.read_text("utf-8"))}


def lint_faults():
    """All that mandoc says, but for pages that are not installed on this machine."""
    for name in PAGES:
        done = subprocess.run(["mandoc", "-Tlint", str(ROOT / "man" / name)],
                              capture_output=True, text=True, check=False)
        yield from (line for line in done.stdout.splitlines()
                    if line and "referenced manual not found" not in line)


def main():
    if shutil.which("mandoc") is None:
        print("mandoc is not installed")
        return 77
    faults = [*lint_faults(), *command_faults(), *log_faults(), *milter_log_faults(), *route_faults(),
              *metric_faults(), *alarm_faults(), *lab_faults(),
              *program_faults("stsgated", "stsgated.8", "cmd/stsgated.c", "cmd/daemon_options.c",
                              "cmd/daemon_options.h", "cmd/help.h"),
              *program_faults("stsgate", "stsgate.1", "cmd/stsgate.c", "cmd/stsgate_client.h",
                              "cmd/stsgate_client.c", "cmd/stsgate_transfer.c", "cmd/help.h"),
              *program_faults("stsgate-milter", "stsgate-milter.8", "cmd/stsgate-milter.c",
                              "cmd/daemon_options.c", "cmd/daemon_options.h", "cmd/help.h"),
              *program_faults("stsgate-deliver", "stsgate-deliver.8", "cmd/deliver.c",
                              "cmd/deliver_client.c", "cmd/help.h")]
    print("\n".join(faults) or "pages and code agree")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
