# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Many sessions at once: idle ones, clients of one octet a second, hosts that never answer."""

import contextlib
import pathlib
import re
import resource
import statistics
import threading
import time

import pytest
from checks import address, assert_reply, wait_until
from stslab import lmtp
from stslab.mx import Behaviour, Endless, Silence

IDLE, SLOW, STUCK, SPARE = 800, 100, 100, 4
SESSION_KIB = 128       # what a session may cost, with its thread and whatever it delivers


class Drip:
    """Clients that send one octet a second of a command that never ends, and of a message."""

    def __init__(self, mta, rcpt, count):
        self.clients = [mta.client() for _ in range(count)]
        for number, client in enumerate(self.clients):
            client.hello()
            if number % 2:
                client.envelope("slow@b.example", [rcpt])
                client.command("DATA")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(1):
            for client in self.clients:
                client.send(b"N")

    def close(self):
        self._over.set()
        self._thread.join(30)
        for client in self.clients:
            client.close()


@pytest.fixture(autouse=True, scope="module")
def descriptors():
    """Room for all the clients in this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def is_sanitized(mta):
    """Built with a sanitizer, whose shadow memory is a large part of the address space?"""
    status = pathlib.Path(f"/proc/{mta.process.pid}/status").read_text("ascii")
    return int(re.search(r"VmSize:\s+(\d+)", status).group(1)) > 1 << 30


def hand_over(mta, domain):
    """A session that has handed over its message and waits."""
    client = mta.client(seconds=60)
    client.hello()
    client.envelope("a@b.example", [address(domain)])
    client.command("DATA")
    client.send(lmtp.stuffed(lmtp.MESSAGE))
    return client


def usual_seconds(mta, domain, times=7):
    """The median time of a delivery, in its own session."""
    took = []
    for number in range(times):
        began = time.monotonic()
        assert mta.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
        took.append(time.monotonic() - began)
    return statistics.median(took)


@pytest.mark.timeout(180)
def test_a_crowd_costs_little_and_stops_nobody(net, start):
    mta = start({"lmtp": {"max-sessions": IDLE + SLOW + STUCK + SPARE},
                 "smtp": {"command-timeout": "2m", "max-per-host": 2}})
    good = net.domain(policy="enforce")
    silent = [net.domain(behaviour=Behaviour(greeting=Silence())) for _ in range(STUCK // 6)]
    silent += [net.domain(behaviour=Behaviour(mail=Endless(b"250-More\r\n", 1)))
               for _ in range(STUCK // 6)]
    usual, before = usual_seconds(mta, good), mta.memory_kib()
    with contextlib.ExitStack() as all_of_them:
        idle = [all_of_them.enter_context(mta.client()) for _ in range(IDLE)]
        for client in idle:
            client.hello()
        drip = Drip(mta, address(good), SLOW)
        all_of_them.callback(drip.close)
        stuck = [all_of_them.enter_context(hand_over(mta, silent[number % len(silent)]))
                 for number in range(STUCK)]
        wait_until(lambda: all(domain.host.connections for domain in silent), 60, "the visits")

        beside = usual_seconds(mta, good)
        assert beside < 5 * usual + 3, f"{beside:.2f} s instead of {usual:.2f} s"
        with contextlib.ExitStack() as spare:
            wait_until(lambda: spare.enter_context(mta.client()).greeting.short == "421 4.3.2",
                       30, "the limit")
        grown = mta.memory_kib() - before
        assert grown < SESSION_KIB * (IDLE + SLOW + STUCK) or is_sanitized(mta), f"{grown} KiB"
        assert all(domain.host.most_at_once() <= 2 for domain in silent), "max-per-host"
        for client in (idle[0], idle[-1]):
            assert client.command("NOOP").code == 250
        for domain in silent:
            domain.host.stop()
        assert {client.reply().code for client in stuck} == {451}
    wait_until(lambda: mta.deliver(address(good)).only.code == 250, 30, "as before")


def test_as_many_again_need_no_more_memory(net, start):
    """What a crowd leaves behind is used by the next."""
    mta = start()
    good = net.domain(policy="enforce")
    mta.deliver(address(good))
    sizes = []
    for _ in range(4):
        with contextlib.ExitStack() as crowd:
            clients = [crowd.enter_context(mta.client()) for _ in range(150)]
            for client in clients:
                client.hello()
        wait_until(lambda: mta.deliver(address(good)).only.code == 250, 30, "a delivery")
        sizes.append(mta.memory_kib())
    assert sizes[-1] < sizes[0] + 150 * 10 or is_sanitized(mta), f"{sizes} KiB"


def test_when_all_slots_are_taken_by_the_dead(net, start):
    """451 4.4.5 in time, and the others go as soon as there is room."""
    mta = start({"lmtp": {"transaction-time": "5s"},
                 "smtp": {"max-deliveries": 4, "command-timeout": "2m", "final-timeout": "1s"}})
    dead = [net.domain(behaviour=Behaviour(greeting=Silence())) for _ in range(4)]
    good = net.domain(policy="enforce")
    with contextlib.ExitStack() as held:
        stuck = [held.enter_context(hand_over(mta, domain)) for domain in dead]
        wait_until(lambda: all(domain.host.connections for domain in dead), 4, "the visits")
        late = mta.deliver(address(good)).only
        assert late.code in (250, 451)
        if late.code == 451:
            assert_reply(late, "451 4.4.5")
        assert {client.reply().code for client in stuck} == {451}
        assert mta.deliver(address(good, "again")).only.short == "250 2.0.0"
