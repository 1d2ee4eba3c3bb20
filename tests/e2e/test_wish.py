# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The sender's wish (RFC 8689): REQUIRETLS on MAIL, and the header field TLS-Required: No."""

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wire_text
from stslab import programs, tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Reset, Silence

REQUIRETLS = {"parameters": " REQUIRETLS"}
NO = {"content": b"From: sender@out.example\r\nTLS-Required: No\r\nSubject: hello\r\n\r\nHi.\r\n"}
EXTENSIONS = Behaviour.extensions
OFFERS = (*EXTENSIONS, "REQUIRETLS")


def able(**changes):
    """A host that offers REQUIRETLS."""
    return Behaviour(extensions=OFFERS, **changes)


STRIPPED = able(offer_starttls=False, starttls=None)


def assert_required(domain, times=1):
    """Every message came in TLS, and every MAIL with the parameter."""
    assert_arrived(domain, times=times, tls=True)
    mails = [(line.text, line.tls) for host in domain.hosts for line in host.lines
             if line.verb == "MAIL"]
    assert len(mails) == times, mails
    assert all(text.split(" ")[-1] == "REQUIRETLS" and tls for text, tls in mails), mails


def assert_not_required(domain):
    assert not [text for _, text, _ in wire_text(domain) if "REQUIRETLS" in text]


def logged(mta, domain, event="delivery"):
    return mta.wait_log(event, domain=domain.name)[-1]


def test_the_parameter_itself(net, mta):
    domain = net.domain(behaviour=able())
    for parameters, short in ((" REQUIRETLS=yes", "501 5.5.4"), (" REQUIRETLS=", "501 5.5.4"),
                              (" REQUIRETLS requiretls", "501 5.5.4")):
        result = mta.deliver(address(domain), parameters=parameters)
        assert_reply(result.mail, short)
    assert domain.hosts[0].connections == []
    assert mta.deliver(address(domain), parameters=" SIZE=100 requiretls").only.code == 250
    assert_required(domain)


def test_an_mx_name_that_dnssec_vouches_for(net, mta):
    domain = net.domain(behaviour=able())
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "250 2.0.0")
    assert_required(domain)
    for event in ("attempt", "delivery"):
        line = logged(mta, domain, event)
        assert (line["wish"], line["tls"], line["policy"]) == ("requiretls", "verified", "none")


def test_who_did_not_ask_does_not_pass_it_on(net, mta):
    domain = net.domain(behaviour=able())
    assert mta.deliver(address(domain)).only.code == 250
    assert mta.deliver(address(domain), **NO).only.code == 250
    assert_not_required(domain)
    wishes = [line["wish"] for line in mta.wait_log("delivery", domain=domain.name)]
    assert wishes == ["none", "no"]


@pytest.mark.parametrize("policy,patterns,short", [
    ("enforce", None, "250 2.0.0"), ("testing", None, "550 5.7.10"), ("none", None, "550 5.7.10"),
    (None, None, "550 5.7.10"), ("enforce", ["elsewhere.example"], "550 5.7.10")])
def test_an_insecure_mx_name_needs_an_enforced_policy(net, mta, policy, patterns, short):
    domain = net.domain(zone="plain", policy=policy, patterns=patterns, behaviour=able())
    reply = mta.deliver(address(domain), **REQUIRETLS).only
    assert_reply(reply, short)
    if short.startswith("250"):
        assert_required(domain)
    else:
        assert "REQUIRETLS" in reply.text
        assert_nothing_leaked(domain)
        assert logged(mta, domain)["status"] == "bounced"


def test_the_same_hosts_without_the_wish(net, mta):
    """What the refusals above refuse would have been taken."""
    for policy in ("testing", None):
        domain = net.domain(zone="plain", policy=policy, behaviour=able())
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
        assert_arrived(domain, tls=True)


NOT_OFFERED = Behaviour()
FORGED = Behaviour(extensions=OFFERS, extensions_after_tls=EXTENSIONS)


@pytest.mark.parametrize("behaviour,short", [
    (NOT_OFFERED, "550 5.7.30"),
    (FORGED, "550 5.7.30"),     # offered where anybody may have said it
    (STRIPPED, "550 5.7.10"),
    (able(starttls="502 5.5.1 No"), "550 5.7.10"),
    (able(starttls="454 4.7.0 Not now"), "451 4.7.4"),
    (able(certificate="self-signed"), "550 5.7.10"),
    (able(certificate="expired"), "550 5.7.10"),
    (able(certificate_for="other.example"), "550 5.7.10"),
    (able(maximum_tls="TLSv1.1"), "550 5.7.10"),
    (able(handshake=Reset()), "451 4.7.5"),
    (able(greeting="421 4.3.2 Busy"), "451 4.4.0"),
    (able(greeting=Drop()), "451 4.4.2"),
    (able(mail="550 5.7.1 Not you"), "550 5.7.1"),
], ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("policy", ["enforce", None])
def test_a_host_that_falls_short(net, mta, policy, behaviour, short):
    """H16. An enforced policy that is unmet is no other case."""
    domain = net.domain(policy=policy, behaviour=behaviour)
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, short, domain.host.name)
    assert domain.messages() == []
    if short != "550 5.7.1":
        assert_nothing_leaked(domain)


@pytest.mark.parametrize("first,second,short", [
    (NOT_OFFERED, able(), "250 2.0.0"), (STRIPPED, able(), "250 2.0.0"),
    (NOT_OFFERED, STRIPPED, "550 5.7.30"), (STRIPPED, NOT_OFFERED, "550 5.7.30"),
    (STRIPPED, STRIPPED, "550 5.7.10"), (NOT_OFFERED, NOT_OFFERED, "550 5.7.30"),
    (NOT_OFFERED, None, "451 4.4.1"), (STRIPPED, None, "451 4.4.1"),
    (able(greeting="450 4.3.2 Later"), STRIPPED, "451 4.4.0")])
def test_a_no_for_good_takes_every_host(net, mta, first, second, short):
    domain = net.domain(mx=[Mx(10, first), Mx(20, second, down=second is None)])
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, short)
    if short.startswith("250"):
        assert_required(domain)
    else:
        assert_nothing_leaked(domain)
        assert all(host.connections for host, behaviour in zip(domain.hosts, (first, second))
                   if behaviour is not None), "a host was not tried"


@pytest.mark.parametrize("fault,short", [("servfail", "451 4.4.3"), ("stripped", "451 4.7.5")])
def test_a_host_whose_address_is_unknown_may_pass(net, start, fault, short):
    mta = start()
    domain = net.domain(mx=[Mx(10, NOT_OFFERED), Mx(20, able())])
    for record in ("A", "AAAA"):
        net.dns.fault(domain.hosts[1].name, record, fault)
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, short, domain.hosts[1].name)
    assert domain.host.connections, "the other was not tried"
    assert_nothing_leaked(domain)
    net.dns.heal()
    mta.restart()
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "250 2.0.0",
                 domain.hosts[1].name)
    assert_required(domain)


@pytest.mark.parametrize("fault,short", [("servfail", "451 4.4.3"), ("nxdomain", "451 4.1.2")])
def test_forged_dns_bounces_nothing(net, start, fault, short):
    """The domain that does not exist is only final when DNSSEC proves it."""
    mta = start()
    domain = net.domain(zone="plain", behaviour=able())
    net.dns.fault(domain.name, "MX", fault)
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, short)
    gone = net.fresh_name()
    assert_reply(mta.deliver("someone@" + gone, **REQUIRETLS).only, "550 5.1.2")
    assert_reply(mta.deliver("someone@" + net.fresh_name("plain"), **REQUIRETLS).only,
                 "451 4.1.2", "REQUIRETLS")


def test_a_policy_that_cannot_be_fetched_may_pass(net, mta):
    domain = net.domain(zone="plain", policy="enforce", behaviour=able())
    domain.site.status = 503
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "451 4.7.5", domain.name)
    assert_nothing_leaked(domain)


def test_an_address_literal_has_no_name(net, mta):
    host = net.mx_host("literal.example", able())
    reply = mta.deliver(f"someone@[{host.address}]", **REQUIRETLS).only
    assert_reply(reply, "550 5.7.10", host.address)
    assert host.connections == []
    assert mta.deliver(f"someone@[{host.address}]").only.short == "250 2.0.0"


@pytest.mark.parametrize("settings", [
    {"sts": {"enforce": "off"}}, {"sts": {"enforce": "audit"}}, {"dane": {"enforce": "off"}}],
    ids=["sts off", "sts audit", "dane off"])
def test_the_wish_stands_by_itself(net, start, settings):
    mta = start(settings)
    good, bad, stripped = (net.domain(policy="enforce", behaviour=behaviour) for behaviour in
                           (able(), able(certificate="self-signed"), STRIPPED))
    assert_reply(mta.deliver(address(good), **REQUIRETLS).only, "250 2.0.0")
    assert_required(good)
    for domain in (bad, stripped):
        assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "550 5.7.10")
        assert_nothing_leaked(domain)


@pytest.mark.parametrize("tls", ["may", "encrypt", "verify", "audit"])
def test_the_wish_and_a_destination(net, start, tls):
    good, bad, insecure = (net.domain(behaviour=able()),
                           net.domain(behaviour=able(certificate="self-signed")),
                           net.domain(zone="plain", behaviour=able()))
    mta = start({("destination", domain.name): {"tls": tls} for domain in (good, bad, insecure)})
    assert_reply(mta.deliver(address(good), **REQUIRETLS).only, "250 2.0.0")
    assert_required(good)
    for domain in (bad, insecure):
        assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "550 5.7.10")
        assert_nothing_leaked(domain)


def test_a_relay_is_the_administrators_word(net, start):
    relay = net.domain(zone="plain", behaviour=able())
    names = [net.fresh_name("plain") for _ in range(2)]
    mta = start({("destination", names[0]): {"relay": relay.host.name},
                 ("destination", names[1]): {"relay": f"[{relay.host.address}]"}})
    assert_reply(mta.deliver("someone@" + names[0], **REQUIRETLS).only, "250 2.0.0")
    assert_required(relay)
    assert_reply(mta.deliver("someone@" + names[1], **REQUIRETLS).only, "550 5.7.10")
    assert_arrived(relay, times=1)


def test_kept_connections(net, mta):
    """The host that lacks it is known to lack it; one that has it is asked on."""
    lacks, has = net.domain(policy="enforce"), net.domain(policy="enforce", behaviour=able())
    for domain, short in ((lacks, "550 5.7.30"), (has, "250 2.0.0")):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
        assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, short)
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
        assert len(domain.host.connections) == 1
    assert_arrived(lacks, times=2, tls=True)
    assert_not_required(lacks)
    mails = [line.text for line in has.host.lines if line.verb == "MAIL"]
    assert ["REQUIRETLS" in mail for mail in mails] == [False, True, False]


def test_a_kept_connection_of_no_worth(net, mta):
    """One that was kept for messages without a wish has a certificate that nobody verified."""
    domain = net.domain(behaviour=able(certificate="self-signed"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "550 5.7.10")
    assert_arrived(domain, times=1)
    assert_not_required(domain)


def test_a_bounce(net, mta):
    """RFC 8689 5: not lost because the host lacks the extension; protected all the same."""
    lacks, plain = net.domain(), net.domain(behaviour=STRIPPED)
    assert mta.deliver(address(lacks), sender="", **REQUIRETLS).only.short == "250 2.0.0"
    assert_arrived(lacks, tls=True)
    assert_not_required(lacks)
    assert_reply(mta.deliver(address(plain), sender="", **REQUIRETLS).only, "550 5.7.10")
    assert_nothing_leaked(plain)


def test_each_domain_by_itself(net, mta):
    """One transaction, three domains, three fates."""
    domains = [net.domain(behaviour=behaviour) for behaviour in (able(), NOT_OFFERED, STRIPPED)]
    result = mta.deliver([address(domain) for domain in domains], **REQUIRETLS)
    assert [reply.short for reply in result.final] == ["250 2.0.0", "550 5.7.30", "550 5.7.10"]
    assert_required(domains[0])
    for domain in domains[1:]:
        assert_nothing_leaked(domain)


def test_through_stsgate_deliver(net, mta):
    domain = net.domain(behaviour=able())
    dialogue = (f"LHLO x\r\nMAIL FROM:<s@out.example> REQUIRETLS\r\n"
                f"RCPT TO:<{address(domain)}>\r\nDATA\r\nSubject: x\r\n\r\nHi.\r\n.\r\nQUIT\r\n")
    done = programs.run("stsgate-deliver", "-s", mta.lmtp, "--lmtp", stdin=dialogue.encode())
    assert "REQUIRETLS" in done.stdout and "\n250 2.0.0 " in done.stdout, done.stdout
    assert_required(domain)


# TLS-Required: No

@pytest.mark.parametrize("behaviour,tls", [
    (Behaviour(offer_starttls=False, starttls=None), False),
    (Behaviour(starttls="454 4.7.0 Not now"), False),
    (Behaviour(handshake=b"this is not TLS\r\n"), False),
    (Behaviour(certificate="self-signed"), True), (Behaviour(certificate="expired"), True),
    (Behaviour(certificate_for="other.example"), True), (Behaviour(maximum_tls="TLSv1.1"), True),
    (Behaviour(), True)],
    ids=["not offered", "454", "no TLS", "self-signed", "expired", "name", "TLS 1.1", "good"])
def test_no_lowers_an_enforced_policy(net, mta, behaviour, tls):
    """H17. Without the header the same host gets nothing, unless it is good."""
    domain = net.domain(policy="enforce", behaviour=behaviour)
    if behaviour != Behaviour():
        assert mta.deliver(address(domain)).only.code == 451
        assert_nothing_leaked(domain)
    assert mta.deliver(address(domain), **NO).only.short == "250 2.0.0"
    assert_arrived(domain, tls=tls)
    line = logged(mta, domain)
    assert (line["wish"], line["policy"], line["status"]) == ("no", "sts", "sent")


def test_no_and_hosts_that_are_not_listed(net, mta):
    domain = net.domain(policy="enforce", patterns=["elsewhere.example"])
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)
    assert mta.deliver(address(domain), **NO).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


@pytest.mark.parametrize("content,short", [
    (b"tls-required:\r\n NO\r\n\r\nHi.\r\n", "250 2.0.0"),
    (b"TLS-Required: Yes\r\n\r\nHi.\r\n", "451 4.7.4"),
    (b"TLS-Required: No\r\nTLS-Required: No\r\n\r\nHi.\r\n", "451 4.7.4"),
    (b"TLS-Required: No\r\nTLS-Required: Yes\r\n\r\nHi.\r\n", "451 4.7.4"),
    (b"Subject: x\r\n TLS-Required: No\r\n\r\nHi.\r\n", "451 4.7.4"),
    (b"Subject: x\r\n\r\nTLS-Required: No\r\n", "451 4.7.4"),
    (b"\r\nTLS-Required: No\r\n", "451 4.7.4")],
    ids=["folded", "yes", "twice", "both", "continued", "body", "no header"])
def test_what_counts_as_the_header(net, mta, content, short):
    domain = net.domain(policy="enforce",
                        behaviour=Behaviour(offer_starttls=False, starttls=None))
    assert mta.deliver(address(domain), content=content).only.short == short
    if short.startswith("4"):
        assert_nothing_leaked(domain)
    else:
        assert domain.messages()[0].content == content, "it is passed on as it came"


@pytest.mark.parametrize("fault", ["servfail", "stripped"])
def test_no_does_not_wait_for_a_policy_that_is_unknown(net, start, fault):
    mta = start()
    domain = net.domain(policy="enforce", behaviour=Behaviour(certificate="self-signed"))
    net.dns.fault("_mta-sts." + domain.name, "TXT", fault)
    assert mta.deliver(address(domain)).only.code == 451
    assert_nothing_leaked(domain)
    assert mta.deliver(address(domain), **NO).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


def test_no_and_a_bogus_mx(net, start):
    mta = start()
    domain = net.domain()
    net.dns.fault(domain.name, "MX", "stripped")
    assert_reply(mta.deliver(address(domain), **NO).only, "451 4.7.5")
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("tls,short", [("encrypt", "451 4.7.4"), ("verify", "451 4.7.4"),
                                       ("may", "250 2.0.0"), ("audit", "250 2.0.0")])
def test_no_never_lowers_a_destination(net, start, tls, short):
    domain = net.domain(policy="enforce",
                        behaviour=Behaviour(offer_starttls=False, starttls=None))
    mta = start({("destination", domain.name): {"tls": tls}})
    assert mta.deliver(address(domain), **NO).only.short == short
    if short.startswith("4"):
        assert_nothing_leaked(domain)
    else:
        assert_arrived(domain, tls=False)


def test_ignored_by_configuration(net, start):
    mta = start({"smtp": {"tls-required-no": "ignore"}})
    domain = net.domain(policy="enforce",
                        behaviour=Behaviour(offer_starttls=False, starttls=None))
    assert_reply(mta.deliver(address(domain), **NO).only, "451 4.7.4")
    assert_nothing_leaked(domain)
    assert logged(mta, domain)["wish"] == "none"


def test_requiretls_wins(net, mta):
    domain = net.domain(behaviour=STRIPPED)
    assert_reply(mta.deliver(address(domain), **REQUIRETLS, **NO).only, "550 5.7.10")
    assert_nothing_leaked(domain)
    assert logged(mta, domain)["wish"] == "requiretls"


def test_no_is_not_answered_by_plaintext_after_a_time_out(net, start):
    mta = start({"smtp": {"command-timeout": "2s"}})
    domain = net.domain(policy="enforce", behaviour=Behaviour(handshake=Silence()))
    assert_reply(mta.deliver(address(domain), **NO).only, "451 4.4.2")
    assert_nothing_leaked(domain)


# DANE

def dane(net, behaviour, record="3 1 1", match=True, **options):
    """A domain whose first host has a TLSA record."""
    domain = net.domain(behaviour=behaviour, **options)
    data = tlsa.of(domain.host, record) if match else tlsa.wrong(record)
    net.zones.add(tlsa.at(domain.host.name), "TLSA", data)
    return domain


def test_a_match_is_a_verified_certificate(net, mta):
    """RFC 8689 4.2.1: by a trust chain, or by DANE."""
    domain = dane(net, able(certificate="self-signed"))
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "250 2.0.0")
    assert_required(domain)
    line = logged(mta, domain)
    assert (line["wish"], line["tls"], line["policy"]) == ("requiretls", "verified", "dane")


@pytest.mark.parametrize("certificate", ["good", "self-signed"])
def test_no_match_is_none_whatever_the_chain(net, mta, certificate):
    domain = dane(net, able(certificate=certificate), match=False)
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "550 5.7.10", "TLSA")
    assert_nothing_leaked(domain)
    assert mta.wait_log("attempt", domain=domain.name)[0]["tls"] == "encrypted"


def test_a_match_does_not_vouch_for_the_mx_name(net, mta):
    """The MX answer is insecure, and points into a signed zone (RFC 7672 2.2.1)."""
    domain, name = dane(net, able()), net.fresh_name("plain")
    net.zones.add(name, "MX", f"10 {domain.host.name}.")
    assert mta.deliver("someone@" + name).only.short == "250 2.0.0"
    assert_reply(mta.deliver("someone@" + name, **REQUIRETLS).only, "550 5.7.10", "neither a DNSSEC-secure MX answer")
    assert_arrived(domain, times=1)
    assert_not_required(domain)


def test_a_tlsa_look_up_that_fails_may_pass(net, start):
    mta = start()
    domain = dane(net, able())
    net.dns.fault(tlsa.at(domain.host.name), "TLSA", "servfail")
    assert_reply(mta.deliver(address(domain), **REQUIRETLS).only, "451 4.7.5")
    assert_nothing_leaked(domain)
    assert mta.deliver(address(domain), **NO).only.short == "250 2.0.0", "No waits for none"


def test_dane_off_leaves_the_chain(net, start):
    mta = start({"dane": {"enforce": "off"}})
    good, bad = dane(net, able(), match=False), dane(net, able(certificate="self-signed"))
    assert_reply(mta.deliver(address(good), **REQUIRETLS).only, "250 2.0.0")
    assert_required(good)
    assert_reply(mta.deliver(address(bad), **REQUIRETLS).only, "550 5.7.10")
    assert_nothing_leaked(bad)


@pytest.mark.parametrize("behaviour,tls", [
    (Behaviour(offer_starttls=False, starttls=None), False),
    (Behaviour(handshake=b"this is not TLS\r\n"), False), (Behaviour(), True)],
    ids=["not offered", "no TLS", "no match"])
def test_no_lowers_dane(net, mta, behaviour, tls):
    domain = dane(net, behaviour, match=False)
    assert mta.deliver(address(domain)).only.code == 451
    assert_nothing_leaked(domain)
    assert mta.deliver(address(domain), **NO).only.short == "250 2.0.0"
    assert_arrived(domain, tls=tls)
    assert logged(mta, domain)["wish"] == "no"


def test_no_never_lowers_a_destination_with_dane(net, start):
    domain = dane(net, Behaviour(), match=False)
    mta = start({("destination", domain.name): {"tls": "dane"}})
    assert_reply(mta.deliver(address(domain), **NO).only, "451 4.7.5")
    assert_nothing_leaked(domain)


def test_a_connection_that_no_kept_serves_nobody_else(net, mta):
    """What was good enough for No is judged anew for the next message."""
    domain = dane(net, Behaviour(), match=False)
    assert mta.deliver(address(domain), **NO).only.short == "250 2.0.0"
    assert mta.deliver(address(domain)).only.short == "451 4.7.5"
    assert_arrived(domain, times=1)
