# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""All demands against all hosts: DANE, MTA-STS, destination and wish, on connections that are kept.

The expected reply is worked out here from what the contract says, and not from
how stsgated does it.  Each test takes a sample of the combinations that is the
same at each run.
"""

import random
from dataclasses import dataclass

import pytest
from stslab import tlsa
from stslab.mx import Behaviour

PLAIN = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "SIZE 0")
HOSTS = {
    "good": Behaviour(extensions_after_tls=PLAIN + ("REQUIRETLS",)),
    "no REQUIRETLS": Behaviour(extensions=PLAIN),
    "self-signed": Behaviour(certificate="self-signed",
                             extensions_after_tls=PLAIN + ("REQUIRETLS",)),
    "no TLS": Behaviour(offer_starttls=False, starttls=None),
}
RECORDS = ("none", "match", "wrong", "unusable", "failed")
POLICIES = ("none", "testing", "enforce", "unlisted")
WISHES = {"none": ("", b""), "no": ("", b"TLS-Required: No\r\n"), "requiretls": (" REQUIRETLS", b"")}
SAMPLE = 24


@dataclass(frozen=True)
class Site:
    """What a domain with one MX host publishes, and what that host is like."""

    host: str
    records: str
    policy: str
    secure: bool    # the MX answer is DNSSEC-secure; the host's own answers always are


@dataclass(frozen=True)
class Rules:
    """What the administrator says."""

    tls: str = "policy"
    dane: str = "on"
    sts: str = "on"

    def settings(self):
        return {"dane": {"enforce": self.dane}, "sts": {"enforce": self.sts},
                "smtp": {"host-retry": "1s"}, ("destination", "."): {"tls": self.tls}}


RULES = [Rules(tls) for tls in ("policy", "may", "encrypt", "verify", "dane", "audit")] + \
    [Rules(dane="audit"), Rules(dane="off"), Rules(sts="audit"), Rules(sts="off"),
     Rules(dane="off", tls="dane"), Rules(dane="audit", sts="audit")]


def left_out(site, rules, wish, dane, sts):
    """Whether the host is not even tried; None, or the replies that say so."""
    final = {"550 5.7.10"} if wish == "requiretls" else {"451 4.7.5"}
    usable = site.records in ("match", "wrong")
    listed = site.policy == "enforce" and rules.tls in ("policy", "audit") and rules.sts != "off"
    if dane and site.records == "failed":
        return {"451 4.7.5"}
    if rules.tls == "dane" and not (usable and site.secure):
        return final
    if rules.tls == "verify" and not site.secure:
        return final
    if sts and site.policy == "unlisted" and not (dane and usable and site.secure):
        return final
    if wish == "requiretls" and not (site.secure or listed):
        return final
    return None


def proof_asked(site, rules, wish, dane, sts):
    """None, "TLS", "PKIX", "TLSA" or "any": what the host must prove."""
    asked = None
    if dane and site.records in ("match", "wrong"):
        asked = "TLSA"
    elif (sts and site.policy == "enforce") or rules.tls == "verify":
        asked = "PKIX"
    elif (dane and site.records == "unusable") or rules.tls == "encrypt":
        asked = "TLS"
    if wish == "requiretls" and asked in (None, "TLS"):
        asked = "any"
    return asked


def expected(site, rules, wish):
    """The replies that may come."""
    lowered = wish == "no" or rules.tls != "policy"
    dane = rules.tls == "dane" or (rules.dane == "on" and not lowered)
    sts = rules.sts == "on" and not lowered
    out = left_out(site, rules, wish, dane, sts)
    if out:
        return out
    asked = proof_asked(site, rules, wish, dane, sts)
    if asked and site.host == "no TLS":
        return {"550 5.7.10"} if wish == "requiretls" else {"451 4.7.4"}
    pkix = site.host in ("good", "no REQUIRETLS")
    looked_at = dane or (rules.tls in ("policy", "audit") and rules.dane != "off")
    match = site.records == "match"
    met = {None: True, "TLS": True, "PKIX": pkix, "TLSA": match,
           "any": pkix or (match and looked_at)}[asked]
    if not met:
        return {"550 5.7.10"} if wish == "requiretls" else {"451 4.7.5"}
    if wish == "requiretls" and site.host == "no REQUIRETLS":
        return {"550 5.7.30"}
    return {"250 2.0.0"}


def publish(net, site):
    """A domain like that; its host and the host's records are in a signed zone."""
    provider = net.domain(behaviour=HOSTS[site.host])
    domain = net.domain(zone="example" if site.secure else "plain", mx=[],
                        policy={"none": None, "unlisted": "enforce"}.get(site.policy, site.policy),
                        patterns=["mx.elsewhere.example" if site.policy == "unlisted"
                                  else provider.host.name])
    domain.hosts = provider.hosts
    net.zones.add(domain.name, "MX", f"10 {domain.host.name}.")
    record = {"none": None, "match": tlsa.of(domain.host, "3 1 1"),
              "unusable": tlsa.wrong("1 1 1")}.get(site.records, tlsa.wrong("3 1 1"))
    if record:
        net.zones.add(tlsa.at(domain.host.name), "TLSA", record)
    return domain


@pytest.fixture(scope="module")
def sites(net):
    """Every kind of domain, published when it is first asked for."""
    made = {}

    def get(site):
        if site not in made:
            made[site] = publish(net, site)
        if site.records == "failed":    # faults end with each test
            net.dns.fault(tlsa.at(made[site].host.name), "TLSA", "servfail")
        return made[site]

    yield get
    for domain in made.values():
        domain.host.stop()


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_each_demand_is_met_or_nothing_goes(sites, start, rules):
    every = [Site(host, records, policy, secure) for host in HOSTS for records in RECORDS
             for policy in POLICIES for secure in (True, False)
             if (host, records) != ("no TLS", "match")]
    mta, chance = start(rules.settings()), random.Random(str(rules))
    for site in chance.sample(every, SAMPLE):
        domain = sites(site)
        for wish in chance.sample(sorted(WISHES), len(WISHES)):
            parameter, header = WISHES[wish]
            had = len(domain.messages())
            reply = mta.deliver(f"{wish}@{domain.name}", parameters=parameter,
                                content=header + b"Subject: one\r\n\r\nGood day.\r\n").only
            assert reply.short in expected(site, rules, wish), (site, wish, str(reply))
            assert len(domain.messages()) - had == (reply.code == 250), (site, wish)
