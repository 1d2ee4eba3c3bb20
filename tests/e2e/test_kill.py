# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""kill -9, and SIGTERM, under load, again and again, with a real Exim in front.

    STSGATE_KILL_ROUNDS=100 tests/e2e/run -s -k test_kill

Each round brings mail for domains old and new, runs the queue, kills stsgated while it is at work
and starts it again.  At the end every message is at its MX host or in Exim's queue, and each
enforce policy that mail has ever gone by is still in force, though DNS denies it by then.
"""

import collections
import itertools
import os
import random
import threading
import time

import pytest
from checks import address, wait_until
from stslab.exim import Exim
from stslab.mx import Behaviour, Slow

ROUNDS = int(os.environ.get("STSGATE_KILL_ROUNDS", "5"))
RUNNERS = 2
STRIPPED = Behaviour(offer_starttls=False, starttls=None)


class Site:
    """Exim, stsgated and the mail between them."""

    def __init__(self, net, mta, port):
        self.net, self.mta = net, mta
        self.exim = Exim(net.directory / f"exim-kill-{port}", port)
        self.known = [self.enforced() for _ in range(2)]
        self.plain = net.domain(behaviour=self.good())
        self.learned = []
        self.sent = {}          # recipient -> Exim's id
        self.kills = []
        self.hit = 0            # kills while connections were open
        self.start_seconds = []
        self._numbers = itertools.count(1)
        self.random = random.Random(20261122)

    def enforced(self):
        """In an unsigned zone, where a forged denial is believed."""
        return self.net.domain(policy="enforce", zone="plain", behaviour=self.good())

    @staticmethod
    def good():
        """A host that thinks before it takes a message, so that a kill falls into that time too."""
        return Behaviour(dot=Slow(0.05, "250 2.0.0 Taken"))

    def submit(self, *domains):
        rcpts = [address(domain, f"k{next(self._numbers)}") for domain in domains]
        queued = self.exim.send(rcpts, deliver=False)
        self.sent.update(dict.fromkeys(rcpts, queued))

    def run_queue(self):
        runners = [threading.Thread(target=self.exim.run_queue) for _ in range(RUNNERS)]
        for runner in runners:
            runner.start()
        return runners

    def arrivals(self):
        """Recipient -> times at which a host took a message for it."""
        at = collections.defaultdict(list)
        for domain in [*self.known, self.plain, *self.learned]:
            for message in domain.messages():
                for rcpt in message.recipients:
                    at[rcpt].append(message.at)
        return at

    def busy(self):
        """Is stsgated in the midst of something?"""
        return any(connection.ended_at is None for domain in [*self.known, self.plain,
                                                              *self.learned[-2:]]
                   for connection in domain.host.connections)

    def end_at_work(self, end):
        """A round: new mail, a queue run, and in the midst of it `end`; then started again."""
        new = [self.enforced() for _ in range(2)]
        self.learned += new
        for domain in (*self.known, *new):
            self.submit(domain)
        self.submit(self.plain, self.known[0], new[0])
        runners = self.run_queue()
        wait_until(lambda: self.busy() or not any(runner.is_alive() for runner in runners), 60,
                   "a delivery")
        time.sleep(self.random.uniform(0, 0.4))
        self.hit += self.busy()
        end()
        self.kills.append(time.monotonic())
        for runner in runners:
            runner.join(120)
            assert not runner.is_alive()
        began = time.monotonic()
        self.mta.start(60)
        self.start_seconds.append(time.monotonic() - began)

    def delivered_twice(self):
        """How often a host took a message again; each time stsgated was killed in between."""
        twice = 0
        for rcpt, times in self.arrivals().items():
            for first, second in itertools.pairwise(sorted(times)):
                twice += 1
                assert any(first <= kill <= second for kill in self.kills), \
                    f"{rcpt} was delivered twice for no reason"
        return twice


def told_delivered(exim):
    """How often Exim was told that a recipient's message is delivered."""
    told = collections.Counter()
    for line in exim.mainlog():
        words = line.split()
        if len(words) > 4 and words[3] in ("=>", "->"):
            told[words[4]] += 1
    return told


def refused_without_tls(net, mta, domain):
    """DNS denies the policy and STARTTLS is stripped: is it still in force?"""
    net.dns.fault("_mta-sts." + domain.name, "TXT", "nxdomain")
    net.dns.fault(domain.sts_host, "*", "nxdomain")
    domain.host.behaviour = STRIPPED
    reply = mta.deliver(address(domain, "attacked")).only
    assert reply.short == "451 4.7.4", f"{domain.name}: {reply}"
    assert not any(line.verb == "MAIL" and not line.tls for line in domain.host.lines)


@pytest.mark.timeout(120 + 30 * ROUNDS)
def test_killed_under_load(net, start):
    mta = start({"lmtp": {"listen": ["inet:127.0.0.1:2590"]}, "smtp": {"host-retry": "1s",
                                                                       "keep-idle": "0s"}})
    site = Site(net, mta, 2590)
    attacked = net.domain(policy="enforce", zone="plain")
    assert mta.deliver(address(attacked)).only.short == "250 2.0.0"
    refused_without_tls(net, mta, attacked)
    queued = site.exim.send(address(attacked, "held"), deliver=False)
    for _ in range(ROUNDS):
        site.end_at_work(mta.kill)
        refused_without_tls(net, mta, attacked)
    in_flight = len(site.sent) - len(site.arrivals())
    wait_until(lambda: site.exim.run_queue() or set(site.exim.waiting()) <=
               {address(attacked, "held")}, 120, "the end of the queue")

    arrived = site.arrivals()
    assert site.exim.mailbox() == "", "a bounce"
    lost = set(site.sent) - set(arrived)
    assert not lost, f"lost: {sorted(lost)}"
    assert site.exim.waiting(queued) == [address(attacked, "held")]
    assert told_delivered(site.exim) == dict.fromkeys(site.sent, 1)
    twice = site.delivered_twice()
    went_by_policy = [domain for domain in site.learned + site.known if domain.messages()]
    assert len(went_by_policy) == 2 * ROUNDS + 2
    for domain in went_by_policy:
        assert all(message.tls for message in domain.messages())
        refused_without_tls(net, mta, domain)
    print(f"\n{len(site.kills)} kills, {site.hit} of them with connections open; "
          f"{len(site.sent)} recipients, {in_flight} of them still in the queue after the last "
          f"kill, none lost, {twice} delivered twice with a kill in between; "
          f"{len(went_by_policy)} policies, none forgotten; up again after "
          f"{max(site.start_seconds):.2f} s at most, {sum(site.start_seconds) / ROUNDS:.2f} s on "
          "average")


@pytest.mark.timeout(180)
def test_ended_in_order_under_load(net, start):
    """SIGTERM instead: status 0 each time, and nothing is delivered twice."""
    mta = start({"lmtp": {"listen": ["inet:127.0.0.1:2591"]}, "smtp": {"host-retry": "1s"}})
    site = Site(net, mta, 2591)
    statuses = []
    for _ in range(4):
        site.end_at_work(lambda: statuses.append(mta.stop(60)))
    wait_until(lambda: site.exim.run_queue() or not site.exim.waiting(), 120,
               "the end of the queue")
    assert set(site.arrivals()) == set(site.sent) and site.exim.mailbox() == ""
    assert {len(times) for times in site.arrivals().values()} == {1}, "twice"
    assert statuses == [0] * 4


def test_a_domain_that_was_never_seen_goes_unprotected(net, start):
    """That the check above can fail: the same attack, without a policy from before."""
    mta = start()
    domain = net.domain(policy="enforce", zone="plain", behaviour=STRIPPED)
    net.dns.fault("_mta-sts." + domain.name, "TXT", "nxdomain")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert domain.messages()[0].tls is False
