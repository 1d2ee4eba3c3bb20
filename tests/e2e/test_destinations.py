# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""`destination` sections: relay, tls, match, and which one applies."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply
from stslab.internet import Mx
from stslab.mx import Behaviour, Silence, Slow

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
BAD = Behaviour(certificate="self-signed")


def destination(domain, **keys):
    name = domain if isinstance(domain, str) else domain.name
    return {("destination", name): keys}


def test_may_asks_no_policy(net, start):
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    mta = start(destination(domain, tls="may"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=False)
    assert net.dns.queries("_mta-sts." + domain.name) == []


def test_none_uses_no_tls_and_asks_no_policy(net, start):
    """Whatever the host offers and the domain publishes."""
    domain = net.domain(policy="enforce")
    mta = start(destination(domain, tls="none"))
    for number in range(2):
        assert mta.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    assert_arrived(domain, times=2, tls=False)
    assert not any(line.verb == "STARTTLS" for line in domain.host.lines)
    assert net.dns.queries("_mta-sts." + domain.name) == []
    assert len(domain.host.connections) == 1, "the connection is kept"


def test_none_is_of_that_domain_alone(net, start):
    """Another domain on the same host gets TLS, before and after."""
    plain, other = net.domain(), net.domain(mx=[])
    net.zones.add(other.name, "MX", f"10 {plain.host.name}.")
    mta = start(destination(plain, tls="none"))
    for domain in (plain, other, plain, other):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert [(message.recipients, message.tls) for connection in plain.host.connections
            for message in connection.messages] == [
                ([address(plain)], False)] * 2 + [([address(other)], True)] * 2


def test_none_never_takes_a_message_with_requiretls(net, start):
    domain = net.domain(behaviour=Behaviour(extensions=(*Behaviour.extensions, "REQUIRETLS")))
    mta = start(destination(domain, tls="none"))
    reply = mta.deliver(address(domain), parameters=" REQUIRETLS").only
    assert_reply(reply, "550 5.7.10", 'tls = "none"')
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("behaviour", [Behaviour(handshake=Silence()),
                                       Behaviour(starttls=Silence())], ids=["hello", "starttls"])
def test_starttls_and_then_silence_has_a_way_out(net, start, behaviour):
    """The reply names it, and it works."""
    domain = net.domain(behaviour=behaviour)
    mta = start({"smtp": {"command-timeout": "1s"}})
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, "451 4.4.2", f'set tls = "none" in destination "{domain.name}"')
    mta.reload(destination(domain, tls="none"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=False)


def test_ignore_pipelining(net, start):
    """A host that loses commands which come together: the reply names the way out, which works."""
    domain = net.domain(behaviour=Behaviour(loses_pipelined=True))
    mta = start({"smtp": {"command-timeout": "1s"}})
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, "451 4.4.2", 'set ignore = {"PIPELINING"} in destination '
                 f'"{domain.name}"')
    assert_arrived(domain, times=0)
    mta.reload(destination(domain, ignore=["pipelining"]))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


@pytest.mark.parametrize("keyword,parameter", [("SIZE", "SIZE="), ("8BITMIME", "BODY=")])
def test_ignored_keywords_bring_no_parameter(net, start, keyword, parameter):
    domain, other = net.domain(), net.domain(mx=[])
    net.zones.add(other.name, "MX", f"10 {domain.host.name}.")
    mta = start(destination(domain, ignore=[keyword]))
    for one in (domain, other, domain, other):
        assert mta.deliver(address(one), parameters=" BODY=8BITMIME").only.short == "250 2.0.0"
    mails = {message.recipients[0]: line for connection in domain.host.connections
             for message, line in zip(connection.messages, connection.said("MAIL"))}
    assert parameter not in mails[address(domain)]
    assert parameter in mails[address(other)]


def test_encrypt(net, start):
    plain, encrypted = net.domain(behaviour=STRIPPED), net.domain(behaviour=BAD)
    mta = start({**destination(plain, tls="encrypt"), **destination(encrypted, tls="encrypt")})
    assert_reply(mta.deliver(address(plain)).only, "451 4.7.4")
    assert_nothing_leaked(plain)
    assert mta.deliver(address(encrypted)).only.short == "250 2.0.0", "unverified is enough"
    assert_arrived(encrypted, tls=True)


def test_encrypt_with_a_failed_handshake(net, start):
    domain = net.domain(behaviour=Behaviour(handshake=b"this is not TLS\r\n"))
    mta = start(destination(domain, tls="encrypt"))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)


def test_verify_takes_a_secure_mx_name(net, start):
    good, bad = net.domain(), net.domain(behaviour=BAD)
    mta = start({**destination(good, tls="verify"), **destination(bad, tls="verify")})
    assert mta.deliver(address(good)).only.short == "250 2.0.0"
    assert_reply(mta.deliver(address(bad)).only, "451 4.7.5")
    assert_nothing_leaked(bad)


def test_verify_without_a_name_to_verify(net, start):
    """The MX answer is insecure, and `match` is empty."""
    domain = net.domain(zone="plain")
    mta = start(destination(domain, tls="verify"))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("certificate_for,pattern,verified", [
    ("a.match.example", "a.match.example", True),
    ("a.match.example", "*.match.example", True),
    ("a.b.match.example", "*.match.example", False),
    ("match.example", "*.match.example", False),
    ("other.example", "*.match.example", False)])
def test_verify_for_a_name_in_match(net, start, certificate_for, pattern, verified):
    domain = net.domain(zone="plain", behaviour=Behaviour(certificate_for=certificate_for))
    mta = start(destination(domain, tls="verify", match=[pattern]))
    reply = mta.deliver(address(domain)).only
    if verified:
        assert reply.short == "250 2.0.0", str(reply)
        assert_arrived(domain, tls=True)
    else:
        assert_reply(reply, "451 4.7.5")
        assert_nothing_leaked(domain)


def test_verify_replaces_the_published_policy(net, start):
    """The domain's own policy is not asked."""
    domain = net.domain(policy="enforce", patterns=["nothing.example"])
    mta = start(destination(domain, tls="verify"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_audit_never_refuses(net, start):
    domain = net.domain(policy="enforce", behaviour=BAD)
    mta = start(destination(domain, tls="audit"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert mta.wait_log("attempt", domain=domain.name)[0]["result"] == "certificate-not-trusted"


def test_policy_is_the_default(net, start):
    domain = net.domain(policy="enforce", behaviour=BAD)
    mta = start(destination(domain, tls="policy"))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")


@pytest.mark.parametrize("form", ["host", "host:port", "literal"])
def test_relay(net, start, form):
    """MX is skipped."""
    domain = net.domain()
    relay_name = "relay." + domain.name
    relay = net.mx_host(relay_name, port=25 if form == "host" else 2525)
    net.zones.add(relay_name, "A", relay.address)
    text = {"host": relay_name, "host:port": relay_name + ":2525",
            "literal": f"[{relay.address}]:2525"}[form]
    mta = start(destination(domain, relay=text))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(relay.messages) == 1
    assert domain.host.connections == []
    assert net.dns.queries(domain.name, "MX") == []


def test_the_relay_is_the_policy_domain(net, start):
    """H12, RFC 8461 3.4."""
    relay = net.domain(policy="enforce", mx=[])
    host = net.mx_host(relay.name, behaviour=STRIPPED)
    net.zones.add(relay.name, "A", host.address)
    relay.set_policy(patterns=[relay.name])
    domain = net.domain(policy="none")
    mta = start(destination(domain, relay=relay.name))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4", relay.name)
    assert host.leaked() == ([], 0)
    assert domain.fetches() == []
    shown = json.loads(mta.ask("policy", domain.name, "--json").stdout)
    assert shown["domain"] == domain.name and shown["sts"]["mx"] == [relay.name]


@pytest.mark.parametrize("tls", ["may", "audit"])
@pytest.mark.parametrize("pattern", [".", "*.example", "own"])
def test_the_policy_of_a_relay_is_asked_again_by_the_rules_of_the_recipients(net, start, pattern,
                                                                            tls):
    """The section that holds for the relay's own name asks no policy; the recipients' does."""
    relay = net.domain(policy="enforce", mx=[])
    host = net.mx_host(relay.name)
    net.zones.add(relay.name, "A", host.address)
    relay.set_policy(patterns=[relay.name])
    domain = net.domain(policy="none")
    mta = start({"smtp": {"keep-idle": "0s"}, **destination(domain, relay=relay.name),
                 **destination(relay.name if pattern == "own" else pattern, tls=tls)})
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(relay.fetches()) == 1
    host.behaviour = STRIPPED
    relay.set_id("changed")
    net.policy_host.accept = False
    already = len(host.messages)
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4", relay.name)
    in_plaintext = [line.verb for line in host.lines if not line.tls]
    assert "MAIL" not in in_plaintext and len(host.messages) == already, in_plaintext
    assert net.dns.queries("_mta-sts." + relay.name, "TXT"), "it was asked again"


def test_a_relay_on_a_private_address_is_the_administrators_word(net, start):
    host = net.mx_host("relay.internal.example")
    domain = net.domain()
    mta = start({"dns": {"private-addresses": "refuse"},
                 **destination(domain, relay=f"[{host.address}]:25")})
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_verify_at_a_relay(net, start):
    """PKIX for the relay's name."""
    good = net.mx_host(net.fresh_name())
    bad = net.mx_host(net.fresh_name(), behaviour=Behaviour(certificate="wrong-name"))
    for host in (good, bad):
        net.zones.add(host.name, "A", host.address)
    one, two = net.domain(), net.domain()
    mta = start({**destination(one, relay=good.name, tls="verify"),
                 **destination(two, relay=bad.name, tls="verify")})
    assert mta.deliver(address(one)).only.short == "250 2.0.0"
    assert_reply(mta.deliver(address(two)).only, "451 4.7.5")
    assert bad.leaked() == ([], 0)


def test_the_longest_match_wins(net, start):
    base = net.fresh_name()
    names = [base, "a." + base, "b.a." + base]
    hosts = {label: net.mx_host(f"{label}.relays.example") for label in
             ("exact", "below", "deep", "rest")}
    other = net.domain()
    mta = start({
        ("destination", base): {"relay": f"[{hosts['exact'].address}]:25"},
        ("destination", "*." + base): {"relay": f"[{hosts['below'].address}]:25"},
        ("destination", "*.a." + base): {"relay": f"[{hosts['deep'].address}]:25"},
        ("destination", "."): {"relay": f"[{hosts['rest'].address}]:25"}})
    result = mta.deliver(["x@" + name for name in [*names, "c.b.a." + base, other.name]])
    assert [reply.code for reply in result.final] == [250] * 5
    got = {label: sorted(rcpt for message in host.messages for rcpt in message.recipients)
           for label, host in hosts.items()}
    assert got == {"exact": ["x@" + base], "below": ["x@a." + base],
                   "deep": sorted(["x@b.a." + base, "x@c.b.a." + base]),
                   "rest": [address(other, "x")]}


def test_names_in_capitals_are_the_same_destination(net, start):
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    mta = start(destination(domain.name.upper(), tls="may"))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_hostname_and_source_of_a_destination(net, start):
    domain, other = net.domain(), net.domain()
    mta = start({**destination(domain, hostname="special.example"),
                 ("destination", other.name): {"source-ipv4": "127.9.9.9"}})
    mta.deliver([address(domain), address(other)])
    assert "EHLO special.example" in [line.text for line in domain.host.lines]
    assert "EHLO out.stslab.example" in [line.text for line in other.host.lines]
    assert other.host.connections[0].peer == "127.9.9.9"


def test_max_connections_of_a_destination(net, start):
    domain = net.domain(behaviour=Behaviour(dot=Slow(0.3, "250 2.0.0 Ok")))
    mta = start({**destination(domain, **{"max-connections": 1}), "smtp": {"final-timeout": "4s"}})
    with ThreadPoolExecutor(3) as pool:
        codes = list(pool.map(lambda n: mta.deliver(address(domain, f"u{n}")).only.code, range(3)))
    assert codes == [250] * 3
    times = sorted(message.at for message in domain.messages())
    assert times[1] - times[0] > 0.25 and times[2] - times[1] > 0.25


def test_a_second_host_of_a_verified_destination(net, start):
    domain = net.domain(mx=[Mx(10, behaviour=BAD), Mx(20)])
    mta = start(destination(domain, tls="verify"))
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[1].name)
    assert domain.hosts[0].leaked() == ([], 0)
