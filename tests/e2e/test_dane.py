# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""DANE together with MTA-STS, host by host, against a really signed zone (cases, group G).

Each attack is run twice: with DANE nothing may reach the attacker, and with
`dane { enforce = "off" }` the same attack must succeed, or the first test
proves nothing.
"""

import json
from dataclasses import dataclass

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab import tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
SELF_SIGNED = Behaviour(certificate="self-signed-expired")
UNUSABLE = ("0 0 1", "1 1 1", "3 2 1", "255 1 1")


def publish(net, host, *fields, ttl=60):
    """TLSA records for the certificate that `host` shows, or as they are with data in them."""
    net.zones.replace(tlsa.at(host.name), "TLSA",
                      *(one if len(one.split()) > 3 else tlsa.of(host, one) for one in fields),
                      ttl=ttl)


def dane_domain(net, behaviour, *fields, **options):
    domain = net.domain(behaviour=behaviour, **options)
    publish(net, domain.host, *fields)
    return domain


def attempt(mta, domain):
    (line,) = mta.wait_log("attempt", domain=domain.name)
    return line


def asked(net, host):
    return net.dns.queries(tlsa.at(host.name), "TLSA")


@pytest.fixture(scope="module")
def off(net):
    daemon = net.daemons.start({"dane": {"enforce": "off"}})
    yield daemon
    assert daemon.stop() == 0


@pytest.fixture(scope="module")
def auditing(net):
    daemon = net.daemons.start({"dane": {"enforce": "audit"}})
    yield daemon
    assert daemon.stop() == 0


@pytest.mark.parametrize("fields", ["3 1 1", "3 0 1", "3 1 2", "3 0 2", "3 1 0", "3 0 0"])
def test_dane_ee_matches(net, mta, fields):
    """G1: no authority, another name, and expired: the match alone counts."""
    domain = dane_domain(net, SELF_SIGNED, fields)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)
    line = attempt(mta, domain)
    assert (line["policy"], line["mode"], line["tls"], line["result"]) == \
        ("dane", "enforce", "verified", "ok"), line
    assert domain.host.connections[0].sni == domain.host.name


@pytest.mark.parametrize("kind", ["own-ca", "own-ca-domain-only"])
@pytest.mark.parametrize("fields", ["2 0 1", "2 1 1", "2 0 2", "2 1 2", "2 0 0", "2 1 0"])
def test_dane_ta_matches(net, mta, fields, kind):
    """An authority of the site's own; the host's name, or the next-hop domain (RFC 7672 3.2.2)."""
    domain = dane_domain(net, Behaviour(certificate=kind), fields)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert attempt(mta, domain)["tls"] == "verified"


def test_dane_ta_with_a_wildcard_for_an_underscore(net, mta):
    name = net.fresh_name()
    domain = net.domain(name=name, mx=(
        Mx(name=f"mx_1.{name}", behaviour=Behaviour(certificate="own-ca-wildcard")),))
    publish(net, domain.host, "2 1 1")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert attempt(mta, domain)["tls"] == "verified"


@pytest.mark.parametrize("fields", [
    ["0 0 1", "3 1 1", "1 1 1"],
    [tlsa.wrong("3 1 1"), "3 1 1"],
    [tlsa.wrong("3 0 2"), tlsa.wrong("2 0 1"), "3 1 1"],
    ["3 1 1", "3 1 2"],
])
def test_one_usable_record_that_matches_is_enough(net, mta, fields):
    """G9."""
    domain = dane_domain(net, SELF_SIGNED, *fields)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_dane_ee_fails_and_dane_ta_matches(net, mta):
    """G10."""
    domain = dane_domain(net, Behaviour(certificate="own-ca"), tlsa.wrong("3 1 1"), "2 0 1")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_digest_agility(net, mta, off):
    """RFC 7671 9: a SHA-256 that matches does not help a SHA-512 that does not."""
    domain = dane_domain(net, SELF_SIGNED, "3 1 1", tlsa.wrong("3 1 2"))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)
    assert off.deliver(address(domain)).only.short == "250 2.0.0"


@dataclass
class Attack:
    """The attack, the published records, the reply, and the RFC 8460 result."""

    behaviour: Behaviour
    fields: tuple
    reply: str
    result: str


def mismatch(certificate, *fields, result="validation-failure"):
    return Attack(Behaviour(certificate=certificate), fields, "451 4.7.5", result)


ATTACKS = {
    "a good certificate, no match": mismatch("good", tlsa.wrong("3 1 1")),
    "self-signed, no match": mismatch("self-signed", tlsa.wrong("3 1 1")),
    "no authority matches": mismatch("good", tlsa.wrong("2 0 1")),
    "DANE-TA, another name": mismatch("own-ca-wrong-name", "2 0 1",
                                      result="certificate-host-mismatch"),
    "DANE-TA, expired": mismatch("own-ca-expired", "2 1 1", result="certificate-expired"),
    "authority not sent": mismatch("rogue", tlsa.wrong("2 0 1")),
    "a weak key that matches": mismatch("weak", "3 1 1", result="certificate-not-trusted"),
    "STARTTLS stripped": Attack(STRIPPED, (tlsa.wrong("3 1 1"),), "451 4.7.4",
                                "starttls-not-supported"),
    "STARTTLS answered 454": Attack(Behaviour(starttls="454 4.7.0 Not now"),
                                    (tlsa.wrong("3 1 1"),), "451 4.7.4",
                                    "starttls-not-supported"),
    "closed in the handshake": Attack(Behaviour(handshake=Drop()), (tlsa.wrong("3 1 1"),),
                                      "451 4.7.5", "validation-failure"),
    "TLS 1.1": Attack(Behaviour(maximum_tls="TLSv1.1"), ("3 1 1",), "451 4.7.5",
                      "validation-failure"),
    "STARTTLS stripped, nothing usable": Attack(STRIPPED, (tlsa.wrong("1 1 1"),), "451 4.7.4",
                                                "starttls-not-supported"),
}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())


@each_attack
def test_refused(net, mta, attack):
    """G11, G26: nothing is said before the match."""
    domain = dane_domain(net, attack.behaviour, *attack.fields, policy=None)
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, attack.reply, domain.host.name, "dane")
    assert_nothing_leaked(domain)
    line = attempt(mta, domain)
    assert (line["policy"], line["result"]) == ("dane", attack.result), line
    (delivery,) = mta.log("delivery", domain=domain.name)
    assert (delivery["policy"], delivery["status"]) == ("dane", "deferred")


def test_a_weak_key_wants_a_stronger_key_and_its_record(net, mta):
    domain = dane_domain(net, Behaviour(certificate="weak"), "3 1 1", policy=None)
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, "451 4.7.5", "EE_KEY_TOO_SMALL",
                 "install a certificate with a stronger key and publish its TLSA record")
    assert "public authority" not in reply.text
    assert_nothing_leaked(domain)


@each_attack
def test_succeeds_without_dane(net, off, attack):
    domain = dane_domain(net, attack.behaviour, *attack.fields, policy=None)
    assert off.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain)
    assert asked(net, domain.host) == []


@each_attack
def test_audited(net, auditing, attack):
    """Verified and logged, never refused."""
    domain = dane_domain(net, attack.behaviour, *attack.fields, policy=None)
    assert auditing.deliver(address(domain)).only.short == "250 2.0.0"
    line = auditing.wait_log("attempt", domain=domain.name)[0]
    assert (line["policy"], line["mode"], line["result"]) == \
        ("dane", "audit", attack.result), line


LOOK_UPS = {"servfail": "failed", "silence": "failed", "refused": "failed",
            "stripped": "bogus", "nxdomain": "bogus", "empty": "bogus"}


@pytest.mark.parametrize("fault", LOOK_UPS)
def test_tlsa_look_up_that_fails(net, mta, off, fault):
    """G4: the host is out for now, whatever MTA-STS says."""
    domain = dane_domain(net, Behaviour(certificate="good"), "3 1 1", policy="enforce")
    plain = dane_domain(net, STRIPPED, "3 1 1")
    for one in (domain, plain):
        net.dns.fault(tlsa.at(one.host.name), "TLSA", fault)
        reply = mta.deliver(address(one)).only
        assert_reply(reply, "451 4.7.5", one.host.name, "dane", "TLSA", "no MX host")
        assert all(host.connections == [] for host in one.hosts)
        line = attempt(mta, one)
        assert (line["policy"], line["result"]) == ("dane", "dnssec-invalid"), line
    for one in (domain, plain):
        assert off.deliver(address(one)).only.short == "250 2.0.0"


def test_expired_signature(net, mta, off):
    """The records lie in a zone whose signatures have run out; another one's have not."""
    domain, valid = net.domain(behaviour=SELF_SIGNED), net.domain(behaviour=SELF_SIGNED)
    net.zones.add(tlsa.at(domain.host.name), "CNAME", "expired.stale.")
    net.zones.add(tlsa.at(valid.host.name), "CNAME", "valid.stale.")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", "TLSA")
    assert attempt(mta, domain)["result"] == "dnssec-invalid"
    assert domain.host.connections == []
    assert_reply(mta.deliver(address(valid)).only, "451 4.7.5", "matches")
    assert attempt(mta, valid)["result"] == "validation-failure"
    assert_nothing_leaked(valid)
    assert off.deliver(address(domain)).only.short == "250 2.0.0"


def test_records_withheld_with_one_address_family(net, mta, off):
    """The attacker lets A pass and drops AAAA: the TLSA records still count."""
    domain = dane_domain(net, STRIPPED, tlsa.wrong("3 1 1"))
    net.dns.fault(domain.host.name, "AAAA", "silence")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4", "dane")
    assert_nothing_leaked(domain)
    assert off.deliver(address(domain)).only.short == "250 2.0.0"


@pytest.mark.parametrize("policy", [None, "enforce"])
def test_nothing_usable(net, mta, policy):
    """G8: TLS with anyone; an MTA-STS demand stands."""
    records = [tlsa.wrong(fields) for fields in UNUSABLE] + ["3 1 1 5a5a"]
    bad = dane_domain(net, SELF_SIGNED, *records, policy=policy)
    good = dane_domain(net, Behaviour(certificate="good"), *records, policy=policy)
    if policy is None:
        assert mta.deliver(address(bad)).only.short == "250 2.0.0"
        assert_arrived(bad, tls=True)
        line = attempt(mta, bad)
        assert (line["policy"], line["tls"], line["result"]) == \
            ("dane", "encrypted", "tlsa-invalid"), line
    else:
        assert_reply(mta.deliver(address(bad)).only, "451 4.7.5", "mta-sts")
        assert_nothing_leaked(bad)
    assert mta.deliver(address(good)).only.short == "250 2.0.0"


def test_without_records_mta_sts_applies(net, mta):
    """G3: proven to be absent."""
    good = net.domain(policy="enforce")
    bad = net.domain(policy="enforce", behaviour=SELF_SIGNED)
    assert mta.deliver(address(good)).only.short == "250 2.0.0"
    assert attempt(mta, good)["policy"] == "sts"
    assert asked(net, good.host)
    assert_reply(mta.deliver(address(bad)).only, "451 4.7.5", "mta-sts")


def test_no_question_about_an_insecure_host(net, mta):
    """G6: nor are records in an unsigned zone believed."""
    domain = net.domain(zone="plain", behaviour=STRIPPED)
    publish(net, domain.host, tlsa.wrong("3 1 1"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert asked(net, domain.host) == []
    assert attempt(mta, domain)["policy"] == "none"


def test_insecure_records_of_a_secure_host(net, mta):
    """G5: the records are an alias of something unsigned."""
    domain = net.domain(behaviour=SELF_SIGNED)
    name = net.fresh_name("plain")
    net.zones.add(name, "TLSA", tlsa.wrong("3 1 1"))
    net.zones.add(tlsa.at(domain.host.name), "CNAME", name + ".")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert attempt(mta, domain)["policy"] == "none"


def test_insecure_mx_answer(net, mta, off):
    """RFC 7672 2.2.1: a secure host behind it is still under DANE."""
    good, bad = dane_domain(net, SELF_SIGNED, "3 1 1"), \
        dane_domain(net, SELF_SIGNED, tlsa.wrong("3 1 1"))
    to_good, to_bad = net.fresh_name("plain"), net.fresh_name("plain")
    for name, domain in ((to_good, good), (to_bad, bad)):
        net.zones.add(name, "MX", f"10 {domain.host.name}.")
    assert mta.deliver("someone@" + to_good).only.short == "250 2.0.0"
    assert good.host.messages
    assert_reply(mta.deliver("someone@" + to_bad).only, "451 4.7.5", "dane")
    assert_nothing_leaked(bad)
    assert off.deliver("someone@" + to_bad).only.short == "250 2.0.0"


def test_names_behind_an_insecure_mx_answer(net, mta):
    """RFC 7672 3.2.2: only the host's own name counts for DANE-TA then."""
    host = dane_domain(net, Behaviour(certificate="own-ca"), "2 0 1")
    other = dane_domain(net, Behaviour(certificate="own-ca-domain-only"), "2 0 1")
    assert mta.deliver(address(other)).only.short == "250 2.0.0"
    for domain, short in ((host, "250 2.0.0"), (other, "451 4.7.5")):
        name = net.fresh_name("plain")
        net.zones.add(name, "MX", f"10 {domain.host.name}.")
        assert mta.deliver("someone@" + name).only.short == short


def cname_mx(net, alias_zone, host):
    """A domain whose MX is an alias of `host`."""
    name = net.fresh_name("example")
    alias = f"alias.{net.fresh_name(alias_zone)}"
    net.zones.add(alias, "CNAME", host.name + ".")
    net.zones.add(name, "MX", f"10 {alias}.")
    return name, alias


def test_alias_with_records_at_its_end(net, mta):
    """G16, D10: and that is the name for SNI."""
    domain = dane_domain(net, SELF_SIGNED, "3 1 1")
    name, alias = cname_mx(net, "example", domain.host)
    net.zones.add(tlsa.at(alias), "TLSA", tlsa.wrong("3 1 1"))
    assert mta.deliver("someone@" + name).only.short == "250 2.0.0"
    assert domain.host.connections[0].sni == domain.host.name


def test_alias_with_records_of_its_own_alone(net, mta):
    """G16: nothing at its end, so the alias is the TLSA base domain."""
    domain = net.domain(behaviour=SELF_SIGNED)
    name, alias = cname_mx(net, "example", domain.host)
    net.zones.add(tlsa.at(alias), "TLSA", tlsa.of(domain.host, "3 1 1"))
    assert mta.deliver("someone@" + name).only.short == "250 2.0.0"
    assert domain.host.connections[0].sni == alias
    (line,) = mta.wait_log("attempt", domain=name)
    assert line["policy"] == "dane"


def test_secure_alias_of_an_insecure_host(net, mta, off):
    """RFC 7672 2.2.3: the alias alone is asked, and what it says holds."""
    domain = net.domain(zone="plain", behaviour=SELF_SIGNED)
    for record, short in ((tlsa.of(domain.host, "3 1 1"), "250 2.0.0"),
                          (tlsa.wrong("3 1 1"), "451 4.7.5")):
        name, alias = cname_mx(net, "example", domain.host)
        net.zones.add(tlsa.at(alias), "TLSA", record)
        assert mta.deliver("someone@" + name).only.short == short
        assert off.deliver("someone@" + name).only.short == "250 2.0.0"
    assert asked(net, domain.host) == []


def test_insecure_alias(net, mta):
    domain = dane_domain(net, STRIPPED, tlsa.wrong("3 1 1"))
    name, alias = cname_mx(net, "plain", domain.host)
    assert mta.deliver("someone@" + name).only.short == "250 2.0.0"
    assert net.dns.queries(tlsa.at(alias)) == []


@pytest.mark.parametrize("proven", [True, False])
def test_implicit_mx(net, mta, proven):
    """G18: an authenticated NODATA leads to the domain itself."""
    name = net.fresh_name()
    host = net.mx_host(name, SELF_SIGNED)
    net.zones.add(name, "A", host.address)
    publish(net, host, "3 1 1" if proven else tlsa.wrong("3 1 1"))
    assert mta.deliver("someone@" + name).only.short == ("250 2.0.0" if proven else "451 4.7.5")
    assert bool(host.messages) == proven


def test_hosts_by_different_policies(net, mta):
    """G14: DANE at one host and MTA-STS at the next; both have to hold."""
    domain = net.domain(policy="enforce", mx=[Mx(10, SELF_SIGNED), Mx(20)])
    publish(net, domain.hosts[0], "3 1 1")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert attempt(mta, domain)["policy"] == "dane"
    domain = net.domain(policy="enforce", mx=[Mx(10, SELF_SIGNED), Mx(20)])
    publish(net, domain.hosts[0], tlsa.wrong("3 1 1"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert [line["policy"] for line in mta.wait_log("attempt", domain=domain.name)] == \
        ["dane", "sts"]
    assert domain.hosts[0].leaked() == ([], 0) and len(domain.hosts[1].messages) == 1


def test_one_host_unknown_does_not_block_the_other(net, mta):
    """G15, G20."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    net.dns.fault(tlsa.at(domain.hosts[0].name), "TLSA", "servfail")
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[1].name)
    assert domain.hosts[0].connections == []
    both = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    net.dns.fault("*." + both.name, "TLSA", "servfail")
    assert_reply(mta.deliver(address(both)).only, "451 4.7.5", "dane")
    assert all(host.connections == [] for host in both.hosts)


def test_dane_holds_and_mta_sts_does_not(net, mta):
    """G12, G13: delivered, and the failure of the policy is in the log."""
    unlisted = dane_domain(net, SELF_SIGNED, "3 1 1", policy="enforce",
                           patterns=["other.example"])
    listed = dane_domain(net, SELF_SIGNED, "3 1 1", policy="enforce")
    for domain, failure in ((unlisted, "mtasts-policy-mx-mismatch"),
                            (listed, "certificate-not-trusted")):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
        line = attempt(mta, domain)
        assert (line["policy"], line["tls"], line["result"]) == ("dane", "verified", "ok")
        assert "sts" in line["reply"], line
        assert failure in line["reply"] or "X509" in line["reply"], line


def test_dane_fails_and_mta_sts_holds(net, mta, off):
    """G11: MTA-STS never rescues it."""
    domain = dane_domain(net, Behaviour(certificate="good"), tlsa.wrong("3 1 1"),
                         policy="enforce")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", "dane")
    assert_nothing_leaked(domain)
    assert off.deliver(address(domain)).only.short == "250 2.0.0"
    assert off.wait_log("attempt", domain=domain.name)[0]["policy"] == "sts"


def test_audit_leaves_the_host_to_mta_sts(net, auditing):
    domain = dane_domain(net, SELF_SIGNED, "3 1 1", policy="enforce")
    assert_reply(auditing.deliver(address(domain)).only, "451 4.7.5", "mta-sts")
    assert_nothing_leaked(domain)
    domain = dane_domain(net, Behaviour(certificate="good"), tlsa.wrong("3 1 1"),
                         policy="enforce")
    assert auditing.deliver(address(domain)).only.short == "250 2.0.0"
    line = attempt(auditing, domain)
    assert (line["policy"], line["result"]) == ("sts", "ok")
    assert "DANE_NO_MATCH" in line["reply"], line


def test_audit_with_a_look_up_that_fails(net, auditing):
    domain = dane_domain(net, STRIPPED, "3 1 1")
    net.dns.fault(tlsa.at(domain.host.name), "TLSA", "servfail")
    assert auditing.deliver(address(domain)).only.short == "250 2.0.0"


def test_records_removed_and_a_policy_cached(net, mta):
    """G24."""
    domain = net.domain(policy="enforce", behaviour=SELF_SIGNED)
    publish(net, domain.host, "3 1 1", ttl=1)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    net.zones.remove(tlsa.at(domain.host.name))
    wait_until(lambda: mta.deliver(address(domain)).only.short == "451 4.7.5", 30,
               "MTA-STS speaking again")


def test_a_kept_connection_is_matched_anew(net, mta):
    """D15: the records change while it waits."""
    domain = net.domain(behaviour=SELF_SIGNED)
    publish(net, domain.host, "3 1 1", ttl=1)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    publish(net, domain.host, tlsa.wrong("3 1 1"), ttl=1)
    wait_until(lambda: mta.deliver(address(domain)).only.short == "451 4.7.5", 30, "a mismatch")
    count = len(domain.host.messages)
    assert mta.deliver(address(domain)).only.short == "451 4.7.5"
    assert len(domain.host.messages) == count


@pytest.mark.parametrize("keep", ["0s", "15s"])
def test_two_domains_on_one_host(net, start, keep):
    """G23: one demands DANE, the other nothing; they share no connection or session."""
    careful = dane_domain(net, SELF_SIGNED, tlsa.wrong("3 1 1"))
    careless = net.fresh_name()
    net.zones.add(careless, "MX", f"10 {careful.host.name}.")
    mta = start({("destination", careless): {"tls": "may"}, "smtp": {"keep-idle": keep}})
    for _ in range(3):
        assert mta.deliver("someone@" + careless).only.short == "250 2.0.0"
        assert_reply(mta.deliver(address(careful)).only, "451 4.7.5", "dane")
    assert len(careful.host.messages) == 3
    assert not any(careful.name + ">" in line.text for line in careful.host.lines
                   if careless not in line.text)
    result = mta.deliver(["someone@" + careless, address(careful)])
    assert [reply.short for reply in result.final] == ["250 2.0.0", "451 4.7.5"]


def test_sessions_are_resumed_under_dane(net, start):
    """A self-signed host, which no authority vouches for."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    domain = dane_domain(net, SELF_SIGNED, "3 1 1")
    for _ in range(3):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert any(connection.resumed for connection in domain.host.connections)
    assert {line["tls"] for line in mta.log("attempt", domain=domain.name)} == {"verified"}


def test_destination_dane(net, start):
    """G21: only a secure MX answer and secure usable records will do."""
    good = dane_domain(net, SELF_SIGNED, "3 1 1")
    none = net.domain(policy="enforce")
    unusable = dane_domain(net, Behaviour(certificate="good"), tlsa.wrong("1 1 1"))
    unknown = dane_domain(net, Behaviour(certificate="good"), "3 1 1")
    behind = net.fresh_name("plain")
    net.zones.add(behind, "MX", f"10 {good.host.name}.")
    net.dns.fault(tlsa.at(unknown.host.name), "TLSA", "servfail")
    mta = start({("destination", "example"): {"tls": "dane"}, "dane": {"enforce": "off"},
                 ("destination", "*.example"): {"tls": "dane"},
                 ("destination", "*.plain"): {"tls": "dane"}})
    assert mta.deliver(address(good)).only.short == "250 2.0.0"
    for domain in (none, unusable):
        assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", "dane", domain.host.name)
        assert attempt(mta, domain)["result"] == "dane-required"
        assert domain.host.connections == []
    assert_reply(mta.deliver("someone@" + behind).only, "451 4.7.5", "DNSSEC-secure")
    assert_reply(mta.deliver(address(unknown)).only, "451 4.7.5")
    assert attempt(mta, unknown)["result"] == "dnssec-invalid"
    assert net.dns.queries("_mta-sts." + none.name) == [], "no policy is asked for"


def test_destination_dane_uses_the_host_that_has_records(net, start):
    domain = net.domain(mx=[Mx(10), Mx(20, SELF_SIGNED)])
    publish(net, domain.hosts[1], "3 1 1")
    mta = start({("destination", domain.name): {"tls": "dane"}})
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[1].name)
    assert domain.hosts[0].connections == []


@pytest.mark.parametrize("tls,short", [("may", "250 2.0.0"), ("encrypt", "250 2.0.0"),
                                       ("audit", "250 2.0.0"), ("policy", "451 4.7.5")])
def test_destination_and_dane(net, start, tls, short):
    domain = dane_domain(net, SELF_SIGNED, tlsa.wrong("3 1 1"))
    mta = start({("destination", domain.name): {"tls": tls}})
    assert mta.deliver(address(domain)).only.short == short
    assert bool(asked(net, domain.host)) == (tls in ("audit", "policy"))


def test_the_port_of_a_relay(net, start):
    """_PORT._tcp, and the relay's name for DANE-TA."""
    name = net.fresh_name()
    host = net.mx_host(name, SELF_SIGNED, port=2626)
    net.zones.add(name, "A", host.address)
    net.zones.add(tlsa.at(name, 2626), "TLSA", tlsa.of(host, "3 1 1"))
    net.zones.add(tlsa.at(name), "TLSA", tlsa.wrong("3 1 1"))
    mta = start({("destination", "relayed.example"): {"relay": name + ":2626", "tls": "dane"}})
    assert mta.deliver("someone@relayed.example").only.short == "250 2.0.0"
    assert host.messages[0].tls


def test_a_resolver_that_cannot_validate(net, start):
    """G25: a trust anchor that is not the root's. Nothing is delivered, and it is said loudly."""
    anchor = net.directory / "wrong.key"
    with open(net.zones.trust_anchor, encoding="ascii") as good:
        words = good.read().split()
    key = words[-1] if len(words[-1]) > 40 else "".join(words[-2:])
    anchor.write_text(" ".join(words[:-1] + [key[:20] + ("A" if key[20] != "A" else "B")
                                             + key[21:]]) + "\n", encoding="ascii")
    mta = start({"dns": {"trust-anchor": [str(anchor)]}})
    assert mta.wait_log("alarm", seconds=30, level="error", alarm="resolver"), mta.log_text()
    domain = dane_domain(net, STRIPPED, tlsa.wrong("3 1 1"))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", "by no fault of " + domain.name,
                 "dns.trust-anchor")
    assert_nothing_leaked(domain)
    stats = json.loads(mta.ask("stats", "--json").stdout)
    assert [key for key, value in stats.items() if "resolver_health" in key and value == 1
            and "broken" in key], stats


def test_policy_shows_the_records(net, mta):
    """`stsgate policy`."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20), Mx(30)])
    publish(net, domain.hosts[0], "3 1 1", tlsa.wrong("1 1 1"))
    net.dns.fault(tlsa.at(domain.hosts[2].name), "TLSA", "servfail")
    answer = json.loads(mta.ask("policy", "--json", domain.name).stdout)
    by_name = {host["name"]: host for host in answer["hosts"]}
    first, second, third = (by_name[host.name] for host in domain.hosts)
    assert (first["policy"], first["dnssec"], first["use"]) == ("dane", "secure", True)
    assert sorted(record.lower() for record in first["tlsa"]) == \
        sorted([tlsa.of(domain.hosts[0], "3 1 1"), tlsa.wrong("1 1 1")])
    assert (second["policy"], second["tlsa"], second["mx_match"]) == ("sts", [], True)
    assert third["use"] is False and "TLSA" in third["reason"] and "tlsa" not in third
    text = mta.ask("policy", domain.name).stdout
    assert tlsa.of(domain.hosts[0], "3 1 1").upper() in text.upper()


def test_check_shows_the_match(net, mta):
    """`stsgate check`: verified by DANE alone, then not at all."""
    good = dane_domain(net, SELF_SIGNED, "3 1 1")
    bad = dane_domain(net, SELF_SIGNED, tlsa.wrong("3 1 1"))
    for domain, verified in ((good, True), (bad, False)):
        done = mta.ask("check", "--json", domain.name)
        answer = json.loads(done.stdout)
        assert done.returncode == (0 if verified else 1), answer
        assert answer["verified"] is verified
        steps = {(step["step"], step.get("host")): step for step in answer["steps"]}
        assert "secure" in steps["address", domain.host.name]["detail"]
        assert "3 1 1" in steps["tlsa", domain.host.name]["detail"]
        assert steps["dane", domain.host.name]["ok"] is verified
