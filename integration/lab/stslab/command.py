# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The command stsgate-lab: a tour, a report, a lab to play in.

tour, report and pcap run inside a private network that the launcher has made;
the others talk to the lab that `up` has left running, or make it.
"""

import argparse
import contextlib
import difflib
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time

import cryptography
import dns.version

from . import VERSION, namespace, programs, resident, scenarios, senders
from .report import page
from .terminal import Terminal
from .world import World

EXIT_OK, EXIT_NO, EXIT_USAGE, EXIT_DOWN = 0, 1, 64, 69
LAUNCHER = pathlib.Path(__file__).resolve().parents[1]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and ends with EX_USAGE."""

    def error(self, message):
        print(f"{self.prog}: {message}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def versions():
    return (f"stsgate-lab {VERSION}\nPython {platform.python_version()}\n"
            f"cryptography {cryptography.__version__}\ndnspython {dns.version.version}")


def did_you_mean(word, known):
    """The hint in a refusal; empty when no known word is similar."""
    near = [other for other in [word.swapcase()] if other in known] or \
        difflib.get_close_matches(word, known, 1)
    return f": did you mean {near[0]}?" if near else ""


def options():
    """The parser, and those of the commands by their names."""
    parser = Parser(prog="stsgate-lab", description="see a downgrade attack succeed, then fail",
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-V", "--version", action="version", version=versions(),
                        help="print the versions of this program and of its libraries")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", required=True,
                                  parser_class=Parser)

    def verb(name, text):
        return verbs.add_parser(name, help=text, description=text)

    add = verb("tour", "run scenarios, all of them by default, and show what is seen")
    add.add_argument("scenario", nargs="*")
    add.add_argument("--report", metavar="FILE", help="write the page with all evidence as well")
    add = verb("report", "run all scenarios and write a page with all evidence")
    add.add_argument("file", nargs="?", default="report.html")
    verb("list", "name all scenarios")
    verb("up", "leave a lab running to play in")
    add = verb("attack", "switch an attack on or off in the running lab")
    add.add_argument("scenario")
    add.add_argument("switch", choices=("on", "off"))
    add = verb("send", "send a message in the running lab, and show what became of it")
    add.add_argument("--alone", action="store_true", help="only without stsgate")
    add.add_argument("--guarded", action="store_true", help="only with stsgate")
    add.add_argument("--mta", choices=tuple(senders.MAKERS), default="exim")
    add.add_argument("recipient", nargs="?", default="alice@bank.example")
    verb("status", "what the running lab is doing")
    verb("down", "end the running lab and remove every trace of it")
    add = verb("pcap", "run one scenario and keep its packets for Wireshark")
    add.add_argument("scenario")
    add.add_argument("file", nargs="?")
    return parser, verbs.choices


def parse(words):
    """What is asked; an unknown command or option ends the program, and names the nearest."""
    parser, verbs = options()
    verb = next((word for word in words if not word.startswith("-")), None)
    if verb is not None and verb not in verbs:
        parser.error(f'unknown command "{verb}"{did_you_mean(verb, verbs)}; see --help')
    wrong = [word for word in words[:1] if word.startswith("-")
             and word not in options_of(parser)]
    if not wrong:
        asked, wrong = parser.parse_known_args(words)
        parser = verbs[asked.verb]
    for word in wrong:
        what = "unknown option" if word.startswith("-") else "too many operands:"
        near = did_you_mean(word.partition("=")[0], options_of(parser))
        parser.error(f'{what} "{word}"{near}; see --help')
    return asked


def options_of(parser):
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z]+", parser.format_help()))


def chosen(names):
    """The scenarios of these names, or all; ends with EX_USAGE where there is none."""
    known = scenarios.every()
    for name in names:
        if name not in known:
            print(f"stsgate-lab: no such scenario: {name}"
                  f"{did_you_mean(name, known)}; see stsgate-lab list", file=sys.stderr)
            sys.exit(EXIT_USAGE)
    return [known[name] for name in names or known]


def usable(scenario):
    """Its senders that are here, or none with a word about it."""
    here = senders.available()
    found = [name for name in scenario.senders if name in here]
    if not found:
        print(f"stsgate-lab: {scenario.name} needs {', '.join(scenario.senders)}: "
              "run scripts/need mta", file=sys.stderr)
    return found


def perform_all(world, wanted, terminal):
    """The tour itself; gives the performances."""
    performances = []
    for number, scenario in enumerate(wanted, 1):
        found = usable(scenario)
        if not found:
            continue
        terminal.begin(number, len(wanted), scenario)
        performance = scenarios.perform(
            world, scenario, found, lambda run, of=scenario: terminal.run(of, run),
            terminal.waiting)
        terminal.end(performance)
        performances.append(performance)
    return performances


def verdict(performances, wanted):
    """EXIT_OK when all came out as announced; else each fault in a line, and EXIT_NO."""
    faults = [fault for performance in performances for fault in performance.unexpected()]
    for fault in faults:
        print(f"stsgate-lab: not as expected: {fault}", file=sys.stderr)
    if len(performances) < len(wanted):
        print(f"stsgate-lab: {len(wanted) - len(performances)} scenarios were left out",
              file=sys.stderr)
    return EXIT_NO if faults or not performances else EXIT_OK


def tour(asked):
    return _tour(chosen(asked.scenario), asked.report, Terminal(sys.stdout))


def report(asked):
    return _tour(chosen([]), asked.file, Terminal(sys.stdout))


def _tour(wanted, file, terminal):
    began = time.monotonic()
    programs.find("stsgated")
    terminal.paragraph(
        "A private mail Internet is being set up inside this machine: signed DNS (Knot), HTTPS "
        "policy hosts, a receiving Exim, and an attacker on the way to it. Each scenario sends "
        "the same message twice: by the MTA alone, and by the MTA with stsgate.")
    with World() as world:
        performances = perform_all(world, wanted, terminal)
        versions = world.senders.versions() if file else {}
    terminal.table(performances)
    if file:
        pathlib.Path(file).write_text(page(performances, versions), encoding="utf-8")
        terminal.say(f"The page with all transcripts: {file}")
    terminal.say(f"{len(performances)} scenarios in {time.monotonic() - began:.0f} s. "
                 "The private Internet is gone.")
    return verdict(performances, wanted)


def pcap(asked):
    scenario, = chosen([asked.scenario])
    file = pathlib.Path(asked.file or f"{scenario.name}.pcap")
    programs.find("stsgated")
    terminal = Terminal(sys.stdout)
    with World() as world:
        with capturing(file):
            performances = perform_all(world, [scenario], terminal)
    terminal.say(f"Written: {file}, {file.stat().st_size} octets. Ports: 25 SMTP, 53 DNS, "
                 f"443 HTTPS, {senders.LMTP_PORT} LMTP to stsgated.")
    return verdict(performances, [scenario])


@contextlib.contextmanager
def capturing(file):
    """tcpdump on the network's only interface, from before to after."""
    file.write_bytes(b"")
    try:
        dump = subprocess.Popen(
            ["tcpdump", "-i", "lo", "-n", "-U", "-s", "0", "-Z", "root", "-w", str(file),
             f"port 25 or port 53 or port 443 or port {senders.LMTP_PORT}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError:
        sys.exit("stsgate-lab: tcpdump is not installed: run scripts/need lab")
    try:
        # It says "listening on" once it hears.
        for line in dump.stderr:
            if b"listening on" in line:
                break
        yield
        time.sleep(1)   # its buffer is emptied once a second
    finally:
        dump.send_signal(signal.SIGTERM)
        dump.wait(20)


def list_all(_):
    terminal = Terminal(sys.stdout)
    known = scenarios.every()
    wide = max(map(len, known)) + 2
    for scenario in known.values():
        terminal.say(f"{scenario.name:{wide}}{scenario.title}")
    return EXIT_OK


def up(_):
    programs.find("stsgated")
    return resident.launch(LAUNCHER)


def ask(asked):
    """The commands of a running lab."""
    words = {key: value for key, value in vars(asked).items() if key != "run"}
    if "scenario" in words:
        chosen([words["scenario"]])
    terminal = Terminal(sys.stdout)
    return resident.ask({**words, "colour": terminal.colour, "width": terminal.width})


def down(_):
    return resident.down()


VERBS = {"tour": tour, "report": report, "pcap": pcap, "list": list_all, "up": up,
         "attack": ask, "send": ask, "status": ask, "down": down}


def main():
    asked = parse(sys.argv[1:])
    try:
        return VERBS[asked.verb](asked)
    except (namespace.NotPrivate, programs.ProgramMissing, PermissionError) as error:
        print(f"stsgate-lab: {error}", file=sys.stderr)
        return EXIT_NO
    except resident.NotRunning as error:
        print(f"stsgate-lab: {error}", file=sys.stderr)
        return EXIT_DOWN
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NO


if __name__ == "__main__":
    sys.exit(main())
