# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Assertions about the wire, in a mail engineer's terms."""

import time

from stslab.pace import patience

HARMLESS = {"EHLO", "HELO", "STARTTLS", "QUIT", "RSET", "NOOP"}


def address(domain, local="someone"):
    return f"{local}@{domain.name}"


def assert_nothing_leaked(domain):
    """No host of the domain saw a sender, a recipient or an octet of content."""
    for host in domain.hosts:
        begun, octets = host.leaked()
        assert begun == [], f"{host.name} was told {begun}"
        assert octets == 0, f"{host.name} got {octets} octets of content"
        verbs = {line.verb for line in host.lines}
        assert verbs <= HARMLESS, f"{host.name} got {verbs}"


def assert_arrived(domain, times=1, tls=None):
    """The domain's hosts together took the message; `tls` says how."""
    messages = domain.messages()
    assert len(messages) == times, f"{len(messages)} messages arrived"
    if tls is not None:
        assert {message.tls for message in messages} == {tls}


def assert_reply(reply, short, *words):
    """Code and enhanced code are exactly `short`, and the text has all `words`."""
    assert reply.short == short, str(reply)
    assert len(reply.lines) == 1, f"more than one line: {reply.lines}"
    for word in words:
        assert word in reply.text, f"{word!r} is not in {reply}"


def wait_until(true, seconds=5, what="it"):
    """Poll until `true()`; fails when it does not come true in time."""
    end = time.monotonic() + patience(seconds)
    while not true():
        assert time.monotonic() < end, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


def let_pass(seconds):
    """Real time, where a TTL must run out that libunbound keeps: no test moves its clock."""
    time.sleep(seconds)


def wire_text(domain):
    """All lines the domain's hosts got, for failure messages."""
    return [(host.name, line.text, line.tls) for host in domain.hosts for line in host.lines]
