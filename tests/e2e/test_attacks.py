# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Every attack on the way to the MX host (cases, group D).

Each is run three ways: under `enforce` nothing may reach the attacker; with
`sts { enforce = "off" }` the same attack must succeed, or the first test
proves nothing; under `testing` it is delivered and logged.
"""

import time
from dataclasses import dataclass

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wire_text
from stslab import tlsa
from stslab.forwarder import Forged
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Endless, Reset, Silence

TRUST = {"certificate-not-trusted", "validation-failure"}


@dataclass
class Attack:
    """The attack, the required reply, and the RFC 8460 results that name it."""

    behaviour: Behaviour
    reply: str
    results: set
    arrives_unguarded: bool = True


def certificate(kind, *results, **options):
    return Attack(Behaviour(certificate=kind, **options), "451 4.7.5", set(results))


def handshake(action, arrives=True):
    return Attack(Behaviour(handshake=action), "451 4.7.5", {"validation-failure"}, arrives)


ATTACKS = {
    "STARTTLS stripped": Attack(Behaviour(offer_starttls=False, starttls=None), "451 4.7.4",
                                {"starttls-not-supported"}),
    "STARTTLS answered 454": Attack(Behaviour(starttls="454 4.7.0 Not now"), "451 4.7.4",
                                    {"starttls-not-supported"}),
    "STARTTLS answered 502": Attack(Behaviour(starttls="502 5.5.1 What?"), "451 4.7.4",
                                    {"starttls-not-supported"}),
    "expired": certificate("expired", "certificate-expired"),
    "not yet valid": certificate("not-yet-valid", *TRUST),
    "wrong name": certificate("wrong-name", "certificate-host-mismatch"),
    "self-signed": certificate("self-signed", "certificate-not-trusted"),
    "rogue CA": certificate("rogue", "certificate-not-trusted"),
    "name in the CN only": certificate("cn-only", "certificate-host-mismatch"),
    "recipient domain only": certificate("domain-only", "certificate-host-mismatch"),
    "wildcard over two labels": certificate("wildcard-two-labels", "certificate-host-mismatch"),
    "partial wildcard": certificate("partial-wildcard", "certificate-host-mismatch"),
    "weak key": certificate("weak", *TRUST),
    "TLS 1.1": Attack(Behaviour(maximum_tls="TLSv1.1"), "451 4.7.5", {"validation-failure"}),
    "garbage for a handshake": handshake(b"this is not TLS\r\n"),
    "alert 70": handshake(b"\x15\x03\x03\x00\x02\x02\x46"),
    "alert 40": handshake(b"\x15\x03\x03\x00\x02\x02\x28"),
    "RST in the handshake": handshake(Reset()),
    "FIN in the handshake": handshake(Drop()),
    "endless handshake octets": handshake(
        Endless(b"\x16\x03\x03\x40\x00" + b"\xff" * 16384)),
    # A time-out is never answered with plaintext, guarded or not.
    "silence in the handshake": handshake(Silence(), arrives=False),
    "plaintext injected after 220": Attack(Behaviour(inject=b"250 evil.example\r\n"), "451 4.7.5",
                                           {"validation-failure"}),
}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())


@each_attack
def test_refused_under_enforce(net, mta, attack):
    domain = net.domain(policy="enforce", behaviour=attack.behaviour, policy_id="attacked")
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, attack.reply, domain.name, domain.host.name, "mta-sts", "attacked")
    assert_nothing_leaked(domain)
    (attempt,) = mta.wait_log("attempt", domain=domain.name)
    assert attempt["result"] in attack.results, attempt
    (delivery,) = mta.log("delivery", domain=domain.name)
    assert (delivery["status"], delivery["dsn"]) == ("deferred", attack.reply[4:])


@each_attack
def test_succeeds_unguarded(net, unguarded, attack):
    """The same attack, MTA-STS off: the message is the attacker's."""
    domain = net.domain(policy="enforce", behaviour=attack.behaviour)
    reply = unguarded.deliver(address(domain)).only
    if attack.arrives_unguarded:
        assert reply.short == "250 2.0.0", (str(reply), wire_text(domain))
        assert_arrived(domain)
    else:
        assert_reply(reply, "451 4.4.2")
        assert_arrived(domain, times=0)


@each_attack
def test_delivered_and_logged_under_testing(net, mta, attack):
    """H7: testing tries the same, records what fails, and delivers."""
    domain = net.domain(policy="testing", behaviour=attack.behaviour)
    reply = mta.deliver(address(domain)).only
    assert reply.code == (250 if attack.arrives_unguarded else 451), str(reply)
    attempts = mta.wait_log("attempt", domain=domain.name)
    assert attempts[0]["mode"] == "testing" and attempts[0]["policy"] == "sts", attempts
    assert attempts[0]["result"] in attack.results, attempts


def test_a_flood_of_hello_requests_ends(net, mta):
    """OpenSSL skips them, so only our deadline ends it."""
    flood = Endless(b"\x16\x03\x03\x40\x00" + b"\0" * 16384)
    domain = net.domain(policy="enforce", behaviour=Behaviour(handshake=flood))
    began = time.monotonic()
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert time.monotonic() - began < 8


@pytest.fixture(scope="module")
def auditing(net):
    daemon = net.daemons.start({"sts": {"enforce": "audit"}})
    yield daemon
    assert daemon.stop() == 0


@pytest.mark.parametrize("name", ["STARTTLS stripped", "expired", "wrong name", "rogue CA",
                                  "RST in the handshake"])
def test_audit_verifies_but_never_refuses(net, auditing, name):
    attack = ATTACKS[name]
    domain = net.domain(policy="enforce", behaviour=attack.behaviour)
    assert auditing.deliver(address(domain)).only.short == "250 2.0.0"
    attempts = auditing.wait_log("attempt", domain=domain.name)
    assert attempts[0]["result"] in attack.results, attempts


@pytest.mark.parametrize("name", ["STARTTLS stripped", "expired", "wrong name"])
@pytest.mark.parametrize("policy", [None, "none"])
def test_without_a_policy_everything_is_opportunistic(net, mta, name, policy):
    """H8."""
    domain = net.domain(policy=policy, behaviour=ATTACKS[name].behaviour)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain)


def test_mx_record_replaced(net, mta, unguarded):
    """Forged MX in an unsigned zone: the attacker's host matches no pattern."""
    victim = net.domain(policy="enforce", zone="plain", policy_id="pinned")
    attacker = net.domain()
    net.dns.fault(victim.name, "MX", Forged(f"1 {attacker.host.name}."))
    reply = mta.deliver(address(victim)).only
    assert_reply(reply, "451 4.7.5", victim.name, attacker.host.name, "pinned")
    assert_nothing_leaked(attacker)
    assert unguarded.deliver(address(victim)).only.short == "250 2.0.0"
    assert_arrived(attacker)


def test_mx_record_replaced_by_one_under_dane(net, mta, unguarded):
    """The attacker's own TLSA records match the attacker's certificate, and prove nothing for
    the victim."""
    victim = net.domain(policy="enforce", zone="plain", policy_id="pinned")
    attacker = net.domain(behaviour=Behaviour(certificate="self-signed"))
    net.zones.add(tlsa.at(attacker.host.name), "TLSA",
                  tlsa.of(attacker.host, "3 1 1"))
    net.dns.fault(victim.name, "MX", Forged(f"1 {attacker.host.name}."))
    assert_reply(mta.deliver(address(victim)).only, "451 4.7.5", victim.name, "pinned")
    assert_nothing_leaked(attacker)
    assert unguarded.deliver(address(victim)).only.short == "250 2.0.0"
    assert_arrived(attacker)


def test_mx_record_replaced_in_a_signed_zone(net, mta, unguarded):
    """The forged answer is bogus: no delivery, policy or not."""
    victim, attacker = net.domain(), net.domain()
    net.dns.fault(victim.name, "MX", Forged(f"1 {attacker.host.name}."))
    for daemon in (mta, unguarded):
        assert_reply(daemon.deliver(address(victim)).only, "451 4.7.5")
    assert_nothing_leaked(attacker)


def test_address_record_replaced(net, mta, unguarded):
    """Forged A record: the attacker has no certificate for the name."""
    victim = net.domain(policy="enforce", zone="plain")
    attacker = net.domain(behaviour=Behaviour(certificate="good"))
    net.dns.fault(victim.host.name, "A", Forged(attacker.host.address))
    assert_reply(mta.deliver(address(victim)).only, "451 4.7.5", victim.host.name)
    assert_nothing_leaked(attacker)
    assert unguarded.deliver(address(victim)).only.short == "250 2.0.0"
    assert_arrived(attacker)


def test_certificate_of_another_mx_of_the_policy(net, mta, unguarded):
    """D8."""
    domain = net.domain(policy="enforce",
                        behaviour=Behaviour(certificate_for="mx2.shared.example"))
    domain.set_policy(patterns=[domain.host.name, "mx2.shared.example"])
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", domain.host.name)
    assert_nothing_leaked(domain)
    assert unguarded.deliver(address(domain)).only.short == "250 2.0.0"


@pytest.mark.parametrize("kind", ["wildcard", "good"])
def test_certificates_that_are_good(net, mta, kind):
    """D7."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(certificate=kind))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


@pytest.mark.parametrize("label", ["mx_1", "_", "mx-1"])
def test_a_wildcard_stands_for_any_label(net, mta, label):
    """A host name may hold an underscore, which OpenSSL's own wildcards never stand for."""
    name = net.fresh_name()
    host = f"{label}.{name}"
    domain = net.domain(name=name, policy="enforce", mx=(
        Mx(name=host, behaviour=Behaviour(certificate="wildcard")),))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)
    assert domain.host.connections[0].sni == host


def test_an_underscore_does_not_widen_a_wildcard(net, mta, unguarded):
    name = net.fresh_name()
    domain = net.domain(name=name, policy="enforce", mx=(
        Mx(name=f"a.mx_1.{name}", behaviour=Behaviour(certificate="wildcard-two-labels")),))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", domain.host.name)
    assert_nothing_leaked(domain)
    assert unguarded.deliver(address(domain)).only.short == "250 2.0.0"


def test_refused_by_every_host(net, mta):
    """H10: all hosts fail in different ways; none of them gets the message."""
    domain = net.domain(policy="enforce", policy_id="hopeless", mx=[
        Mx(10, behaviour=ATTACKS["STARTTLS stripped"].behaviour),
        Mx(20, behaviour=ATTACKS["expired"].behaviour),
        Mx(30, behaviour=ATTACKS["wrong name"].behaviour)])
    reply = mta.deliver(address(domain)).only
    assert reply.code == 451 and reply.enhanced in ("4.7.4", "4.7.5"), str(reply)
    for word in (domain.name, "hopeless", "mta-sts"):
        assert word in reply.text
    assert all(host.connections for host in domain.hosts), "every host was tried"
    assert_nothing_leaked(domain)


def test_no_plaintext_second_try_under_enforce(net, mta):
    domain = net.domain(policy="enforce", behaviour=ATTACKS["RST in the handshake"].behaviour)
    mta.deliver(address(domain))
    assert all("STARTTLS" in connection.verbs for connection in domain.host.connections)
    assert_nothing_leaked(domain)


def test_a_kept_connection_is_judged_anew(net, mta):
    """D15: an unprotected domain opened it over bad TLS; a protected one shares the host."""
    careless = net.domain(behaviour=Behaviour(certificate="self-signed"))
    shared = careless.host
    careful = net.domain(policy="enforce", mx=[], patterns=[shared.name])
    net.zones.add(careful.name, "MX", f"10 {shared.name}.")
    assert mta.deliver(address(careless)).only.short == "250 2.0.0"
    assert_reply(mta.deliver("someone@" + careful.name).only, "451 4.7.5")
    assert mta.deliver(address(careless)).only.short == "250 2.0.0"
    recipients = {rcpt for message in shared.messages for rcpt in message.recipients}
    assert recipients == {address(careless)}
    assert not any(careful.name in line.text for line in shared.lines)


def test_one_envelope_with_a_protected_and_an_unprotected_domain(net, mta):
    careless = net.domain(behaviour=Behaviour(certificate="self-signed"))
    careful = net.domain(policy="enforce", mx=[], patterns=[careless.host.name])
    net.zones.add(careful.name, "MX", f"10 {careless.host.name}.")
    result = mta.deliver([address(careless), "someone@" + careful.name])
    assert [reply.short for reply in result.final] == ["250 2.0.0", "451 4.7.5"]
    assert not any(careful.name in line.text for line in careless.host.lines)


def test_resumed_session_does_not_carry_old_trust(net, start):
    """D15: the certificate is verified again although the session is resumed."""
    mta = start({"smtp": {"keep-idle": "0s"}})
    good = net.domain(behaviour=Behaviour(certificate="self-signed"))
    protected = net.domain(policy="enforce", mx=[], patterns=[good.host.name])
    net.zones.add(protected.name, "MX", f"10 {good.host.name}.")
    for _ in range(3):
        assert mta.deliver(address(good)).only.short == "250 2.0.0"
        assert_reply(mta.deliver("someone@" + protected.name).only, "451 4.7.5")
    assert not any(protected.name in line.text for line in good.host.lines)
