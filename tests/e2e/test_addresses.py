# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Which addresses of an MX host are used when the answer for some of them cannot be."""

import json

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply
from stslab import tlsa
from stslab.forwarder import Forged
from stslab.internet import Mx
from stslab.mx import Behaviour

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
IMPOSTOR = Behaviour(certificate="self-signed")
REFUSE = {"dns": {"private-addresses": "refuse"}}

UNBELIEVABLE = {"a denial signed badly": "broken", "a denial without signatures": "stripped",
                "made up as DNS64 does": Forged("64:ff9b::7f00:1"), "SERVFAIL": "servfail"}


def under_dane(net, behaviour=None, mx=(Mx(),)):
    domain = net.domain(mx=mx) if behaviour is None else net.domain(behaviour=behaviour)
    for host in domain.hosts:
        net.zones.replace(tlsa.at(host.name), "TLSA", tlsa.of(host, "3 1 1"))
    return domain


@pytest.mark.parametrize("fault", UNBELIEVABLE.values(), ids=UNBELIEVABLE.keys())
def test_one_family_is_not_believed_and_the_other_is_used_with_dane(net, mta, fault):
    good, stripped = under_dane(net), under_dane(net, STRIPPED)
    for domain in (good, stripped):
        net.dns.fault(domain.host.name, "AAAA", fault)
    assert mta.deliver(address(good)).only.short == "250 2.0.0"
    assert_arrived(good, tls=True)
    (line,) = mta.wait_log("attempt", domain=good.name)
    assert (line["policy"], line["tls"]) == ("dane", "verified"), line
    assert_reply(mta.deliver(address(stripped)).only, "451 4.7.4")
    assert_nothing_leaked(stripped)


@pytest.mark.parametrize("fault", ["broken", "stripped", Forged("127.0.0.81")],
                         ids=["broken", "stripped", "forged"])
def test_nothing_is_left_to_believe(net, mta, fault):
    domain = under_dane(net)
    net.dns.fault(domain.host.name, "A", fault)
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", domain.host.name)
    assert_nothing_leaked(domain)


def test_an_alias_with_one_bogus_family(net, mta):
    """The records at the alias count, and they are looked up."""
    domain = under_dane(net)
    real = "real." + domain.name
    net.zones.remove(domain.host.name)
    net.zones.add(domain.host.name, "CNAME", real + ".")
    net.zones.add(real, "A", domain.host.address)
    net.zones.replace(tlsa.at(domain.host.name), "TLSA", tlsa.of(domain.host, "3 1 1"))
    net.dns.fault(domain.host.name, "AAAA", "broken")
    net.dns.fault(real, "AAAA", "broken")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)
    assert mta.wait_log("attempt", domain=domain.name)[0]["policy"] == "dane"


def test_one_host_of_two_has_forged_addresses(net, mta):
    """The other is used, and the forger's is not."""
    domain = net.domain(mx=[Mx(10, behaviour=STRIPPED), Mx(20)])
    net.dns.fault(domain.hosts[0].name, "A", Forged(domain.hosts[0].address))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert domain.hosts[0].connections == [] and len(domain.hosts[1].messages) == 1


def test_what_is_shown_of_a_bogus_family(net, mta):
    domain = under_dane(net)
    net.dns.fault(domain.host.name, "AAAA", "broken")
    (host,) = json.loads(mta.ask("policy", domain.name, "--json").stdout)["hosts"]
    assert (host["use"], host["dnssec"], host["policy"]) == (True, "secure", "dane"), host
    assert host["addresses"] == [domain.host.address] and "bogus" in host["reason"], host


SELVES = {"A": "127.0.0.1", "another A": "127.9.9.9", "unspecified": "0.0.0.0"}


@pytest.mark.parametrize("where", SELVES.values(), ids=SELVES.keys())
@pytest.mark.parametrize("zone", ["example", "plain"])
def test_loopback_and_unspecified_addresses_alone_are_none(net, start, zone, where):
    mta = start(REFUSE)
    domain = net.domain(zone=zone, mx=[Mx(10, down=True), Mx(20, down=True)])
    for host in domain.hosts:
        net.zones.replace(host.name, "A", where)
    net.zones.add(domain.hosts[1].name, "AAAA", "::1", "::")
    assert_reply(mta.deliver(address(domain)).only, "550 5.4.4", domain.hosts[0].name)


def test_forged_loopback_does_not_bounce_protected_mail(net, start):
    """Not while nothing but an insecure answer says so."""
    mta = start()
    plain, signed = net.domain(zone="plain", policy="enforce"), net.domain(policy="enforce")
    for domain in (plain, signed):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    mta.reload(REFUSE)
    assert_reply(mta.deliver(address(plain)).only, "451 4.4.4", plain.name, "is in force")
    assert_reply(mta.deliver(address(signed)).only, "550 5.4.4", signed.name)
    for domain in (plain, signed):
        assert_arrived(domain, times=1)


@pytest.mark.parametrize("others", [["10.9.8.7"], ["127.0.0.1", "10.9.8.7"]], ids=["alone", "beside"])
def test_private_addresses_still_wait(net, start, others):
    mta = start(REFUSE)
    domain = net.domain(mx=[Mx(down=True)])
    net.zones.replace(domain.host.name, "A", *others)
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.4", domain.host.name)
