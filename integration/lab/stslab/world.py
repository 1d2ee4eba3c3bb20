# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The lab put together, and one message sent through it.

    with World() as world:
        place = world.place("bank.example")
        run = world.send(place, "exim", guarded=False)
        run.verdict, run.exchanges, run.log

A Run is what was observed: what the attacker noted, what the sender's queue
and log say, what the receiver got.  Its verdict follows from that alone.
"""

import itertools
import json
import time
from dataclasses import dataclass, field

from . import middle, pace, places
from .internet import Internet
from .receiver import Receiver
from .senders import HOSTNAME, LMTP_PORT, Senders

SUBJECT = "Your transfer code"
SETTINGS = {
    "hostname": HOSTNAME,
    "lmtp": {"listen": [f"inet:127.0.0.1:{LMTP_PORT}"]},
    # Each message of the lab meets the attacker again.
    "smtp": {"keep-idle": "0s", "host-retry": "1s", "command-timeout": "20s",
             "data-timeout": "20s", "final-timeout": "20s"},
    "sts": {"retry-interval": "1s"},
    "tlsrpt": {"organization": "The lab", "contact": "postmaster@" + HOSTNAME},
}

STOLEN, FORGED, UNPROVEN, VERIFIED, HELD, HARMLESS, ODD = (
    "stolen", "forged", "unproven", "verified", "held", "harmless", "odd")


@dataclass
class Run:
    """One message and what became of it."""

    sender: str                 # "Exim", "Sendmail"
    guarded: bool
    recipient: str
    secret: str
    verdict: str = ODD
    exchanges: list = field(default_factory=list)
    waiting: bool = False       # in the sender's queue
    arrived: str = ""           # at the real receiver: "tls", "clear", ""
    log: list = field(default_factory=list)
    delivery: dict = field(default_factory=dict)    # stsgated's log line
    gullible: bool = False      # the receiver could have been fooled
    forged: str = ""            # the text of a forged message

    @property
    def stolen(self):
        """The line with the secret, as the attacker read it."""
        for exchange in self.exchanges:
            for line in bytes(exchange.content).decode("utf-8", "replace").splitlines():
                if self.secret in line:
                    return line
        return ""

    @property
    def stolen_over_tls(self):
        return any(exchange.content_tls for exchange in self.exchanges)

    @property
    def reply(self):
        return self.delivery.get("reply", "")

    def judge(self):
        """The verdict from what was seen."""
        leaked = any(entry.who == middle.SENDER and entry.text[:4].upper() in ("MAIL", "RCPT")
                     for exchange in self.exchanges for entry in exchange.entries)
        if self.forged:
            return FORGED
        if self.stolen:
            return STOLEN
        if self.waiting:
            return ODD if leaked or self.arrived else HELD
        if not self.arrived:
            return ODD
        if self.gullible:
            return HARMLESS
        return VERIFIED if self.delivery.get("tls") == "verified" else UNPROVEN


class World:
    """Internet, receiver, stsgated, senders and the attacker's own host; a context manager."""

    def __init__(self):
        self.net = Internet()
        self._places = []
        self._numbers = itertools.count(1)

    def __enter__(self):
        try:
            self.net.__enter__()
            self.receiver = Receiver(self.net.directory / "receiver", self.net.authorities)
            self.receiver.start()
            self.evil = self._evil().start()
            self.senders = Senders(self.net.directory)
            self.daemon = self.net.daemons.start(SETTINGS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in ("senders", "evil", "receiver"):
            if hasattr(self, name):
                getattr(self, name).stop()
        for place in self._places:
            place.stop()
        self.net.__exit__()

    def _evil(self):
        address = self.net.addresses.loopback()
        self.net.zones.add(places.EVIL, "A", address, ttl=1)
        return middle.Middle(self.net.authorities, places.EVIL, address,
                             (self.receiver.address, 25), middle.Manner(certificate="good"))

    def place(self, name, **options):
        made = places.Place(self, name, **options)
        self._places.append(made)
        return made

    def secret(self):
        return f"4711-{next(self._numbers):03}"

    def send(self, place, sender, guarded, content=None, recipient=None):
        """One message from one sender; gives the Run."""
        mta = self.senders.get(sender, guarded)
        run = Run(mta.name, guarded, recipient or place.recipient(), self.secret())
        before = {host: len(host.exchanges) for host in place.watched}
        seen = len(self.daemon.log("delivery"))
        run.log = mta.send(run.recipient, (content or letter)(place, run.secret))
        run.waiting = run.recipient in mta.waiting()
        if guarded:
            run.delivery = self._delivery(run.recipient, seen)
        for host, count in before.items():
            run.exchanges += host.exchanges[count:]
        self._wait(lambda: all(exchange.ended for exchange in run.exchanges))
        run.arrived = self._arrived(place, run)
        run.verdict = run.judge()
        mta.empty()
        return run

    def _delivery(self, recipient, seen):
        lines = []
        self._wait(lambda: lines.extend(
            line for line in self.daemon.log("delivery")[seen:] if line["to"] == recipient)
            or lines)
        return lines[-1] if lines else {}

    def _arrived(self, place, run):
        taken = getattr(place.host, "taken", None)
        if taken is None:
            return self.receiver.got(run.secret, 0 if run.waiting else 20)
        run.gullible = True
        about = [message for message in taken if run.secret in message.text]
        if len(about) > 1:
            run.forged = about[-1].text
        return "tls" if about else ""

    @staticmethod
    def _wait(true, seconds=20):
        end = time.monotonic() + pace.patience(seconds)
        while not true() and time.monotonic() < end:
            time.sleep(0.02)

    def report(self, place, seconds=20):
        """The domain's TLS report of this day so far, as it would be sent, or None."""
        reports = []

        def asked():
            done = self.daemon.ask("report", "show", "--json", "--domain", place.name)
            if done.returncode == 0:
                reports[:] = json.loads(done.stdout)
            return reports
        self._wait(asked, seconds)
        return reports[0] if reports else None


def letter(place, secret):
    """The message that everybody sends."""
    return (f"From: The Bank <bank@{HOSTNAME}>\nTo: {place.recipient()}\nSubject: {SUBJECT}\n\n"
            f"Dear Alice,\nyour transfer code is {secret}. Tell it to nobody.\n").encode()
