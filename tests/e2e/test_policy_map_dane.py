# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The policy map and domains under DANE: MTA-STS never switches off the DANE of the MTA that asks."""

import json

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
    """What postfix, postfix-tlsrpt and sts are answered, without the attributes; TEMP without why."""
    with socketmap.Client(where(daemon)) as client:
        given = [client.ask(name, domain.name) for name in MAPS]
    return tuple("TEMP" if one.startswith("TEMP ") else one.partition(" policy_type=")[0]
                 for one in given)


def line(daemon, domain):
    return socketmap.ask_line(where(daemon), f"policy {domain.name}\n").split(" id=")[0]


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
@pytest.mark.parametrize("at", [0, 1])
def test_usable_records_at_any_host(net, mta, leaves_it, policy, at):
    """G1, G11: whether they match is found out by the MTA."""
    domain = net.domain(policy=policy, mx=[Mx(10), Mx(20)])
    publish(net, domain.hosts[at], tlsa.wrong("1 1 1"), tlsa.wrong("3 1 1"))
    assert answers(mta, domain) == UNDER_DANE
    assert line(mta, domain) == "mode=none match=yes"
    expected = {"enforce": secure(*domain.hosts), "testing": ("NOTFOUND ", "OK may", "NOTFOUND ")}
    assert answers(leaves_it, domain) == expected.get(policy, NOTHING)
    assert line(leaves_it, domain) == f"mode={policy or 'none'} match=yes"


def test_records_count_where_no_host_is_listed(net, mta, leaves_it):
    """G12."""
    domain = net.domain(policy="enforce", patterns=["mx.elsewhere.example"])
    publish(net, domain.host, "3 1 1")
    assert answers(mta, domain) == UNDER_DANE
    assert answers(leaves_it, domain) == TEMP


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
    """G4: whoever can make it fail must not switch DANE off."""
    guarded, free = net.domain(policy="enforce"), net.domain()
    for domain in (guarded, free):
        publish(net, domain.host, "3 1 1")
        net.dns.fault(tlsa.at(domain.host.name), "TLSA", fault)
    assert answers(mta, guarded) == TEMP
    assert line(mta, guarded) == "mode=error\n"
    assert answers(mta, free) == NOTHING
    assert answers(leaves_it, guarded) == secure(guarded.host)


def test_records_in_an_unsigned_zone(net, mta):
    """G5."""
    domain = net.domain(zone="plain", policy="enforce")
    publish(net, domain.host, "3 1 1")
    assert answers(mta, domain) == secure(domain.host)


def test_mx_answer_is_not_secure(net, mta):
    """Postfix defers "dane-only" there for ever, and whoever forges the answer names a host of his
    own with records of his own: the names of the MTA-STS policy are the better proof."""
    guarded = behind_insecure_mx(net, policy="enforce")
    assert answers(mta, guarded) == secure(guarded.host)
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
    """DANE is left to the MTA all the same."""
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
        "policy": (UNDER_DANE, "none match=yes"),
        "may": (NOTHING, "none match=yes"),
        "encrypt": (("OK encrypt", "OK encrypt", "TEMP"), "error\n"),
        "verify": (secure(signed["verify"].host), "enforce match=yes"),
        "dane": (UNDER_DANE, "none match=yes"),
        "audit": (NOTHING, "none match=yes")}
    for key, domain in signed.items():
        assert (answers(mta, domain), line(mta, domain)) == \
            (expected[key][0], "mode=" + expected[key][1]), key
    expected["policy"] = (secure(without["policy"].host), "enforce match=yes")
    expected["verify"] = (secure(without["verify"].host), "enforce match=yes")
    # Sendmail and Exim have no word for a demand that they cannot meet.
    expected["dane"] = (("OK dane-only", "OK dane-only", "TEMP"), "error\n")
    for key, domain in without.items():
        assert (answers(mta, domain), line(mta, domain)) == \
            (expected[key][0], "mode=" + expected[key][1]), key


def test_records_come_and_go(net, mta):
    """G24: an answer is kept no longer than a minute, or than the DNS answers behind it."""
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
