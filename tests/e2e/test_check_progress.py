# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""A check while it is under way: what is being waited for, and who still waits."""

import json
import socket
import time

import pytest

from checks import wait_until
from stslab.internet import Mx
from stslab.mx import Behaviour, Silence, Slow
from test_operations import control_path, metrics

PATIENCE = {"smtp": {"command-timeout": "60s"}, "sts": {"fetch-timeout": "60s"}}


def asked(sock, mta, domain, arguments):
    """Ask for a check, and do not wait for it."""
    sock.settimeout(60)
    sock.connect(control_path(mta))
    sock.sendall(f"GET /v1/check/{domain.name}{arguments} HTTP/1.0\r\n\r\n".encode())
    return sock.makefile("rb")


def streamed(mta, domain, arguments):
    """All the lines of a check, as objects."""
    with socket.socket(socket.AF_UNIX) as sock:
        answer = asked(sock, mta, domain, arguments).read()
    return [json.loads(line) for line in answer.partition(b"\r\n\r\n")[2].splitlines()]


def connections(mta):
    """To the control socket, without the one that listens."""
    with open("/proc/net/unix", encoding="ascii") as table:
        return sum(line.rstrip().endswith(control_path(mta)) for line in table) - 1


def test_what_is_being_waited_for_is_told_on_demand(net, mta):
    """Each before its rows; the whole object and the plain stream know nothing of it."""
    domain = net.domain(policy="enforce", mx=[Mx(10, behaviour=Behaviour(
        greeting=Slow(0.5, "220 slow ESMTP"), starttls=Slow(0.5, "220 go")))])
    plain, lines = (streamed(mta, domain, arguments) for arguments in ("?stream=1", "?stream=1&doing=1"))
    rows = [line for line in lines[:-1] if "step" in line]
    assert [line["step"] for line in plain[:-1]] == [row["step"] for row in rows]
    assert lines[-1]["steps"] == rows and set(lines[-1]) == {"domain", "steps", "verified"}
    told = [line for line in lines if "doing" in line]
    at_host = {"host": domain.host.name, "address": domain.host.address}
    assert {"doing": "dns"} in told and {"doing": "address"} in told
    for doing, row in (("dns", "dns"), ("greeting", "greeting"), ("starttls", "starttls")):
        assert lines.index({"doing": doing, **({} if doing == "dns" else at_host)}) < \
            next(place for place, line in enumerate(lines) if line.get("step") == row)


def test_a_fetch_that_takes_its_time_is_told_once(net, start):
    """Also where the policy is then fetched afresh, after the row about DNS."""
    mta = start({"sts": {"fetch-timeout": "2s"}})
    domain = net.domain(policy="enforce")
    domain.site.manner = "hang"
    lines = streamed(mta, domain, "?stream=1&doing=1")
    kinds = [line.get("doing") or line.get("step") for line in lines[:-1]]
    assert kinds[:6] == ["dns", "address", "tlsa", "policy", "dns", "policy"], kinds
    assert lines.count({"doing": "policy"}) == 2


@pytest.mark.parametrize("stage", ["policy", "greeting"])
def test_a_hang_up_is_noticed_between_two_rows(net, start, stage):
    """The check is broken off, so that nothing is left of it; a fetch goes on for others."""
    mta = start(PATIENCE)
    domain = net.domain(policy="enforce", behaviour=Behaviour(greeting=Silence()))
    domain.site.manner = "hang" if stage == "policy" else ""
    with socket.socket(socket.AF_UNIX) as sock:
        answer = asked(sock, mta, domain, "?stream=1&doing=1")
        for line in answer:
            if b'"doing":"%s"' % stage.encode() in line:
                break
        assert connections(mta) == 1
    answer.close()
    wait_until(lambda: connections(mta) == 0, 5, "the end of the check")
    assert metrics(mta)["stsgate_connections_open"] == 0
    assert len(domain.host.connections) == (stage == "greeting")


def test_stsgated_ends_while_a_check_waits_for_a_policy(net, start):
    mta = start(PATIENCE)
    domain = net.domain(policy="enforce")
    domain.site.manner = "hang"
    with socket.socket(socket.AF_UNIX) as sock:
        asked(sock, mta, domain, "?stream=1")
        wait_until(domain.fetches, 30, what="the fetch")
        began = time.monotonic()
        assert mta.stop() == 0
        assert time.monotonic() - began < 5


def test_who_has_only_said_all_he_has_to_say_waits(net, mta):
    domain = net.domain(policy="enforce", behaviour=Behaviour(greeting=Slow(1.5, "220 slow ESMTP")))
    with socket.socket(socket.AF_UNIX) as sock:
        answer = asked(sock, mta, domain, "?stream=1")
        sock.shutdown(socket.SHUT_WR)
        assert json.loads(answer.read().splitlines()[-1])["verified"]


def test_a_check_under_way_gives_way_to_nobody(net, mta):
    """However many others come, and ask nothing."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(greeting=Slow(2, "220 slow ESMTP")))
    others = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    with socket.socket(socket.AF_UNIX) as sock:
        answer = asked(sock, mta, domain, "?stream=1")
        wait_until(lambda: domain.host.connections, 30, "the visit")
        for other in others:
            other.connect(control_path(mta))
        assert json.loads(answer.read().splitlines()[-1])["verified"]
    for other in others:
        other.close()
