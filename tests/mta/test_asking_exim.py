# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""An Exim that delivers by itself and asks host by host, and hosts under DANE.

Exim does DANE only where its resolver validates.  Where it does not, nothing
goes to a host that has TLSA records; nowhere do they switch MTA-STS off.
"""

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, wait_until
from stslab import tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
SELF_SIGNED = Behaviour(certificate="self-signed")
RESOLVERS = ["exim", "exim_validating"]


@pytest.fixture
def site(ways, request):
    made = ways.policy(request.param)
    yield made
    made.back_to_work()


plain = pytest.mark.parametrize("site", ["exim"], indirect=True)
validating = pytest.mark.parametrize("site", ["exim_validating"], indirect=True)
both = pytest.mark.parametrize("site", RESOLVERS, indirect=True)


def publish(net, host, record="3 1 1"):
    net.zones.add(tlsa.at(host.name), "TLSA",
                  record if len(record.split()) > 3 else tlsa.of(host, record))


def assert_kept(site, domain):
    """The message waits, and no octet of it has gone in clear."""
    assert site.mta.waiting() == [address(domain)], site.mta.log_text()
    assert domain.messages() == [] and domain.name not in site.mta.mailbox()
    assert all(connection.content_octets == 0 for host in domain.hosts
               for connection in host.connections)


@plain
@pytest.mark.parametrize("policy", [None, "testing", "enforce"])
@pytest.mark.parametrize("behaviour", [STRIPPED, None], ids=["stripped", "honest"])
def test_resolver_does_not_validate(net, site, policy, behaviour):
    """Exim cannot see the records, but the answer says that they exist."""
    domain = net.domain(policy=policy, behaviour=behaviour)
    publish(net, domain.host)
    site.mta.send(address(domain))
    assert_kept(site, domain)
    assert_nothing_leaked(domain)


@both
@pytest.mark.parametrize("behaviour", [STRIPPED, SELF_SIGNED], ids=["stripped", "self-signed"])
def test_records_of_one_host_do_not_free_the_other(net, site, behaviour):
    domain = net.domain(policy="enforce", mx=[Mx(10, down=True), Mx(20, behaviour=behaviour)])
    publish(net, domain.hosts[0])
    site.mta.send(address(domain))
    assert_kept(site, domain)
    if behaviour is STRIPPED:
        assert_nothing_leaked(domain)


@both
def test_other_host_is_verified_by_the_policy(net, site):
    domain = net.domain(policy="enforce", mx=[Mx(10, down=True), Mx(20)])
    publish(net, domain.hosts[0])
    site.mta.send(address(domain))
    assert site.mta.waiting() == [], site.mta.log_text()
    assert_arrived(domain, tls=True)


@validating
@pytest.mark.parametrize("policy", [None, "testing", "enforce"])
def test_match(net, site, policy):
    """No authority knows the certificate, and DANE does not ask for one."""
    domain = net.domain(policy=policy, behaviour=SELF_SIGNED)
    publish(net, domain.host)
    site.mta.send(address(domain))
    assert site.mta.waiting() == [], site.mta.log_text()
    assert_arrived(domain, tls=True)


@validating
@pytest.mark.parametrize("policy", [None, "enforce"])
@pytest.mark.parametrize("behaviour", [STRIPPED, None], ids=["stripped", "mismatch"])
def test_no_match(net, site, policy, behaviour):
    """The certificate is good for MTA-STS, which does not come in the way of DANE."""
    domain = net.domain(policy=policy, behaviour=behaviour)
    publish(net, domain.host, tlsa.wrong("3 1 1"))
    site.mta.send(address(domain))
    assert_kept(site, domain)


@both
def test_host_with_records_that_the_policy_does_not_list(net, site):
    domain = net.domain(policy="enforce", patterns=["mx.elsewhere.example"])
    publish(net, domain.host)
    site.mta.send(address(domain))
    assert_kept(site, domain)
    assert domain.host.connections == []


@both
@pytest.mark.parametrize("policy", [None, "enforce"])
def test_look_up_of_records_fails(net, site, policy):
    domain = net.domain(policy=policy, behaviour=STRIPPED)
    publish(net, domain.host)
    net.dns.fault(tlsa.at(domain.host.name), "TLSA", "servfail")
    site.mta.send(address(domain))
    assert_kept(site, domain)
    assert_nothing_leaked(domain)


@both
@pytest.mark.parametrize("behaviour", [None, STRIPPED], ids=["honest", "stripped"])
def test_mx_answer_is_not_secure(net, site, behaviour):
    """Exim refuses to demand DANE there, so that mail for a domain without DNSSEC at a provider with
    it would never go; the policy is demanded."""
    host = net.domain(behaviour=behaviour).host
    domain = net.domain(zone="plain", policy="enforce", mx=[], patterns=[host.name])
    domain.hosts = [host]
    net.zones.add(domain.name, "MX", f"10 {host.name}.")
    publish(net, host)
    site.mta.send(address(domain))
    if behaviour is None:
        assert site.mta.waiting() == [], site.mta.log_text()
        assert_arrived(domain, tls=True)
    else:
        assert_kept(site, domain)
        assert_nothing_leaked(domain)


@both
@pytest.mark.parametrize("behaviour", [None, STRIPPED], ids=["honest", "stripped"])
def test_host_behind_an_alias(net, site, behaviour):
    """The records lie where the alias leads, and Exim asks about that name."""
    domain, alias = net.domain(mx=[]), net.fresh_name()
    domain.hosts = net.domain(behaviour=behaviour).hosts
    net.zones.add(alias, "CNAME", domain.host.name + ".")
    net.zones.add(domain.name, "MX", f"10 {alias}.")
    publish(net, domain.host)
    site.mta.send(address(domain))
    if behaviour is None and site.name == "policy-exim-validating":
        assert site.mta.waiting() == [], site.mta.log_text()
        assert_arrived(domain, tls=True)
    else:
        assert_kept(site, domain)
        assert_nothing_leaked(domain)


@plain
def test_records_that_come_and_go(net, site):
    """Waiting mail is delivered when the records are removed; nothing bounces meanwhile."""
    domain = net.domain()
    net.zones.add(tlsa.at(domain.host.name), "TLSA", tlsa.of(domain.host, "3 1 1"), ttl=1)
    site.mta.send(address(domain))
    assert_kept(site, domain)
    net.zones.remove(tlsa.at(domain.host.name))
    wait_until(lambda: site.mta.run_queue() or site.mta.waiting() == [], 90, "delivery")
    assert_arrived(domain)
    assert domain.name not in site.mta.mailbox()
