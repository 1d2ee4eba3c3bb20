# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A Postfix that does DANE by itself, for which the policy map leaves domains under DANE alone."""

import pytest
from checks import address, assert_arrived, assert_nothing_leaked
from stslab import tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour

SELF_SIGNED = Behaviour(certificate="self-signed")


@pytest.fixture
def site(ways):
    made = ways.policy("postfix")
    yield made
    made.back_to_work()


def publish(net, host, record):
    net.zones.add(tlsa.at(host.name), "TLSA",
                  record if len(record.split()) > 3 else tlsa.of(host, record))


def refused(site, domain):
    """The message waits, and no octet of its content has gone."""
    return site.mta.waiting() == [address(domain)] and domain.messages() == [] and \
        all(connection.content_octets == 0 for host in domain.hosts
            for connection in host.connections)


@pytest.mark.parametrize("policy", [None, "testing", "enforce"])
def test_match(net, site, policy):
    """G13: no authority knows the certificate, and the policy does not ask for one."""
    domain = net.domain(policy=policy, behaviour=SELF_SIGNED)
    publish(net, domain.host, "3 1 1")
    site.mta.send(address(domain))
    assert site.mta.waiting() == [], site.mta.log_text()
    assert_arrived(domain, tls=True)


@pytest.mark.parametrize("policy", [None, "testing", "enforce"])
def test_mismatch(net, site, policy):
    """G11: the certificate is good for MTA-STS, which does not come in the way of DANE."""
    domain = net.domain(policy=policy)
    publish(net, domain.host, tlsa.wrong("3 1 1"))
    site.mta.send(address(domain))
    assert refused(site, domain), site.mta.log_text()


def test_only_the_second_host_has_records(net, site):
    """Postfix passes over a host without records."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20, behaviour=SELF_SIGNED)])
    publish(net, domain.hosts[1], "3 1 1")
    site.mta.send(address(domain))
    assert site.mta.waiting() == [], site.mta.log_text()
    assert [len(host.messages) for host in domain.hosts] == [0, 1]


@pytest.mark.parametrize("policy", [None, "testing"])
def test_other_host_without_a_policy(net, site, policy):
    """Postfix uses it as it would by itself: its own DANE is for the hosts that have records."""
    domain = net.domain(policy=policy, mx=[Mx(10, down=True), Mx(20, behaviour=SELF_SIGNED)])
    publish(net, domain.hosts[0], "3 1 1")
    site.mta.send(address(domain))
    assert site.mta.waiting() == [], site.mta.log_text()
    assert [len(host.messages) for host in domain.hosts] == [0, 1]


def test_host_with_records_without_a_policy(net, site):
    """DANE is still demanded there."""
    domain = net.domain(mx=[Mx(10, behaviour=Behaviour(offer_starttls=False, starttls=None)),
                            Mx(20, down=True)])
    publish(net, domain.hosts[0], "3 1 1")
    site.mta.send(address(domain))
    assert refused(site, domain), site.mta.log_text()
    assert_nothing_leaked(domain)


def test_records_that_cannot_be_used(net, site):
    """G8: the policy's demand is made in their place."""
    good, bad = net.domain(policy="enforce"), net.domain(policy="enforce", behaviour=SELF_SIGNED)
    for domain in (good, bad):
        publish(net, domain.host, tlsa.wrong("1 1 1"))
    site.mta.send([address(good), address(bad)])
    assert_arrived(good, tls=True)
    assert refused(site, bad), site.mta.log_text()


@pytest.mark.parametrize("listed", [True, False])
def test_mx_answer_is_not_secure(net, site, listed):
    """Mail for a domain without DNSSEC at a provider with it goes, by the policy; and a forged MX
    answer that names a host with TLSA records of its own gets nothing."""
    host = net.domain().host
    domain = net.domain(zone="plain", policy="enforce", mx=[],
                        patterns=[host.name if listed else "mx.elsewhere.example"])
    domain.hosts = [host]
    net.zones.add(domain.name, "MX", f"10 {host.name}.")
    publish(net, host, "3 1 1")
    site.mta.send(address(domain))
    if listed:
        assert site.mta.waiting() == [], site.mta.log_text()
        assert_arrived(domain, tls=True)
    else:
        assert refused(site, domain), site.mta.log_text()


def test_postfix_refuses_dane_only_there(net, site):
    """Which is why the map does not say so."""
    host = net.domain().host
    domain = net.domain(zone="plain", mx=[])
    domain.hosts = [host]
    net.zones.add(domain.name, "MX", f"10 {host.name}.")
    publish(net, host, "3 1 1")
    site.mta.root.run("postconf", "-e", "smtp_tls_policy_maps=static:dane-only")
    try:
        site.mta.restart()
        site.mta.send(address(domain))
        assert refused(site, domain), site.mta.log_text()
        assert "non DNSSEC destination" in site.mta.log_text()
    finally:
        site.mta.root.run("postconf", "-e", "smtp_tls_policy_maps="
                          "socketmap:unix:/stsgate/policy.sock:postfix")
        site.mta.restart()
