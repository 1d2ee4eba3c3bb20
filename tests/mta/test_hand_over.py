# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The same stories for every way in which an MTA hands its mail to stsgated."""

import concurrent.futures
import contextlib
import re

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, wait_until
from stslab.mx import Behaviour, Drop, Slow
from ways import HAND_OVER

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
ENOUGH = 45

pytestmark = pytest.mark.parametrize("site", HAND_OVER, indirect=True)


@contextlib.contextmanager
def sending(site, domain, recipients):
    """The MTA at work, as far as the DATA of the domain's host; afterwards it is done."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sent = pool.submit(site.mta.send, recipients)
        wait_until(lambda: any(line.verb == "DATA" for line in domain.host.lines), ENOUGH, "DATA")
        yield
        concurrent.futures.wait([sent], ENOUGH)


def bounced(site):
    """The addresses that bounces were about."""
    return re.findall(r"^Final-Recipient: ?rfc822; ?<?([^\s>]+)", site.mta.mailbox(),
                      re.MULTILINE | re.IGNORECASE)


def test_delivered_over_verified_tls(net, site):
    domain = net.domain(policy="enforce")
    site.mta.send(address(domain))
    assert site.mta.waiting() == []
    assert_arrived(domain, tls=True)
    assert domain.host.connections[0].sni == domain.host.name
    assert b"Good day." in domain.messages()[0].content
    (line,) = site.daemon.wait_log("delivery", to=address(domain))
    assert (line["policy"], line["tls"], line["status"]) == ("sts", "verified", "sent")


def test_a_downgrade_stays_queued_and_says_why(net, site):
    domain = net.domain(policy="enforce", behaviour=STRIPPED, policy_id="held")
    site.mta.send(address(domain))
    assert site.mta.waiting() == [address(domain)]
    assert_nothing_leaked(domain)
    words = ["4.7.4", domain.host.name, "held"]
    for word in words:
        assert word in site.mta.log_text(), site.mta.log_text()
    # Exim shows a pipe's output in its log alone, and Sendmail's list is 60 columns wide.
    short = {"exim-pipe": 0, "sendmail": 2}
    words = words[:short.get(site.name, short.get(site.name.partition("-")[0], 3))]
    for word in (address(domain), *words):
        assert word in site.mta.mailq(), site.mta.mailq()
    assert address(domain) not in bounced(site)
    domain.host.behaviour = Behaviour()
    site.mta.run_queue()
    assert site.mta.waiting() == []
    assert_arrived(domain, tls=True)


def test_a_permanent_refusal_bounces_with_the_remotes_text(net, site):
    domain = net.domain(policy="enforce", behaviour=Behaviour(
        rcpt={"someone": "550 5.1.1 Nobody of that name"},
        dot_for={"other": "554 5.7.1 We call this spam"}))
    site.mta.send(address(domain))
    site.mta.send(address(domain, "other"))
    assert site.mta.waiting() == []
    bounces = site.mta.mailbox()
    for word in ("Nobody of that name", "We call this spam"):
        assert word in bounces, bounces
    assert {address(domain), address(domain, "other")} <= set(bounced(site))


def test_recipients_of_one_message_have_their_own_fates(net, site):
    good = net.domain(policy="enforce", behaviour=Behaviour(
        rcpt={"nobody": "550 5.1.1 Nobody of that name"}))
    attacked = net.domain(policy="enforce", behaviour=STRIPPED)
    grey = net.domain(behaviour=Behaviour(rcpt={"someone": "450 4.7.1 Greylisted"}))
    site.mta.send([address(good), address(attacked), address(good, "nobody"), address(grey)])
    assert sorted(site.mta.waiting()) == sorted([address(attacked), address(grey)])
    assert_arrived(good, tls=True)
    assert_nothing_leaked(attacked)
    assert "Greylisted" in site.mta.log_text()
    assert address(good, "nobody") in bounced(site)
    assert address(attacked) not in bounced(site)
    assert address(grey) not in bounced(site)


def test_stsgated_is_away_and_comes_back(net, site):
    domain = net.domain(policy="enforce")
    site.daemon.stop()
    site.mta.send(address(domain, "first"))
    site.mta.send(address(domain, "second"))
    assert sorted(site.mta.waiting()) == [address(domain, "first"), address(domain, "second")]
    site.daemon.start()
    site.mta.run_queue()
    assert site.mta.waiting() == []
    assert sorted(message.recipients[0] for message in domain.messages()) == [
        address(domain, "first"), address(domain, "second")]
    assert domain.name not in site.mta.mailbox()


def test_stsgated_is_killed_in_the_middle(net, site):
    domain = net.domain(policy="enforce", behaviour=Behaviour(data=Slow(3, "354 Go on")))
    with sending(site, domain, address(domain)):
        site.daemon.kill()
    assert site.mta.waiting() == [address(domain)]
    domain.host.behaviour = Behaviour()
    site.daemon.start()
    site.mta.run_queue()
    assert site.mta.waiting() == []
    assert_arrived(domain, times=1)
    assert domain.name not in site.mta.mailbox()


def test_the_mta_is_killed_in_the_middle(net, site):
    """What it had in hand is delivered by the next queue run, and only then."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(data=Slow(3, "354 Go on")))
    with sending(site, domain, address(domain)):
        site.mta.kill()
        wait_until(lambda: domain.host.connections[0].ended_at, ENOUGH, "the end")
    domain.host.behaviour = Behaviour()
    site.mta.run_queue()
    assert site.mta.waiting() == []
    assert_arrived(domain, times=1)


def test_a_slow_host_gets_it_once(net, site):
    domain = net.domain(policy="enforce", behaviour=Behaviour(
        rcpt={"someone": Slow(1, "250 2.1.5 At last")}, dot=Slow(3, "250 2.0.0 Thought it over")))
    site.mta.send(address(domain))
    assert site.mta.waiting() == []
    assert_arrived(domain, times=1, tls=True)


def test_a_host_that_hangs_up_leaves_it_queued(net, site):
    domain = net.domain(policy="enforce", behaviour=Behaviour(dot=Drop()))
    site.mta.send(address(domain))
    assert site.mta.waiting() == [address(domain)]
    assert domain.name not in site.mta.mailbox()


def test_two_domains_share_a_host_and_one_is_protected(net, site):
    """In one queue run, and in one envelope."""
    guarded = net.domain(policy="enforce", behaviour=Behaviour(certificate="self-signed"))
    plain = net.domain(mx=[])
    net.zones.add(plain.name, "MX", f"10 {guarded.host.name}.")
    site.mta.send([address(plain), address(guarded)], deliver=False)
    site.mta.send(address(guarded, "alone"), deliver=False)
    site.mta.send(address(plain, "alone"), deliver=False)
    site.mta.run_queue()
    assert sorted(site.mta.waiting()) == sorted([address(guarded), address(guarded, "alone")])
    got = sorted(rcpt for message in guarded.messages() for rcpt in message.recipients)
    assert got == sorted([address(plain), address(plain, "alone")])
    assert not any(guarded.name in line.text for line in guarded.host.lines
                   if line.verb in ("MAIL", "RCPT"))
