# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Peers that keep to the letter of no protocol: MTAs, MX hosts and DNS servers."""

import struct

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply
from stslab import lmtp
from stslab.internet import Mx
from stslab.mx import Behaviour, Endless, InPieces

RECORD = struct.Struct(">BHH")


def record(kind, octets, version=0x0303, length=None):
    """A TLS record, whose header may lie."""
    return RECORD.pack(kind, version, len(octets) if length is None else length) + octets


RECORDS = {
    "a record longer than any may be": record(22, b"\x02" * 100, length=0xffff),
    "a record of another version": record(22, b"\x02\x00\x00\x00", version=0x0999),
    "a record of an unknown kind": record(99, b"hello"),
    "data before the handshake": record(23, b"250 trust me\r\n"),
    "an empty handshake record": record(22, b""),
    "a message longer than its record": record(22, b"\x02\xff\xff\xff" + b"\x03\x03"),
    "half an alert": record(21, b"\x02"),
    "an alert that warns": record(21, b"\x01\x70"),
    "a change of cipher first": record(20, b"\x01") * 3,
    "finished before all": record(22, b"\x14\x00\x00\x0c" + b"\0" * 12),
    "an SSLv2 hello": b"\x80\x2e\x01\x00\x02" + b"\0" * 41,
    "NULs": b"\0" * 4096,
}


@pytest.mark.parametrize("octets", RECORDS.values(), ids=RECORDS.keys())
def test_malformed_records_are_no_tls(net, mta, octets):
    domain = net.domain(policy="enforce", behaviour=Behaviour(handshake=InPieces(octets, 7, True)))
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", domain.host.name)
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("octets", RECORDS.values(), ids=RECORDS.keys())
def test_the_same_records_end_in_plaintext_unguarded(net, unguarded, octets):
    domain = net.domain(policy="enforce", behaviour=Behaviour(handshake=InPieces(octets, 7, True)))
    assert unguarded.deliver(address(domain)).only.short == "250 2.0.0"
    assert {message.tls for message in domain.messages()} == {False}


@pytest.mark.parametrize("octets", [
    record(22, b""), record(23, b""), record(20, b"\x01"), record(21, b"\x01\x00")],
    ids=["handshake", "data", "cipher", "warning"])
def test_a_flood_of_small_records_ends(net, mta, octets):
    domain = net.domain(policy="enforce", behaviour=Behaviour(handshake=Endless(octets * 500)))
    assert mta.deliver(address(domain)).only.short == "451 4.7.5"
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("size", [1, 3])
def test_answers_in_small_pieces(net, mta, size):
    """In the clear, and in TLS, where each piece is a record."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(
        greeting=InPieces(b"220-mx\r\n220 ready\r\n", size),
        mail=InPieces(b"250-2.1.0 Well\r\n250 2.1.0 Ok\r\n", size),
        rcpt={"someone": InPieces(b"250 2.1.5 Ok\r\n", size)},
        dot=InPieces(b"250-2.0.0 one\r\n250 2.0.0 two\r\n", size)))
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", "one two")
    assert_arrived(domain, tls=True)


@pytest.mark.parametrize("answer", [
    b"250\n", b"250 Ok\n", b"\r\n", b"25", b"250 \0Ok\r\n", b"\xff\xfe\r\n", b"2500 Ok\r\n",
    b"-250 Ok\r\n", b"250-Ok\r\n350 No\r\n", b"999 Never\r\n", b"250_Ok\r\n", b"000 Ok\r\n"])
def test_answers_that_are_hardly_any(net, mta, answer):
    """They never stop a session for good, and what is reported is a reply of ours or theirs."""
    domain = net.domain(behaviour=Behaviour(mail=answer))
    reply = mta.deliver(address(domain)).only
    assert reply.code in (250, 451), str(reply)
    assert len(reply.lines) == 1 and "\0" not in reply.text
    assert mta.deliver(address(net.domain())).only.short == "250 2.0.0"


@pytest.mark.parametrize("octets", [b"a\0b@c.example", b"\0", b"a@b.example\0", b"a@b\0.example",
                                    b"\xff\xfe@b.example", b"a@b.example> SIZE=1\0"])
@pytest.mark.parametrize("command", [b"MAIL FROM:<%s>\r\n", b"RCPT TO:<%s>\r\n"])
def test_commands_with_odd_octets_are_refused(net, mta, command, octets):
    domain = net.domain()
    with mta.client() as client:
        client.hello()
        if command.startswith(b"RCPT"):
            client.command("MAIL FROM:<a@b.example>")
        client.send(command % octets)
        assert client.reply().code // 100 == 5
        client.command("RSET")
        result = client.transaction("a@b.example", [address(domain)])
        assert result.only.short == "250 2.0.0"
    assert_arrived(domain)


def test_a_hundred_thousand_header_lines(net, mta):
    domain = net.domain(policy="enforce")
    lines = b"".join(b"X-Line-%d: yes\r\n" % number for number in range(100_000))
    content = lines + b"\r\nbody\r\n"
    assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"
    assert domain.messages()[0].content == content


def test_one_header_folded_a_hundred_thousand_times(net, mta):
    """TLS-Required is looked for in it, and not found."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(offer_starttls=False, starttls=None))
    content = b"Subject: x\r\n" + b" TLS-Required: no\r\n" * 100_000 + b"\r\nbody\r\n"
    assert mta.deliver(address(domain), content=content).only.short == "451 4.7.4"
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("content", [
    b"Subject: \0\0\0\r\n\r\n\0body\0\r\n\0.\r\n", b"\0" * 100_000 + b"\r\n", b"\r\n", b"\r\n\r\n",
    b"no header at all\r\n", b": no name\r\n\r\n", b"\xff" * 5000 + b":\r\n\r\nx\r\n"],
    ids=["NULs in lines", "NULs alone", "one empty line", "two empty lines", "no header",
         "no name", "no text"])
def test_odd_contents_arrive_as_they_are(net, mta, content):
    domain = net.domain()
    assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"
    assert domain.messages()[0].content == content


def test_three_hundred_mx_hosts(net, mta):
    """The preferred one is used, wherever it stands in the answer."""
    domain = net.domain(policy="enforce", zone="plain", mx=(Mx(1),))
    net.zones.change([("add", domain.name, "MX", f"{100 + number} far{number}.{domain.name}.", 60)
                      for number in range(300)])
    for number in range(3):
        assert mta.deliver(address(domain, f"u{number}")).only.short == "250 2.0.0"
    assert_arrived(domain, times=3, tls=True)


def test_a_dns_answer_of_nearly_64_kib(net, mta):
    """Strangers' TXT records around the one that counts."""
    domain = net.domain(policy="enforce", zone="plain",
                        behaviour=Behaviour(offer_starttls=False, starttls=None))
    other = [f'"spf {number} {"x" * 240}" "{"y" * 250}"' for number in range(90)]
    domain.set_txt('"v=STSv1; id=among;"', *other)
    assert mta.deliver(address(domain)).only.short == "451 4.7.4"
    assert_nothing_leaked(domain)


def test_many_hosts_that_answer_nothing_end_in_time(net, start):
    """A list of dead hosts costs its share of the time and no more."""
    mta = start({"lmtp": {"transaction-time": "8s"},
                 "smtp": {"command-timeout": "1m", "final-timeout": "1s"}})
    silent = Behaviour(greeting=Endless(b"220-wait\r\n", 0.5))
    domain = net.domain(policy="enforce", zone="plain",
                        mx=tuple(Mx(10 + number, behaviour=silent) for number in range(12)))
    reply = lmtp.deliver(mta.lmtp, address(domain), seconds=60).only
    assert reply.code == 451 and reply.at < 20, str(reply)
    assert_nothing_leaked(domain)
