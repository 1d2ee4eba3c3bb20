# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""What the lab says in a terminal: a scenario as it goes on, and the table at the end.

Colour says the same as words: red was readable, green was TLS to the right
one, amber was stopped.  Without a terminal, or with NO_COLOR, it is plain.
"""

import os
import re
import shutil
import textwrap

from . import paths
from .world import FORGED, HARMLESS, HELD, ODD, STOLEN, UNPROVEN, VERIFIED

RED, GREEN, AMBER, BLUE, DIM, BOLD = "31", "32", "33", "36", "2", "1"
VERDICTS = {
    STOLEN: (RED, "STOLEN"), FORGED: (RED, "FORGED"), UNPROVEN: (AMBER, "SENT UNPROVEN"),
    VERIFIED: (GREEN, "VERIFIED"), HELD: (AMBER, "HELD"), HARMLESS: (GREEN, "HARMLESS"),
    ODD: (RED, "UNEXPECTED")}
STATES = {paths.LOCAL: BLUE, paths.CLEAR: RED, paths.READ: RED, paths.TLS: GREEN,
          paths.GREETED: DIM, paths.NOTHING: DIM}
COLUMN = 20
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Terminal:
    """Writes to `stream`; `colour` and `width` are found out where they are not given."""

    def __init__(self, stream, colour=None, width=None):
        self.stream = stream
        self.tty = stream.isatty()
        self.colour = (self.tty and "NO_COLOR" not in os.environ) if colour is None else colour
        self.width = min(width or shutil.get_terminal_size((96, 24)).columns, 100)
        encoding = (getattr(stream, "encoding", None) or "ascii").lower()
        self.fine = "utf" in encoding

    def paint(self, codes, text):
        return f"\x1b[{codes}m{text}\x1b[0m" if self.colour and text else text

    def say(self, text=""):
        self.clear()
        print(text, file=self.stream, flush=True)

    def paragraph(self, text, indent=0, codes=""):
        for line in textwrap.wrap(clean(text), self.width - indent,
                                  break_on_hyphens=False):
            self.say(" " * indent + self.paint(codes, line))

    def passing(self, text):
        """A line that the next one takes the place of; on terminals alone."""
        if self.tty:
            print(self.paint(DIM, text), end="", file=self.stream, flush=True)

    def clear(self):
        if self.tty:
            print("\r\x1b[K", end="", file=self.stream)

    def begin(self, number, total, scenario):
        self.say()
        head = f"{number}/{total}".rjust(5) + "  "
        gap = self.width - len(head) - len(scenario.title) - len(scenario.name)
        self.say(self.paint(DIM, head) + self.paint(BOLD, scenario.title) + " " * max(gap, 2)
                 + self.paint(DIM, scenario.name))
        self.paragraph(scenario.story, 7, DIM)
        self.say()

    def waiting(self, sender, guarded):
        self.passing("       " + self._who(sender, guarded).ljust(COLUMN) + "is sending ...")

    def run(self, scenario, run):
        """One message: the way that it went, what became of it, and the proof."""
        codes, word = VERDICTS[run.verdict]
        line = self._way(paths.way(scenario, run))
        plain = len(re.sub(r"\x1b\[[\d;]*m", "", line))
        gap = max(self.width - 7 - COLUMN - plain - len(word), 1)
        self.say("       " + self._who(run.sender, run.guarded).ljust(COLUMN) + line + " " * gap
                 + self.paint(codes + ";" + BOLD, word))
        self._fact(textwrap.shorten(evidence(run).partition("; ")[0], 230, placeholder=" ..."))
        self.say()

    def _fact(self, text):
        indent = 7 + COLUMN
        for line in textwrap.wrap(clean(text), self.width - indent,
                                  break_on_hyphens=False):
            self.say(" " * indent + self.paint(DIM, line))

    @staticmethod
    def _who(sender, guarded):
        return sender + (" + stsgate" if guarded else " alone")

    def _way(self, way):
        end = ">" if not self.fine else "▶"
        parts = []
        for number, hop in enumerate(way.hops):
            if number == way.stop:
                parts.append(self._stop(hop, end))
                break
            if hop.state == paths.LOCAL:
                continue
            bar = ("━" if self.fine else "=") if hop.state != paths.CLEAR else (
                "─" if self.fine else "-")
            word = paths.WORDS[hop.state]
            parts.append(self.paint(STATES[hop.state], f"{bar} {word} {bar}{end} ")
                         + self.paint(RED if hop.role == "attacker" else "", hop.node))
        return " ".join(parts)

    def _stop(self, hop, end):
        """Where stsgate went no further."""
        mark = "■" if self.fine else "#"
        if hop.state != paths.GREETED:
            return self.paint(AMBER, f"{mark} stopped before connecting")
        bar = "┄" if self.fine else "."
        return (self.paint(DIM, f"{bar}{bar}{end} ") + self.paint(RED, hop.node)
                + self.paint(AMBER, f" {mark} stopped before MAIL"))

    def end(self, performance):
        """The report and the lesson."""
        self.say("       " + "TLS report".ljust(COLUMN) + summary(performance.report))
        self.paragraph(performance.scenario.lesson, 7)

    def table(self, performances):
        """All of it in a few lines."""
        rows = []
        for performance in performances:
            for alone, guarded in performance.pairs:
                rows.append((performance.scenario.name, alone, guarded,
                             ", ".join(sorted(set(performance.results()))) or "success"))
        wide = max([len("scenario"), *(len(row[0]) for row in rows)]) + 2
        rule = ("─" if self.fine else "-") * self.width
        self.say()
        self.say(self.paint(BOLD, f"{'scenario':{wide}}{'sender':10}{'alone':15}"
                                  f"{'with stsgate':15}reported"))
        self.say(self.paint(DIM, rule))
        before = None
        for name, alone, guarded, results in rows:
            cells = "".join(self._cell(run.verdict, 15) for run in (alone, guarded))
            self.say(f"{name if name != before else '':{wide}}{alone.sender:10}{cells}"
                     + self.paint(DIM, results))
            before = name
        self.say(self.paint(DIM, rule))

    def _cell(self, verdict, wide):
        codes, word = VERDICTS[verdict]
        return self.paint(codes, word.lower()) + " " * (wide - len(word))


def clean(text):
    """Text from the wire, without what a terminal would obey."""
    return CONTROL.sub("?", text)


def evidence(run):
    """The proof of a verdict in one line."""
    if run.verdict == FORGED:
        return f'the gateway took a second message: "{run.forged.splitlines()[-1]}"'
    if run.verdict == STOLEN:
        how = "at the end of his TLS" if run.stolen_over_tls else "on the wire"
        return f'the attacker read {how}: "{run.stolen}"'
    if run.verdict == HELD:
        return "refused, and waits in the queue: " + (run.reply or "no reply")
    if run.verdict == HARMLESS:
        return "the gateway took one message, with the hidden lines as text in it"
    if run.guarded:
        told = run.delivery
        return "delivered: " + " ".join(
            f"{key}={told[key]}"
            for key in ("policy", "mode", "mx", "tls", "proto", "result", "status")
            if told.get(key))
    return "delivered over TLS, to whatever certificate was shown"


def summary(report):
    """The numbers of a TLS report."""
    if not report:
        return "none"
    told = []
    for policy in report["policies"]:
        counts = policy["summary"]
        kinds = sorted({detail["result-type"] for detail in policy.get("failure-details", [])})
        told.append(f"{policy['policy']['policy-type']}: "
                    f"{counts['total-successful-session-count']} good, "
                    f"{counts['total-failure-session-count']} failed"
                    + (f" ({', '.join(kinds)})" if kinds else ""))
    return "; ".join(told)
