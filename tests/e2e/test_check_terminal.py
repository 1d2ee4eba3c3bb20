# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate check on a terminal: a passing line says what the next row waits for."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading

from checks import wait_until
from stslab import programs
from stslab.internet import Mx
from stslab.mx import Behaviour, Silence

OK, NO, UNAVAILABLE = 0, 1, 69
ERASE = "\r\x1b[K"


class Typescript:
    """stsgate check with a terminal as its output, and all that the terminal got."""

    def __init__(self, mta, *words, columns=80, term="xterm"):
        self.columns, self.text = columns, ""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.child = subprocess.Popen(
            [programs.find("stsgate"), "-c", str(mta.config), "check", *words], stdin=slave,
            stdout=slave, stderr=slave, env={**os.environ, "TERM": term})
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                self.text += os.read(self._master, 65536).decode()
            except OSError:     # EIO: it is no longer open anywhere
                return

    def end(self, status):
        assert self.child.wait(60) == status, self.text
        self._reader.join(30)
        os.close(self._master)
        return self

    @property
    def lines(self):
        """What stands on the screen; a line is taken for as long as it is."""
        return [line.rpartition(ERASE)[2] for line in self.text.split("\r\n")]

    @property
    def passed(self):
        """The passing lines, in order."""
        return [shown for line in self.text.split("\r\n") for shown in line.split(ERASE)[1:]
                if shown.endswith(" ...")]


def timeless(lines):
    return [re.sub(r"  \(\d+ ms\)$", "", line) for line in lines]


def test_what_is_tried_is_shown_until_its_row(net, start):
    """A slow host and a fast one; the rows that stay are those of a pipe."""
    mta = start({"smtp": {"command-timeout": "3s"}})
    slow = Behaviour(greeting=Silence())
    domain = net.domain(policy="enforce", mx=[Mx(10, behaviour=slow), Mx(20)])
    first = f"{domain.hosts[0].name}[{domain.hosts[0].address}]"
    shown = Typescript(mta, domain.name)
    wait_until(lambda: shown.lines[-1] == f"waiting for the greeting of {first} ...", 30,
               "the passing line")
    assert shown.lines[-2].startswith("ok    connect")
    assert shown.child.poll() is None
    shown.end(OK)
    assert "looking up the MX and TXT records ..." in shown.passed
    assert not any("..." in line for line in shown.lines), shown.lines
    piped = mta.ask("check", domain.name)
    assert "\x1b" not in piped.stdout and "..." not in piped.stdout
    # The policy comes from the cache by then, and times differ.
    alike = [[line for line in timeless(lines) if "policy " not in line]
             for lines in (shown.lines, piped.stdout.split("\n"))]
    assert alike[0] == alike[1]


def test_each_stage_of_a_far_host_is_shown(net, mta):
    domain = net.domain(policy="enforce", behaviour=Behaviour(round_trip=0.3))
    host = f"{domain.host.name}[{domain.host.address}]"
    shown = Typescript(mta, domain.name).end(OK)
    stages = [f"{words} {host} ..." for words in (
        "waiting for the greeting of", "saying EHLO to", "starting TLS with",
        "saying EHLO again to")]
    assert [line for line in shown.passed if line in stages] == stages


def test_a_narrow_terminal_and_a_wide_one(net, start):
    mta = start({"smtp": {"command-timeout": "1s"}})
    domain = net.domain(policy="enforce", behaviour=Behaviour(greeting=Silence()))
    for columns in (20, 200):
        shown = Typescript(mta, domain.name, columns=columns).end(NO)
        assert any(line.startswith("waiting for ") for line in shown.passed)
        assert all(len(line) < columns for line in shown.passed), shown.passed
    assert Typescript(mta, domain.name, columns=4).end(NO).passed == []


def test_a_terminal_that_cannot_erase_gets_rows_alone(net, start):
    mta = start({"smtp": {"command-timeout": "1s"}})
    domain = net.domain(policy="enforce", behaviour=Behaviour(greeting=Silence()))
    for words, options in (((domain.name,), {"term": "dumb"}), ((domain.name,), {"term": ""}),
                           (("--json", domain.name), {})):
        shown = Typescript(mta, *words, **options).end(NO)
        assert "\x1b" not in shown.text and "..." not in shown.text, shown.text
        assert "\r" not in shown.text.replace("\r\n", "")


def test_what_peers_say_does_not_reach_the_terminal_as_they_said_it(net, mta):
    domain = net.domain(policy="enforce", behaviour=Behaviour(
        greeting="220 \x1b[2J\x07there \xc2\x9b2J"))
    shown = Typescript(mta, domain.name).end(OK)
    assert re.search(r"greeting .* 220 \?\[2J\?there", shown.text), shown.text
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", shown.text.replace(ERASE, ""))


def test_stsgated_is_lost(net, start):
    """The complaint has a line of its own, and nothing passing is left."""
    mta = start({"smtp": {"command-timeout": "60s"}})
    domain = net.domain(policy="enforce", behaviour=Behaviour(greeting=Silence()))
    shown = Typescript(mta, domain.name)
    wait_until(lambda: shown.lines[-1].startswith("waiting for the greeting"), 30, "the wait")
    mta.kill()
    shown.end(UNAVAILABLE)
    assert shown.lines[-2].startswith("stsgate: stsgated does not answer"), shown.lines
