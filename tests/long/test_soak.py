# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""For hours: mail, questions to the policy map, reloads and refusals; nothing grows and no reply is odd.

STSGATE_SOAK_MINUTES says how long, by default half an hour.  For `./runtests long`.
"""

import itertools
import os
import threading
import time

import pytest
from checks import address
from stslab import socketmap
from stslab.mx import Behaviour

MINUTES = float(os.environ.get("STSGATE_SOAK_MINUTES", "30"))
SENDERS, DOMAINS = 6, 40
GROWTH = 1.15   # of the memory, from the first third to the end
STRIPPED = Behaviour(offer_starttls=False, starttls=None)


class Work:
    """Threads that each do one thing over and over, until one of them fails or time is over."""

    def __init__(self, *jobs):
        self.wrong, self.done = [], itertools.count()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(job,)) for job in jobs]

    def _run(self, job):
        try:
            while not self._over.is_set():
                job()
                next(self.done)
        except Exception as error:      # told by the test
            self.wrong.append(repr(error))
            self._over.set()

    def begin(self):
        for thread in self._threads:
            thread.start()

    def go_on(self, seconds):
        """False when something was wrong."""
        return not self._over.wait(seconds)

    def end(self):
        self._over.set()
        for thread in self._threads:
            thread.join(120)
        assert not self.wrong, self.wrong


@pytest.mark.timeout(MINUTES * 60 + 300)
def test_nothing_grows(net, start):
    mta = start()
    domains = [net.domain(policy=("enforce", "testing", None)[number % 3],
                          behaviour=STRIPPED if number % 9 == 0 else Behaviour())
               for number in range(DOMAINS)]
    turn = itertools.count()

    def send():
        number = next(turn) % DOMAINS
        reply = mta.deliver(address(domains[number])).only
        right = "451 4.7.4" if number % 9 == 0 else "250 2.0.0"
        assert reply.short == right, f"{domains[number].name}: {reply}"

    def ask():
        with socketmap.Client(mta.settings["policy-map"]["listen"][0]) as client:
            for domain in domains:
                answer = client.ask("sts", domain.name)
                assert answer.startswith(("OK secure", "NOTFOUND")), answer

    def reload():
        assert any("in force" in line for line in mta.reload())
        assert mta.ask("stats").returncode == 0
        for domain in domains:
            del domain.host.connections[:-50]
        time.sleep(5)   # as often as this, and not in a loop

    work = Work(*[send] * SENDERS, ask, reload)
    work.begin()
    fine = work.go_on(MINUTES * 20)
    memory = mta.memory_kib()
    fine = fine and work.go_on(MINUTES * 40)
    grown = mta.memory_kib()
    work.end()
    assert fine
    assert grown < memory * GROWTH, f"{memory} KiB have become {grown}"
    print(f"{next(turn)} messages, {memory} KiB, then {grown} KiB")
