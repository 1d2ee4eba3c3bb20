# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate status and /healthz: is stsgated well, and how busy is it?"""

import json
import signal
import subprocess
import time

from checks import address, wait_until
from stslab import programs
from test_access import http, path_of

FIELDS = {"state", "reasons", "uptime", "version", "resolver", "policies", "overrides", "sessions",
          "connections", "spool", "rates", "latency", "confine"}


def status(mta, code=0):
    done = mta.ask("status", "--json")
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def healthz(mta):
    return http(path_of(mta, "control"), "GET /healthz")


def test_what_it_tells(net, start):
    mta = start({"smtp": {"keep-idle": "60s"}})
    wait_until(lambda: status(mta)["resolver"]["state"] == "validates", 30, "the self-test")
    before = status(mta)
    assert set(before) == FIELDS and before["state"] == "ok" and before["reasons"] == []
    assert before["policies"] == {"enforce": 0, "testing": 0, "none": 0}
    assert set(before["resolver"]) == {"state", "tested"}
    assert set(before["confine"]) == {"no_new_privs", "seccomp", "landlock"}
    assert before["uptime"] >= 0 and before["sessions"]["running"] == 0
    enforced, testing = net.domain(policy="enforce"), net.domain(policy="testing")
    for domain in (enforced, enforced, testing):
        assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    after = status(mta)
    assert after["policies"] == {"enforce": 1, "testing": 1, "none": 0}
    assert set(after["rates"]) == {"messages", "kept", "resumed", "cached"}
    assert after["rates"]["messages"] > 0
    assert abs(after["rates"]["kept"] - 1 / 3) < 0.01
    assert after["connections"]["open"] == 2 and after["connections"]["waiting"] == 0
    assert 0 < after["latency"]["p50"] <= after["latency"]["p95"] <= after["latency"]["p99"] < 60
    words = mta.ask("status")
    assert words.returncode == 0 and ": ok, running for" in words.stdout


def test_a_warning_about_the_configuration(start):
    mta = start({"hostname": "relay"})
    answer = status(mta, code=1)
    (reason,) = answer["reasons"]
    assert answer["state"] == "warning"
    assert (reason["alarm"], reason["domain"]) == ("config", "") and "hostname" in reason["text"]
    assert healthz(mta)[0] == 200
    assert "config: " in mta.ask("status").stdout


def test_no_room_in_the_spool_is_critical(net):
    """For a while after the message that was refused."""
    mta = net.daemons.make({"spool-memory": "1M"})
    spool = mta.settings["spool-directory"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "stslab", spool],
                   check=True, timeout=10)
    try:
        mta.start()
        content = b"Subject: big\r\n\r\n" + b"0123456789\r\n" * 500_000
        reply = mta.deliver(address(net.domain()), content=content).only
        assert reply.short == "452 4.3.1"
        assert_critical(mta)
    finally:
        net.daemons.discard(mta)
        subprocess.run(["umount", spool], check=False, timeout=10)


def assert_critical(mta):
    code, body = healthz(mta)
    assert code == 503 and json.loads(body)["reasons"][0].startswith("spool: ")
    answer = status(mta, code=2)
    assert answer["state"] == "critical"
    assert [reason["alarm"] for reason in answer["reasons"]] == ["spool"]


def test_watch_repeats_until_it_is_interrupted(mta):
    with subprocess.Popen([programs.find("stsgate"), "-c", str(mta.config), "status", "--watch"],
                          stdout=subprocess.PIPE, text=True) as child:
        heads = 0
        end = time.monotonic() + 60
        while heads < 2 and time.monotonic() < end:
            heads += "running for" in child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert heads == 2


def test_without_stsgated(tmp_path, mta):
    config = tmp_path / "stsgate.conf"
    config.write_text(f'control {{ listen = {{"unix:{tmp_path}/none"}} }}\n')
    done = subprocess.run([programs.find("stsgate"), "-c", str(config), "status"],
                          capture_output=True, check=False)
    assert done.returncode == 69
    assert mta.ask("stats", "--watch").returncode == 64
