# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The policy map and hosts under DANE: MTA-STS never switches off the DANE of the MTA that asks, nor
DANE at one host MTA-STS at another."""

import json
import time

import pytest
from checks import wait_until
from stslab import socketmap, tlsa
from stslab.internet import Mx

MAPS = ("postfix", "postfix-tlsrpt", "sts")
UNDER_DANE = ("OK dane-only", "OK dane-only", "NOTFOUND ")
NOTHING = ("NOTFOUND ",) * 3
TEMP = ("TEMP",) * 3


def where(daemon):
    return daemon.settings["policy-map"]["listen"][0]


def answers(daemon, domain):
    """The answers to postfix, postfix-tlsrpt and sts, without the attributes; TEMP without the
    reason."""
    with socketmap.Client(where(daemon)) as client:
        given = [client.ask(name, domain.name) for name in MAPS]
    return tuple("TEMP" if one.startswith("TEMP ") else one.partition(" policy_type=")[0]
                 for one in given)


def line(daemon, domain, host=None):
    """What Exim is answered about the domain, or one host of it, without the id."""
    words = f"mx {domain.name} {host.name}\n" if host else f"policy {domain.name}\n"
    answer = socketmap.ask_line(where(daemon), words).split()
    return " ".join(word for word in answer if not word.startswith("id="))


def secure(*hosts):
    return (f"OK secure match={':'.join(host.name for host in hosts)} servername=hostname",) * 3


def publish(net, host, *records, ttl=60):
    """TLSA records for what `host` shows, or as they are with data in them."""
    net.zones.replace(tlsa.at(host.name), "TLSA",
                      *(one if len(one.split()) > 3 else tlsa.of(host, one) for one in records),
                      ttl=ttl)


def behind_insecure_mx(net, policy=None):
    """An unsigned domain whose host is a provider's, with signed address and TLSA records."""
    provider = net.domain()
    domain = net.domain(zone="plain", policy=policy, mx=[], patterns=[provider.host.name])
    domain.hosts = provider.hosts
    net.zones.add(domain.name, "MX", f"10 {provider.host.name}.")
    publish(net, domain.host, "3 1 1")
    return domain


@pytest.fixture(scope="module")
def leaves_it(net):
    """For an MTA that does no DANE."""
    daemon = net.daemons.start({"policy-map": {"dane": "none"}})
    yield daemon
    assert daemon.stop() == 0


@pytest.mark.parametrize("policy", [None, "none", "testing", "enforce"])
def test_usable_records_at_all_hosts(net, mta, leaves_it, policy):
    """G1, G11: whether they match is found out by the MTA."""
    domain = net.domain(policy=policy, mx=[Mx(10), Mx(20)])
    for host in domain.hosts:
        publish(net, host, tlsa.wrong("1 1 1"), tlsa.wrong("3 1 1"))
    assert answers(mta, domain) == UNDER_DANE
    for host in (None, *domain.hosts):
        assert line(mta, domain, host) == f"mode={policy or 'none'} match=yes dane=yes"
        assert line(leaves_it, domain, host) == f"mode={policy or 'none'} match=yes"
    assert answers(leaves_it, domain) == (secure(*domain.hosts) if policy == "enforce" else NOTHING)


@pytest.mark.parametrize("policy", [None, "none", "testing", "enforce"])
@pytest.mark.parametrize("at", [0, 1])
def test_usable_records_at_one_host(net, mta, leaves_it, policy, at):
    """Without a policy Postfix uses the other host too; with one Sendmail verifies it there."""
    domain = net.domain(policy=policy, mx=[Mx(10), Mx(20)])
    publish(net, domain.hosts[at], tlsa.wrong("3 1 1"))
    if policy == "enforce":
        assert answers(mta, domain) == (*UNDER_DANE[:2], secure(*domain.hosts)[0])
        assert answers(leaves_it, domain) == secure(*domain.hosts)
    else:
        assert answers(mta, domain) == answers(leaves_it, domain) == NOTHING
    mode = f"mode={policy or 'none'} match=yes"
    assert line(mta, domain) == line(mta, domain, domain.hosts[at]) == mode + " dane=yes"
    assert line(mta, domain, domain.hosts[1 - at]) == mode + " dane=no"
    assert line(leaves_it, domain, domain.hosts[at]) == mode


def test_other_host_without_an_address(net, mta):
    """One that cannot be used does not count."""
    domain = net.domain()
    publish(net, domain.host, "3 1 1")
    net.zones.add(domain.name, "MX", f"20 nowhere.{domain.name}.")
    assert answers(mta, domain) == UNDER_DANE


def test_records_of_a_host_that_is_not_listed(net, mta):
    """DANE proves the host, but Exim refuses it."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    domain.set_policy(patterns=[domain.hosts[1].name])
    publish(net, domain.hosts[0], "3 1 1")
    assert answers(mta, domain) == (*UNDER_DANE[:2], secure(domain.hosts[1])[0])
    assert line(mta, domain, domain.hosts[0]) == "mode=enforce match=no dane=yes"
    assert line(mta, domain, domain.hosts[1]) == "mode=enforce match=yes dane=no"


def test_records_count_where_no_host_is_listed(net, mta, leaves_it):
    """G12."""
    domain = net.domain(policy="enforce", patterns=["mx.elsewhere.example"])
    publish(net, domain.host, "3 1 1")
    assert answers(mta, domain) == UNDER_DANE
    assert line(mta, domain, domain.host) == "mode=enforce match=no dane=yes"
    assert answers(leaves_it, domain) == TEMP


def test_host_that_the_domain_does_not_name(net, mta):
    """Exim's MX answer is another than the secure one, and it was not asked about such a host."""
    under_dane, without = net.domain(), net.domain()
    publish(net, under_dane.host, "3 1 1")
    other = net.domain().host
    assert line(mta, under_dane, other) == "mode=error"
    assert line(mta, without, other) == "mode=none match=yes dane=no"


@pytest.mark.parametrize("records", [["0 0 1"], ["1 1 1"], ["3 2 1"], ["255 1 1"],
                                     ["1 1 1", "0 1 2"]])
def test_records_that_cannot_be_used(net, mta, records):
    """G8: an MTA-STS demand stands, and nothing else is said."""
    guarded, free, tried = (net.domain(policy=policy) for policy in ("enforce", None, "testing"))
    for domain in (guarded, free, tried):
        publish(net, domain.host, *(tlsa.wrong(fields) for fields in records))
    assert answers(mta, guarded) == secure(guarded.host)
    assert answers(mta, free) == NOTHING
    # "may" would take the encryption away that Postfix asks for where it finds them.
    assert answers(mta, tried) == NOTHING


@pytest.mark.parametrize("fault", ["servfail", "stripped", "nxdomain", "empty"])
def test_look_up_of_records_fails(net, mta, leaves_it, fault):
    """G4: an attacker who makes it fail must not switch DANE off."""
    guarded, free = net.domain(policy="enforce"), net.domain()
    for domain in (guarded, free):
        publish(net, domain.host, "3 1 1")
        net.dns.fault(tlsa.at(domain.host.name), "TLSA", fault)
    assert answers(mta, guarded) == TEMP
    for domain in (guarded, free):
        assert line(mta, domain) == line(mta, domain, domain.host) == "mode=error"
    # Postfix finds the failure itself, and Sendmail.
    assert answers(mta, free) == NOTHING
    assert answers(leaves_it, guarded) == secure(guarded.host)


@pytest.mark.parametrize("policy", [None, "testing", "enforce"])
def test_look_up_of_one_hosts_records_fails(net, mta, policy):
    """Whether all hosts are under DANE is not known, and whether the policy is all that counts."""
    domain = net.domain(policy=policy, mx=[Mx(10), Mx(20)])
    for host in domain.hosts:
        publish(net, host, "3 1 1")
    net.dns.fault(tlsa.at(domain.hosts[1].name), "TLSA", "servfail")
    assert answers(mta, domain) == TEMP
    assert line(mta, domain, domain.hosts[0]) == f"mode={policy or 'none'} match=yes dane=yes"
    assert line(mta, domain, domain.hosts[1]) == "mode=error"


def test_addresses_that_fail_hide_no_records(net, mta):
    domain = net.domain()
    publish(net, domain.host, "3 1 1")
    net.dns.fault(domain.host.name, "*", "servfail")
    assert line(mta, domain, domain.host) == "mode=error"


@pytest.mark.parametrize("kind", ["TLSA", "*"])
def test_a_slow_failure_is_not_remembered(net, mta, kind):
    """What takes long is kept for a quarter of an hour, but not that it failed."""
    domain = net.domain(policy="enforce")
    publish(net, domain.host, "3 1 1")
    net.dns.fault(tlsa.at(domain.host.name) if kind == "TLSA" else domain.host.name, kind, "silence")
    began = time.monotonic()
    assert answers(mta, domain) == TEMP
    assert time.monotonic() - began > 3, "as long as it takes to be kept"
    net.dns.heal()
    wait_until(lambda: answers(mta, domain) == UNDER_DANE, 20, "an answer")


@pytest.mark.parametrize("fault", ["servfail", "stripped", "nxdomain", "empty"])
def test_hosts_whose_addresses_are_not_known_are_not_named(net, mta, leaves_it, fault):
    """Named, they would be verified by MTA-STS alone by an MTA that finds addresses and records."""
    alone, one = net.domain(policy="enforce"), net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    for domain in (alone, one):
        publish(net, domain.host, "3 1 1")
        net.dns.fault(domain.host.name, "*", fault)
    assert answers(mta, alone) == TEMP
    assert line(mta, alone, alone.host) == line(mta, one, one.hosts[0]) == "mode=error"
    assert answers(mta, one) == secure(one.hosts[1])
    assert answers(leaves_it, one) == secure(*one.hosts)
    assert line(mta, one, one.hosts[1]) == "mode=enforce match=yes dane=no"


def test_records_in_an_unsigned_zone(net, mta):
    """G5."""
    domain = net.domain(zone="plain", policy="enforce")
    publish(net, domain.host, "3 1 1")
    assert answers(mta, domain) == secure(domain.host)


def test_mx_answer_is_not_secure(net, mta):
    """Postfix defers "dane-only" there for ever, and an attacker who forges the answer can name
    a host that has TLSA records: the names of the MTA-STS policy are the better proof."""
    guarded = behind_insecure_mx(net, policy="enforce")
    assert answers(mta, guarded) == secure(guarded.host)
    assert line(mta, guarded, guarded.host) == "mode=enforce match=yes dane=no"
    for policy in (None, "testing"):
        assert answers(mta, behind_insecure_mx(net, policy=policy)) == NOTHING


def test_host_behind_an_alias(net, mta):
    """G16: the records lie at the name that the alias leads to."""
    domain, alias = net.domain(policy="enforce", mx=[]), net.fresh_name()
    target = net.domain().host
    net.zones.add(alias, "CNAME", target.name + ".")
    net.zones.add(domain.name, "MX", f"10 {alias}.")
    domain.set_policy(patterns=[alias])
    publish(net, target, "3 1 1")
    assert answers(mta, domain) == UNDER_DANE


@pytest.mark.parametrize("how", ["audit", "off"])
def test_dane_that_is_not_enforced(net, start, how):
    domain = net.domain(policy="enforce")
    publish(net, domain.host, "3 1 1")
    assert answers(start({"dane": {"enforce": how}}), domain) == secure(domain.host)


def test_sts_that_is_not_enforced(net, start):
    """DANE is still left to the MTA."""
    domain = net.domain(policy="enforce")
    publish(net, domain.host, "3 1 1")
    assert answers(start({"sts": {"enforce": "off"}}), domain) == UNDER_DANE


def test_destinations(net, start):
    tls = ("policy", "may", "encrypt", "verify", "dane", "audit")
    signed = {key: net.domain(policy="enforce") for key in tls}
    without = {key: net.domain(policy="enforce") for key in tls}
    for domain in signed.values():
        publish(net, domain.host, "3 1 1")
    mta = start({("destination", domain.name): {"tls": key}
                 for made in (signed, without) for key, domain in made.items()})
    expected = {
        "policy": (UNDER_DANE, "enforce match=yes dane=yes"),
        "may": (NOTHING, "none match=yes dane=no"),
        "encrypt": (("OK encrypt", "OK encrypt", "TEMP"), "error"),
        "verify": (secure(signed["verify"].host), "enforce match=yes dane=no"),
        "dane": (UNDER_DANE, "none match=yes dane=yes"),
        "audit": (NOTHING, "none match=yes dane=no")}
    for key, domain in signed.items():
        assert answers(mta, domain) == expected[key][0], key
        assert line(mta, domain, domain.host) == "mode=" + expected[key][1], key
    expected["policy"] = (secure(without["policy"].host), "enforce match=yes dane=no")
    expected["verify"] = (secure(without["verify"].host), "enforce match=yes dane=no")
    # Sendmail and Exim have no word for a demand that they cannot meet.
    expected["dane"] = (("OK dane-only", "OK dane-only", "TEMP"), "error")
    for key, domain in without.items():
        assert answers(mta, domain) == expected[key][0], key
        assert line(mta, domain, domain.host) == "mode=" + expected[key][1], key


def test_destination_demands_dane_of_every_host(net, start):
    domain = net.domain(mx=[Mx(10), Mx(20)])
    publish(net, domain.hosts[0], "3 1 1")
    mta = start({("destination", domain.name): {"tls": "dane"}, "dane": {"enforce": "off"}})
    assert answers(mta, domain) == ("OK dane-only", "OK dane-only", "TEMP")
    assert line(mta, domain, domain.hosts[0]) == "mode=none match=yes dane=yes"
    assert line(mta, domain, domain.hosts[1]) == "mode=error"


def test_records_come_and_go(net, mta):
    """G24: an answer is kept no longer than a minute, or than the DNS answers it depends on."""
    domain = net.domain(policy="enforce")
    assert answers(mta, domain) == secure(domain.host)
    publish(net, domain.host, "3 1 1", ttl=1)
    wait_until(lambda: answers(mta, domain) == UNDER_DANE, 90, "DANE")
    net.zones.remove(tlsa.at(domain.host.name))
    wait_until(lambda: answers(mta, domain) == secure(domain.host), 90, "MTA-STS again")


def test_json(net, mta):
    """It speaks of deliveries by stsgated, and shows the records of each host."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    publish(net, domain.hosts[0], "3 1 1")
    status, _, text = socketmap.ask(where(mta), "json", domain.name).partition(" ")
    hosts = {host["name"]: host for host in json.loads(text)["hosts"]}
    first, second = (hosts[host.name] for host in domain.hosts)
    assert status == "OK" and (first["policy"], second["policy"]) == ("dane", "sts")
    assert first["tlsa"] == [tlsa.of(domain.hosts[0], "3 1 1").upper()] and second["tlsa"] == []
    assert (first["dnssec"], first["use"], second["use"]) == ("secure", True, True)
