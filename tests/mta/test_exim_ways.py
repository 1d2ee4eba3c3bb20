# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Features of Exim only: DKIM, SIZE, BDAT, its retry rules, its drivers' limits, Debian's split
files."""

import base64
import hashlib
import os
import re
import time

import pytest
from checks import address, assert_arrived, wait_until
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from stslab.exim import Exim
from stslab.mx import Behaviour
from ways import QUICK

STRIPPED = Behaviour(offer_starttls=False, starttls=None)


def relaxed(header):
    """RFC 6376 3.4.2, with CRLF."""
    name, _, value = header.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()
    return name.strip().lower() + b":" + value + b"\r\n"


def dkim_holds(message, key):
    """Whether the one signature of a message is right (relaxed/relaxed, sha256)."""
    head, _, body = message.partition(b"\r\n\r\n")
    headers = re.split(rb"\r\n(?![ \t])", head)
    (signature,) = [line for line in headers if line.lower().startswith(b"dkim-signature:")]
    tags = dict(re.findall(rb"(\w+)=([^;]*)", re.sub(rb"\s+", b"", signature)))
    body = re.sub(rb"[ \t]+(?=\r\n)", b"", body)
    body = re.sub(rb"[ \t]+", b" ", body).rstrip(b"\r\n") + b"\r\n"
    if base64.b64decode(tags[b"bh"]) != hashlib.sha256(body).digest():
        return False
    signed = b""
    for name in tags[b"h"].lower().split(b":"):
        found = [line for line in headers if line.lower().startswith(name + b":")]
        signed += relaxed(found[-1]) if found else b""
    signed += relaxed(re.sub(rb"(\bb=)[^;]*", rb"\1", signature))[:-2]
    key.public_key().verify(base64.b64decode(tags[b"b"]), signed, padding.PKCS1v15(),
                            hashes.SHA256())
    return True


def test_dkim_signatures_hold(net, ways):
    """Exim signs, stsgated sends on; the octets are the same."""
    site = ways.get("exim-lmtp")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    directory = net.directory / "exim-dkim"
    directory.mkdir()
    (directory / "dkim.key").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption()))
    os.chmod(directory / "dkim.key", 0o644)
    exim = Exim(directory, site.port, macros={
        "DKIM_DOMAIN": "out.stslab.example", "DKIM_SELECTOR": "lab",
        "DKIM_PRIVATE_KEY": directory / "dkim.key"})
    domain = net.domain(policy="enforce")
    exim.send(address(domain), content=b"Subject: signed\n\n.a dot\n trailing \n\n\n")
    (message,) = domain.messages()
    assert dkim_holds(message.content, key)
    assert not dkim_holds(message.content.replace(b"a dot", b"a dash"), key)


@pytest.fixture
def small(net, start, request):
    """An Exim before a stsgated that takes messages up to 100 kB."""
    port = 2600
    daemon = start({**QUICK, "lmtp": {"listen": [f"inet:127.0.0.1:{port}"],
                                      "max-message-size": 100_000},
                    "log-level": "debug"})
    return Exim(net.directory / f"exim-small-{time.monotonic_ns()}", port), daemon


def test_a_message_that_is_too_large_bounces(net, small):
    """By SIZE on MAIL, before any of it is sent."""
    exim, daemon = small
    domain = net.domain(policy="enforce")
    exim.send(address(domain), content=b"Subject: x\n\n" + b"0123456789abcdef\n" * 10_000)
    assert exim.queue() == []
    assert "552 5.3.4" in exim.mailbox()
    assert_arrived(domain, times=0)


def test_exim_uses_bdat(net, ways):
    """A lone dot survives; the log of Exim says K for CHUNKING."""
    site = ways.get("exim-lmtp")
    domain = net.domain(policy="enforce")
    queued = site.mta.send(address(domain), content=b"Subject: x\n\n.\n..\nend\n")
    assert domain.messages()[0].content.endswith(b"\r\n\r\n.\r\n..\r\nend\r\n")
    (line,) = [line for line in site.mta.mainlog(queued) if " => " in line]
    assert " K " in line, line


def test_new_mail_is_kept_however_long_stsgated_is_away(net, ways):
    """With the retry rule: deferred.  Without it the very same mail bounces at the first try."""
    site = ways.get("exim-lmtp")
    senders, first = {}, {}
    for rule in ("ours", "none"):
        directory = net.directory / f"exim-retry-{rule}"
        directory.mkdir()
        exim = senders[rule] = Exim(directory, 2699)    # nothing listens there
        if rule == "none":
            (exim.directory / "stsgate/retry/00_stsgate").write_text("")
        text = (exim.directory / "stsgate/example.conf").read_text()
        (exim.directory / "stsgate/example.conf").write_text(
            text.replace("F,2h,5m; F,5d,30m", "F,1s,1s"))
        first[rule] = exim.send(f"first@{net.fresh_name()}")

    def gave_up():
        for exim in senders.values():
            exim.run_queue(force=False)
        return not senders["none"].waiting(first["none"])

    def keeps_new(rule):
        return bool(senders[rule].waiting(senders[rule].send(f"new@{net.fresh_name()}")))

    wait_until(gave_up, 20, "the end of the retry rule")
    assert senders["ours"].waiting(first["ours"])
    wait_until(lambda: not keeps_new("none"), 20, "a bounce at the first try")
    assert keeps_new("ours")
    assert senders["ours"].waiting(first["ours"])
    assert site.mta.waiting() == []


def test_long_replies_and_the_lmtp_driver(net, ways, start):
    """Why reply-length: Exim's lmtp transport sends again to the recipients after a long reply."""
    socket = ways.get("exim-socket")
    times = {}
    for length in (480, 250):
        directory = net.directory / f"exim-long-{length}"
        directory.mkdir()
        start({**QUICK, "lmtp": {"listen": [f"unix:{directory}/lmtp.sock"], "socket-mode": "0666",
                                 "reply-length": length}})
        exim = Exim(directory, 0, macros={"STSGATE_TRANSPORT": "stsgate_socket",
                                          "STSGATE_SOCKET": f"{directory}/lmtp.sock"})
        long = net.domain(behaviour=Behaviour(rcpt={"someone": "450 4.7.1 " + "x" * 400}))
        good = net.domain(policy="enforce")
        exim.send([address(long), address(good)])
        exim.run_queue()
        assert exim.waiting()[0] == address(long)
        times[length] = len(good.messages())
    assert times == {480: 2, 250: 1}
    assert socket.mta.waiting() == []


def pipe_with(net, ways, script):
    """An Exim whose stsgate-deliver is a script."""
    directory = net.directory / f"exim-script-{time.monotonic_ns()}"
    directory.mkdir()
    (directory / "helper").write_text("#!/bin/sh\ncat >/dev/null\n" + script + "\n")
    (directory / "helper").chmod(0o755)
    return Exim(directory, 0, macros={"STSGATE_TRANSPORT": "stsgate_pipe",
                                      "STSGATE_DELIVER": directory / "helper"})


@pytest.mark.parametrize("script", [
    "exit 75", "exit 64", "exit 1", "exit 70", "exit 255", "kill -9 $$", "kill -11 $$"])
def test_a_pipe_that_breaks_bounces_nothing(net, ways, script):
    exim = pipe_with(net, ways, script)
    exim.send("someone@there.example")
    assert exim.waiting() == ["someone@there.example"], exim.log_text()
    assert not exim.queue()[0].frozen
    assert exim.mailbox() == ""


def test_a_pipe_whose_program_is_missing_bounces_nothing(net, ways):
    exim = pipe_with(net, ways, "")
    (exim.directory / "helper").unlink()
    exim.send("someone@there.example")
    assert exim.waiting() == ["someone@there.example"]


@pytest.mark.parametrize("code", [67, 68, 77])
def test_a_pipe_bounces_what_the_remote_refused(net, ways, code):
    exim = pipe_with(net, ways, f"echo 550 5.1.1 the text of the server; exit {code}")
    exim.send("someone@there.example")
    assert exim.waiting() == []
    assert "the text of the server" in exim.mailbox()


@pytest.mark.parametrize("hostile", [
    "a`touch${IFS}{0}`@x.example", "a'b@x.example", "-s@x.example", '"a b"@x.example',
    '"$(touch {0});touch {0}"@x.example'])
def test_a_pipe_takes_addresses_as_they_are(net, ways, hostile):
    """The shell in front of stsgate-deliver must not read what a stranger wrote."""
    exim = pipe_with(net, ways, 'printf "%s\\n" "$@" >"$(dirname "$0")/mail/arguments"')
    touched = exim.directory / "mail" / "touched"
    hostile = hostile.replace("{0}", str(touched))
    exim.send("someone@there.example", sender=hostile)
    arguments = (exim.directory / "mail" / "arguments").read_text().splitlines()
    assert arguments == ["-s", "/run/stsgate/lmtp.sock", "-f", hostile, "--",
                         "someone@there.example"]
    assert not touched.exists()
