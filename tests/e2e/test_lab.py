# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The lab itself: a test that passes because the lab is broken proves nothing."""

import smtplib
import socket
import ssl

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from checks import address
from stslab import forwarder, lmtp
from stslab.daemon import log_fields, render
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Reset, Silence

# partial-wildcard and cn-only pass OpenSSL's default rules, which is why they are tried.
BAD_CERTIFICATES = ["expired", "not-yet-valid", "wrong-name", "self-signed", "rogue",
                    "domain-only", "wildcard-two-labels", "weak"]
GOOD_CERTIFICATES = ["good", "wildcard", "cn-only"]


def ask(name, kind, tcp=False):
    question = dns.message.make_query(name, kind, want_dnssec=True)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(question, forwarder.ADDRESS, timeout=1)


def kinds(message):
    return {dns.rdatatype.to_text(rrset.rdtype) for rrset in message.answer}


def starttls(net, host):
    context = ssl.create_default_context(cafile=net.authorities.ca_file)
    client = smtplib.SMTP(timeout=3)
    client.connect(host.address)
    client._host = host.name
    client.ehlo()
    client.starttls(context=context)
    return client


@pytest.mark.parametrize("kind", GOOD_CERTIFICATES)
def test_good_certificates_verify(net, kind):
    domain = net.domain(behaviour=Behaviour(certificate=kind))
    starttls(net, domain.host).quit()
    assert domain.host.connections[0].sni == domain.host.name


@pytest.mark.parametrize("kind", BAD_CERTIFICATES)
def test_bad_certificates_do_not(net, kind):
    domain = net.domain(behaviour=Behaviour(certificate=kind))
    with pytest.raises(ssl.SSLError):
        starttls(net, domain.host)


@pytest.mark.parametrize("action", [b"not TLS\r\n", Reset(), Drop(), Silence(),
                                    b"\x15\x03\x03\x00\x02\x02\x46"])
def test_a_broken_handshake_fails(net, action):
    domain = net.domain(behaviour=Behaviour(handshake=action))
    with pytest.raises(OSError):
        starttls(net, domain.host)


def test_the_wire_is_recorded(net):
    domain = net.domain(mx=[Mx(family="ipv6")])
    client = starttls(net, domain.host)
    client.ehlo()
    client.mail("a@b.example")
    client.rcpt(address(domain))
    client.data(b"Subject: x\r\n\r\n.dot\r\n")
    client.quit()
    (connection,) = domain.host.connections
    assert connection.said("EHLO", in_tls=False) and connection.said("EHLO", in_tls=True)
    assert connection.said("MAIL", in_tls=False) == []
    assert connection.messages[0].content == b"Subject: x\r\n\r\n.dot\r\n"
    assert connection.messages[0].wire == b"Subject: x\r\n\r\n..dot\r\n.\r\n"
    assert connection.plaintext_content_octets == 0
    assert connection.ended == "quit"


def test_dns_is_signed_and_faults_work(net):
    domain = net.domain()
    true = ask(domain.name, "MX")
    assert kinds(true) == {"MX", "RRSIG"}
    net.dns.fault(domain.name, "MX", "stripped")
    assert kinds(ask(domain.name, "MX")) == {"MX"}
    net.dns.fault(domain.name, "MX", "servfail")
    assert ask(domain.name, "MX").rcode() == dns.rcode.SERVFAIL
    net.dns.fault(domain.name, "MX", forwarder.Forged("5 evil.example."))
    assert "evil.example." in ask(domain.name, "MX").answer[0].to_text()
    net.dns.fault(domain.name, "MX", "truncate")
    assert ask(domain.name, "MX").answer == []
    assert ask(domain.name, "MX", tcp=True).answer == true.answer
    net.dns.fault(domain.name, "MX", "silence")
    with pytest.raises(dns.exception.Timeout):
        ask(domain.name, "MX")
    assert len(net.dns.queries(domain.name, "MX")) == 7


def test_a_changed_record_is_seen_at_once(net):
    domain = net.domain(policy="enforce")
    domain.set_id("second")
    assert "id=second" in ask("_mta-sts." + domain.name, "TXT").answer[0].to_text()


def test_the_policy_is_served_by_sni(net):
    domain = net.domain(policy="enforce")
    context = ssl.create_default_context(cafile=net.authorities.ca_file)
    with socket.create_connection((net.policy_host.address, 443), 3) as plain:
        with context.wrap_socket(plain, server_hostname=domain.sts_host) as secure:
            secure.sendall(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: "
                           + domain.sts_host.encode() + b"\r\n\r\n")
            answer = secure.makefile("rb").read()
    assert answer.endswith(domain.site.body)
    assert [request.sni for request in domain.fetches()] == [domain.sts_host]


def test_configuration_text():
    text = render({"log": "stderr", "lmtp": {"listen": ["unix:/x"], "max-sessions": 3},
                   ("destination", "a.example"): {"tls": "may"}})
    assert text == ('log = "stderr"\nlmtp {\n  listen = {"unix:/x"}\n  max-sessions = 3\n}\n'
                    'destination "a.example" {\n  tls = "may"\n}\n')


def test_log_fields():
    assert log_fields(r'event=attempt reply="a \"b\" \x0a=" to=<x@y> tls=none') == {
        "event": "attempt", "reply": 'a "b" \n=', "to": "<x@y>", "tls": "none"}


def test_dot_stuffing():
    assert lmtp.stuffed(b".a\r\n.\r\nb") == b"..a\r\n..\r\nb\r\n.\r\n"


def test_a_sanitizers_report_is_seen_once(net):
    """Each test is failed for what its own daemons wrote, and for nothing earlier."""
    mta = net.daemons.make()
    mta.log_path.write_bytes(b"ts=1 event=start\n==1==ERROR: AddressSanitizer: on purpose\n")
    assert net.daemons.complaints() == "ERROR: AddressSanitizer: on purpose\n"
    assert net.daemons.complaints() == ""
    with open(mta.log_path, "ab") as log:
        log.write(b"ts=2 event=session\nWARNING: ThreadSanitizer: data race\n")
    net.daemons.discard(mta)
    assert net.daemons.complaints() == "WARNING: ThreadSanitizer: data race\n"
    assert net.daemons.complaints() == ""
