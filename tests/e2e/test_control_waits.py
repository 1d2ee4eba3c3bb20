# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Questions on the control socket while the policy host keeps silent: who stops waiting, and when."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from checks import address, wait_until
from stslab.mx import Behaviour, Slow
from test_check_progress import PATIENCE, connections
from test_control import AWAY, NO, cached
from test_operations import control_path

STOPPING = "stsgate: stsgated is being stopped, or closes this socket: retry later\n"


@pytest.mark.parametrize("words, status, told", [
    (("policy",), AWAY, STOPPING),
    (("cache", "refresh"), AWAY, STOPPING),
    (("--json", "check"), AWAY, STOPPING),
    (("check",), NO, "stsgate: stsgated cancelled the check\n"),
], ids=["policy", "refresh", "check-json", "check"])
def test_stsgated_ends_at_once_and_says_so(net, start, words, status, told):
    """No client gets a verdict from a cancelled check."""
    mta = start(PATIENCE)
    domain = net.domain(policy="enforce")
    domain.site.manner = "hang"
    with ThreadPoolExecutor(1) as asking:
        asked = asking.submit(mta.ask, *words, domain.name)
        wait_until(domain.fetches, 30, what="the fetch")
        began = time.monotonic()
        assert mta.stop() == 0
        assert time.monotonic() - began < 5
        done = asked.result(30)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", told)


@pytest.mark.parametrize("question", ["GET /v1/policy/{}", "POST /v1/cache/{}/refresh"])
def test_who_hangs_up_makes_room_for_another(net, start, question):
    mta = start(PATIENCE)
    domain = net.domain(policy="enforce")
    domain.site.manner = "hang"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(control_path(mta))
        sock.sendall(f"{question.format(domain.name)} HTTP/1.0\r\n\r\n".encode())
        wait_until(domain.fetches, 30, what="the fetch")
        assert connections(mta) == 1
    wait_until(lambda: connections(mta) == 0, 5, "the end of the question")


def test_a_refresh_that_was_broken_off_has_not_failed(net, start):
    """Neither for who has hung up nor by the stop: no error, and the next one fetches at once."""
    mta = start(PATIENCE)
    domain = net.domain(policy="enforce", policy_id="before")
    mta.deliver(address(domain))
    before = cached(mta)[domain.name]
    domain.site.manner = "hang"
    fetches = len(domain.fetches())
    with ThreadPoolExecutor(1) as asking:
        asked = asking.submit(mta.ask, "cache", "refresh", domain.name)
        wait_until(lambda: len(domain.fetches()) > fetches, 30, what="the fetch")
        assert mta.stop() == 0
        assert asked.result(30).returncode == AWAY
    assert "fetch-error" not in mta.log_text()
    domain.site.manner = ""
    mta.start()
    assert cached(mta)[domain.name] == before
    assert mta.ask("cache", "refresh", domain.name).returncode == 0


def test_an_answer_may_take_long_and_silence_may_not(net, start):
    """A step of a check is waited for; a connection that asks nothing is closed after 10 s."""
    mta = start(PATIENCE)
    domain = net.domain(policy="enforce", behaviour=Behaviour(greeting=Slow(12, "220 slow ESMTP")))
    with socket.socket(socket.AF_UNIX) as silent, ThreadPoolExecutor(1) as asking:
        silent.settimeout(60)
        silent.connect(control_path(mta))
        began = time.monotonic()
        asked = asking.submit(mta.ask, "--json", "check", domain.name)
        assert silent.recv(1) == b""
        assert time.monotonic() - began > 9
        done = asked.result(60)
    assert done.returncode == 0 and '"verified": true' in done.stdout, (done.stdout, done.stderr)
