# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A real Exim with the transport, router and retry rule we ship: its queue after each story."""

import itertools
import threading

import pytest
from checks import address, assert_arrived, assert_nothing_leaked
from stslab.exim import Exim
from stslab.mx import Behaviour, Drop, Slow

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
PORTS = itertools.count(2500)


@pytest.fixture
def site(net, start):
    """Exim and the stsgated behind it: site(settings) gives both."""
    def build(settings=None):
        port = next(PORTS)
        mta = start({"lmtp": {"listen": [f"inet:127.0.0.1:{port}"]}, **(settings or {})})
        return Exim(net.directory / f"exim-{port}", port), mta
    return build


def test_delivered_over_verified_tls(net, site):
    exim, _ = site()
    domain = net.domain(policy="enforce")
    queued = exim.send(address(domain))
    assert exim.queue() == []
    assert_arrived(domain, tls=True)
    (line,) = [line for line in exim.mainlog(queued) if " => " in line]
    assert "250 2.0.0" in line and domain.host.name in line
    assert b"Good day." in domain.messages()[0].content


def test_downgrade_refused_and_still_queued(net, site):
    exim, _ = site()
    domain = net.domain(policy="enforce", behaviour=STRIPPED, policy_id="held")
    queued = exim.send(address(domain))
    assert exim.waiting(queued) == [address(domain)]
    assert_nothing_leaked(domain)
    (line,) = [line for line in exim.mainlog(queued) if " == " in line]
    for word in ("451 4.7.4", domain.name, domain.host.name, "held"):
        assert word in line
    assert exim.mailbox() == "", "no bounce"


def test_the_same_downgrade_arrives_unguarded(net, site):
    exim, _ = site({"sts": {"enforce": "off"}})
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    exim.send(address(domain))
    assert exim.queue() == []
    assert_arrived(domain, tls=False)


def test_it_goes_when_the_attack_is_over(net, site):
    exim, _ = site({"smtp": {"host-retry": "1s"}})
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    queued = exim.send(address(domain))
    assert exim.waiting(queued)
    domain.host.behaviour = Behaviour()
    exim.run_queue()
    assert exim.queue() == []
    assert_arrived(domain, tls=True)


@pytest.mark.parametrize("answer", ["550 5.1.1 No such user", "554 5.7.1 Spam"])
def test_permanent_answers_bounce(net, site, answer):
    exim, _ = site()
    domain = net.domain(policy="enforce", behaviour=Behaviour(rcpt={"someone": answer}))
    exim.send(address(domain))
    assert exim.queue() == []
    bounce = exim.mailbox()
    assert address(domain) in bounce and answer.split(" ", 2)[2] in bounce


def test_mixed_recipients(net, site):
    """Each keeps its own fate: sent, bounced, queued."""
    exim, _ = site()
    good = net.domain(policy="enforce", behaviour=Behaviour(
        rcpt={"nobody": "550 5.1.1 No such user"}))
    attacked = net.domain(policy="enforce", behaviour=STRIPPED)
    grey = net.domain(behaviour=Behaviour(rcpt={"someone": "450 4.7.1 Greylisted"}))
    queued = exim.send([address(good), address(attacked), address(good, "nobody"), address(grey)])
    assert sorted(exim.waiting(queued)) == sorted([address(attacked), address(grey)])
    assert_arrived(good, tls=True)
    assert_nothing_leaked(attacked)
    assert address(good, "nobody") in exim.mailbox()
    assert address(attacked) not in exim.mailbox()


@pytest.mark.parametrize("situation,short", [
    ("no such domain", "550 5.1.2"), ("null MX", "556 5.1.10"), ("no address", "550 5.4.4")])
def test_dns_that_says_never_bounces(net, site, situation, short):
    exim, _ = site()
    domain = net.domain(mx=[])
    if situation == "null MX":
        net.zones.add(domain.name, "MX", "0 .")
    elif situation == "no address":
        net.zones.add(domain.name, "TXT", '"x"')
    exim.send(address(domain))
    assert exim.queue() == []
    assert short.split(" ")[1] in exim.mailbox()


@pytest.mark.parametrize("situation,short", [
    ("MX SERVFAIL", "451 4.4.3"), ("refused", "451 4.4.1"), ("lost", "451 4.4.2"),
    ("expired", "451 4.7.5"), ("pattern", "451 4.7.5"), ("bogus", "451 4.7.5")])
def test_what_passes_stays_queued(net, site, situation, short):
    exim, _ = site()
    kinds = {"expired": Behaviour(certificate="expired"),
             "lost": Behaviour(mail=Drop())}
    domain = net.domain(policy="enforce", behaviour=kinds.get(situation),
                        patterns=["mx.elsewhere.example"] if situation == "pattern" else None)
    if situation == "MX SERVFAIL":
        net.dns.fault(domain.name, "MX", "servfail")
    elif situation == "bogus":
        net.dns.fault(domain.name, "MX", "stripped")
    elif situation == "refused":
        domain.host.stop()
    queued = exim.send(address(domain))
    assert exim.waiting(queued) == [address(domain)]
    assert any(short in line for line in exim.mainlog(queued)), exim.mainlog(queued)
    assert_arrived(domain, times=0)


def test_stsgated_away_nothing_is_lost(net, site):
    """Down, then back: the message waited, and so did a new one."""
    exim, mta = site()
    domain = net.domain(policy="enforce")
    mta.stop()
    first = exim.send(address(domain, "first"))
    second = exim.send(address(domain, "second"))
    assert exim.waiting(first) and exim.waiting(second)
    mta.start()
    exim.run_queue()
    assert exim.queue() == []
    assert {message.recipients[0] for message in domain.messages()} == {
        address(domain, "first"), address(domain, "second")}


def test_killed_before_the_remote_dot_nothing_is_lost_or_doubled(net, site):
    exim, mta = site()
    domain = net.domain(policy="enforce", behaviour=Behaviour(data=Slow(1.5, "354 Go on")))
    killer = threading.Timer(0.8, mta.kill)
    killer.start()
    queued = exim.send(address(domain))
    killer.join()
    assert exim.waiting(queued) == [address(domain)]
    domain.host.behaviour = Behaviour()
    mta.start()
    exim.run_queue()
    assert exim.queue() == []
    assert_arrived(domain, times=1)


def test_a_large_message(net, site):
    exim, _ = site()
    domain = net.domain(policy="enforce")
    content = b"Subject: large\n\n" + b"0123456789abcdef\n" * 300_000
    exim.send(address(domain), content=content)
    assert exim.queue() == []
    assert domain.messages()[0].content.endswith(b"0123456789abcdef\r\n" * 300_000)


def test_an_international_address(net, site):
    """Exim hands the local part over as it is, since SMTPUTF8 is offered."""
    exim, _ = site()
    domain = net.domain(policy="enforce")
    exim.send(f"jörg@{domain.name}")
    assert exim.queue() == []
    assert domain.messages()[0].recipients == [f"jörg@{domain.name}"]


def test_a_hundred_recipients_in_many_domains(net, site):
    exim, _ = site()
    domains = [net.domain(policy="enforce" if number % 2 else None) for number in range(20)]
    exim.send([address(domain, f"u{number}") for domain in domains for number in range(5)])
    assert exim.queue() == []
    for domain in domains:
        assert sum(len(message.recipients) for message in domain.messages()) == 5
