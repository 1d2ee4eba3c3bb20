# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""MTAs that deliver by themselves and ask stsgated's policy map, with the files that we ship."""

import pytest
from checks import address, assert_arrived, assert_nothing_leaked
from stslab import tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour

ASKING = ["exim", "sendmail", "postfix"]

pytestmark = pytest.mark.parametrize("site", ASKING, indirect=True)


@pytest.fixture
def site(ways, request):
    made = ways.policy(request.param)
    yield made
    made.back_to_work()


def test_delivered_over_verified_tls(net, site):
    domain = net.domain(policy="enforce")
    site.mta.send(address(domain))
    assert site.mta.waiting() == [], site.mta.log_text()
    assert_arrived(domain, tls=True)
    assert domain.host.connections[0].sni == domain.host.name


@pytest.mark.parametrize("fault", ["no STARTTLS", "self-signed", "wrong-name", "not listed",
                                   "TLS 1.1"])
def test_what_a_policy_forbids_stays_queued(net, site, fault):
    kinds = {"no STARTTLS": Behaviour(offer_starttls=False, starttls=None),
             "not listed": Behaviour(), "TLS 1.1": Behaviour(maximum_tls="TLSv1.1")}
    domain = net.domain(policy="enforce",
                        behaviour=kinds.get(fault) or Behaviour(certificate=fault),
                        patterns=["mx.elsewhere.example"] if fault == "not listed" else None)
    site.mta.send(address(domain))
    assert site.mta.waiting() == [address(domain)]
    assert domain.messages() == []
    assert sum(connection.content_octets for connection in domain.host.connections) == 0
    if fault == "no STARTTLS":
        assert_nothing_leaked(domain)
    assert domain.name not in site.mta.mailbox()


@pytest.mark.parametrize("fault", ["no STARTTLS", "self-signed"])
def test_records_of_one_host_do_not_free_the_other(net, site, fault):
    """One under DANE is away; at the other the policy holds."""
    kinds = {"no STARTTLS": Behaviour(offer_starttls=False, starttls=None)}
    domain = net.domain(policy="enforce", mx=[
        Mx(10, down=True), Mx(20, behaviour=kinds.get(fault) or Behaviour(certificate=fault))])
    net.zones.add(tlsa.at(domain.host.name), "TLSA", tlsa.of(domain.host, "3 1 1"))
    site.mta.send(address(domain))
    assert site.mta.waiting() == [address(domain)], site.mta.log_text()
    assert domain.messages() == []
    assert sum(connection.content_octets for host in domain.hosts
               for connection in host.connections) == 0
    if fault == "no STARTTLS":
        assert_nothing_leaked(domain)


@pytest.mark.parametrize("policy", [None, "testing", "none"])
def test_what_no_policy_forbids_goes(net, site, policy):
    domain = net.domain(policy=policy, behaviour=Behaviour(certificate="self-signed"))
    site.mta.send(address(domain))
    assert site.mta.waiting() == [], site.mta.log_text()
    assert_arrived(domain)


def test_nothing_goes_while_stsgated_is_away(net, site):
    domain = net.domain(policy="enforce", behaviour=Behaviour(certificate="self-signed"))
    good = net.domain(policy="enforce")
    site.daemon.stop()
    site.mta.send(address(domain))
    site.mta.send(address(good))
    assert sorted(site.mta.waiting()) == sorted([address(domain), address(good)])
    assert_arrived(domain, times=0)
    site.daemon.start()
    site.mta.run_queue()
    assert site.mta.waiting() == [address(domain)]
    assert_arrived(good, tls=True)


@pytest.mark.parametrize("first", ["plain", "guarded"])
def test_two_domains_share_a_host_and_one_is_protected(net, site, first):
    """In one envelope and in one queue run; the connection of one does not serve the other."""
    guarded = net.domain(policy="enforce", behaviour=Behaviour(certificate="self-signed"))
    plain = net.domain(mx=[])
    net.zones.add(plain.name, "MX", f"10 {guarded.host.name}.")
    both = [address(plain), address(guarded)]
    site.mta.send(both if first == "plain" else both[::-1], deliver=False)
    site.mta.send(address(guarded, "alone"), deliver=False)
    site.mta.send(address(plain, "alone"), deliver=False)
    site.mta.run_queue()
    # Exim remembers by host: the plain one may have to wait for the next run.
    site.mta.run_queue()
    waiting = set(site.mta.waiting())
    assert {address(guarded), address(guarded, "alone")} <= waiting
    if site.name == "policy-sendmail":
        waiting.discard(address(plain))     # an envelope is held by its most careful recipient
    assert waiting == {address(guarded), address(guarded, "alone")}
    got = {rcpt for message in guarded.messages() for rcpt in message.recipients}
    assert address(plain, "alone") in got
    assert got <= {address(plain), address(plain, "alone")}
