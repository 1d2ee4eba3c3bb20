# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The operator's tools: metrics, stats, export and import of the cache, and a live check."""

import json
import re
import shutil
import socket
import subprocess
import time

import pytest
from checks import address, assert_nothing_leaked, wait_until
from stslab import programs
from stslab.internet import Mx
from stslab.mx import Behaviour, Silence
from stslab.policyhost import policy_text

OK, NO, USAGE = 0, 1, 64
SAMPLE = re.compile(r'(stsgate_[a-z_]+)(\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? (-?\d+)$')


def control_path(daemon):
    return daemon.settings["control"]["listen"][0].removeprefix("unix:")


def http(daemon, method, path, body=b"", where=None, host="localhost", accept=None):
    """One request on the control socket: status, headers, body."""
    sock = socket.create_connection(where, 10) if where else socket.socket(socket.AF_UNIX)
    with sock:
        sock.settimeout(30)
        if not where:
            sock.connect(control_path(daemon))
        sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
                     "Connection: close\r\n".encode() +
                     (f"Accept: {accept}\r\n" if accept else "").encode() + b"\r\n" + body)
        answer = b""
        while more := sock.recv(65536):
            answer += more
    head, _, rest = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in
               (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split(" ")[1]), headers, rest


def metrics(daemon, **where):
    """The samples of /metrics, by name with labels; every line is checked for its form."""
    status, headers, body = http(daemon, "GET", "/metrics", **where)
    assert status == 200
    assert headers["content-type"] == \
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    lines = body.decode().split("\n")
    assert lines[-2:] == ["# EOF", ""]
    families, samples, family = {}, {}, None
    for line in lines[:-2]:
        if line.startswith("# TYPE "):
            family, kind = line.split(" ")[2:]
            assert family not in families, "one block a family"
            families[family] = kind
        elif line.startswith("# HELP "):
            assert line.split(" ")[2] == family
        else:
            match = SAMPLE.match(line)
            assert match, line
            assert match.group(1) == family + ("_total" if families[family] == "counter" else "")
            name = line.rpartition(" ")[0]
            assert name not in samples
            samples[name] = int(match.group(3))
    return samples


def stats(daemon):
    done = daemon.ask("stats", "--json")
    assert done.returncode == OK, done.stderr
    return json.loads(done.stdout)


def test_a_delivery_is_counted(net, start):
    mta = start()
    before = metrics(mta)
    assert before["stsgate_transactions_total"] == 0
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    mta.deliver(address(domain))
    after = metrics(mta)
    for name, number in (
            ('stsgate_transactions_total', 2),
            ('stsgate_recipients_total{status="sent"}', 2),
            ('stsgate_recipients_total{status="deferred"}', 0),
            ('stsgate_attempts_total{policy="sts",result="ok"}', 2),
            ('stsgate_connections_total{tls="verified"}', 2),
            ('stsgate_policy_fetches_total{result="ok"}', 1),
            ('stsgate_policy_lookups_total{answer="fetch"}', 1),
            ('stsgate_policy_lookups_total{answer="cache"}', 1),
            ('stsgate_policies_unsaved', 0),
            ('stsgate_store_damaged_time_seconds', 0),
            ('stsgate_resolver_health{state="validates"}', 1)):
        assert after[name] == number, (name, after[name])
    assert after['stsgate_dns_lookups_total{state="secure"}'] > \
        before['stsgate_dns_lookups_total{state="secure"}']
    assert after["stsgate_lmtp_sessions_total"] >= before["stsgate_lmtp_sessions_total"] + 2
    assert after["stsgate_start_time_seconds"] > 1700000000
    assert after["stsgate_connections_open"] <= 1, "a kept one, if any"
    for gauge in ("stsgate_lmtp_sessions_running", 'stsgate_spool_bytes{place="memory"}'):
        wait_until(lambda gauge=gauge: metrics(mta)[gauge] == 0, what=gauge)


def test_failures_are_counted(net, start):
    mta = start({"lmtp": {"max-message-size": 2000}})
    stripped = net.domain(policy="enforce", behaviour=Behaviour(offer_starttls=False))
    mta.deliver(address(stripped))
    refetched = net.domain(policy="enforce")
    refetched.site.status = 404
    mta.deliver(address(refetched))
    mta.deliver(address(net.domain()), content=b"x" * 70 + b"\r\n" + b"y" * 3000 + b"\r\n")
    after = metrics(mta)
    for name, number in (
            ('stsgate_recipients_total{status="deferred"}', 1),
            ('stsgate_attempts_total{policy="sts",result="starttls-not-supported"}', 1),
            ('stsgate_policy_fetches_total{result="sts-policy-fetch-error"}', 1),
            ('stsgate_messages_refused_total{reason="size"}', 1)):
        assert after[name] == number, (name, after[name])


def test_alarms_are_counted(net, start):
    mta = start()
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    net.dns.fault("_mta-sts." + domain.name, "TXT", "nxdomain")
    wait_until(lambda: mta.deliver(address(domain)) and metrics(mta)[
        'stsgate_policy_alarms_total{alarm="txt-gone"}'] == 1, 10, "the alarm")


def test_stats_are_the_same_numbers(net, mta):
    mta.deliver(address(net.domain(policy="enforce")))
    numbers = stats(mta)
    assert all(isinstance(number, int) for number in numbers.values())
    names = {re.sub(r"[{,][a-z]+=", ".", name.removeprefix("stsgate_")).replace('"', "")
             .replace("}", "") for name in metrics(mta)}
    assert set(numbers) == names
    assert numbers["recipients_total.sent"] >= 1
    done = mta.ask("stats")
    assert done.returncode == OK
    printed = dict(line.split(" ") for line in done.stdout.splitlines())
    assert set(printed) == names and int(printed["recipients_total.sent"]) >= 1


def test_metrics_over_tcp_for_the_machine_alone(start):
    mta = start()
    unix = mta.settings["control"]["listen"][0]
    mta.stop()
    mta.reconfigure({"control": {"listen": [unix, "inet:127.0.0.1:8481"]}})
    mta.start()
    where = ("127.0.0.1", 8481)
    assert "stsgate_transactions_total" in metrics(mta, where=where, host="127.0.0.1:8481")
    assert http(mta, "GET", "/metrics", where=where, host="attacker.example")[0] == 400
    assert http(mta, "GET", "/v1/stats", where=where)[0] == 404
    with socket.create_connection(where, 10) as plain:
        plain.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")


PROMETHEUS = ("application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
              "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")


def test_the_format_of_the_metrics_is_what_the_client_accepts(mta):
    for accept in (None, "*/*", PROMETHEUS, "application/openmetrics-text"):
        headers = http(mta, "GET", "/metrics", accept=accept)[1]
        assert headers["content-type"].startswith("application/openmetrics-text; "), accept
    for accept in ("text/plain", "text/plain;version=0.0.4;q=1,*/*;q=0.1", "text/*"):
        headers = http(mta, "GET", "/metrics", accept=accept)[1]
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8", accept


def test_every_sample_of_the_plain_format_has_help_and_type(mta):
    body = http(mta, "GET", "/metrics", accept="text/plain")[2]
    kinds, helped, samples = {}, set(), set()
    for line in body.decode().removesuffix("\n").split("\n"):
        if line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            assert name not in kinds and kind in ("counter", "gauge")
            kinds[name] = kind
        elif line.startswith("# HELP "):
            assert line.split(" ", 3)[3][0].isalnum()
            helped.add(line.split(" ")[2])
        else:
            match = SAMPLE.match(line)
            assert match, line
            name = match.group(1)
            assert name in helped and name.endswith("_total") is (kinds[name] == "counter")
            samples.add(line.rpartition(" ")[0])
    assert samples == set(metrics(mta)) and helped == set(kinds)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say(mta):
    body = http(mta, "GET", "/metrics", accept="text/plain")[2]
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def exported(daemon):
    done = daemon.ask("cache", "export")
    assert done.returncode == OK, done.stderr
    return done.stdout


def imported(daemon, text, *words):
    return programs.run("stsgate", "-c", str(daemon.config), "cache", "import", *words,
                        stdin=text.encode() if isinstance(text, str) else text)


def test_the_cache_is_carried_to_another_relay(net, start):
    old, new = start(), start()
    enforcing, testing = net.domain(policy="enforce"), net.domain(policy="testing")
    for domain in (enforcing, testing):
        old.deliver(address(domain))
    text = exported(old)
    lines = {line["domain"]: line for line in map(json.loads, text.splitlines())}
    assert set(lines) == {enforcing.name, testing.name}
    line = lines[enforcing.name]
    assert set(line) == {"domain", "mode", "id", "mx", "max_age", "fetched", "expires", "policy"}
    assert line["policy"].encode() == enforcing.site.body
    done = imported(new, text)
    assert done.returncode == OK and "2 imported, 0 rejected" in done.stdout, done.stderr
    assert exported(new) == text
    for domain in (enforcing, testing):
        net.dns.fault("_mta-sts." + domain.name, "TXT", "servfail")
    enforcing.host.behaviour.offer_starttls = False
    assert new.deliver(address(enforcing)).only.short == "451 4.7.4"
    assert len(enforcing.fetches()) == 1, "nothing was fetched anew"
    assert "change=import" in new.log_text() and "imported=2" in new.log_text()
    assert "uid=0" in next(line for line in new.log_text().splitlines() if "change=import" in line)
    new.restart()
    assert exported(new) == text


def test_an_import_never_replaces_a_later_fetch(net, start):
    mta = start()
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    line = json.loads(exported(mta))
    older = dict(line, mode="none", fetched="2026-01-01T00:00:00Z", max_age=31000000,
                 policy="version: STSv1\nmode: none\nmax_age: 31000000\n")
    done = imported(mta, json.dumps(older) + "\n")
    assert done.returncode == NO
    assert f"line 1: {domain.name}: a policy that was fetched later is cached" in done.stderr
    assert json.loads(exported(mta)) == line
    assert imported(mta, json.dumps(line)).returncode == OK, "what is there already is well"


def test_lines_that_are_rejected(net, start):
    mta = start()
    good = {"domain": "good.example", "id": "1", "mode": "enforce", "mx": ["mx.good.example"],
            "max_age": 31000000, "fetched": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    lines = ["", json.dumps(good), "nonsense", json.dumps(dict(good, domain="a..b")),
             json.dumps(dict(good, domain="old.example", fetched="2001-01-01T00:00:00Z")),
             json.dumps(dict(good, domain="future.example", fetched="2099-01-01T00:00:00Z")),
             json.dumps(dict(good, domain="none.example", mx=[])),
             json.dumps(dict(good, domain="B\u00fccher.example"))]
    done = imported(mta, "\n".join(lines) + "\n")
    assert done.returncode == NO and "2 imported, 5 rejected" in done.stdout
    assert re.findall(r"line (\d+):", done.stderr) == ["3", "4", "5", "6", "7"]
    assert [json.loads(line)["domain"] for line in exported(mta).splitlines()] == \
        ["good.example", "xn--bcher-kva.example"]
    done = imported(mta, "\n".join(lines), "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == NO and (answer["imported"], answer["rejected"]) == (2, 5)
    assert [reason["line"] for reason in answer["reasons"]] == [3, 4, 5, 6, 7]


def test_more_than_one_request_and_one_page(start):
    """Lines are numbered over requests; pages end early when their policies are large."""
    mta = start()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    padding = "".join(f"note{n}: {'x' * 200}\n" for n in range(250))
    lines = [json.dumps({"domain": f"d{n:03}.example", "id": "1", "fetched": now, "policy":
                         f"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 86400\n{padding}"})
             for n in range(120)]
    lines[100] = "broken"
    done = imported(mta, "\n".join(lines))
    assert done.returncode == NO and "119 imported, 1 rejected" in done.stdout
    assert re.findall(r"line (\d+):", done.stderr) == ["101"]
    status, _, body = http(mta, "GET", "/v1/cache")
    assert status == 200 and "next" in json.loads(body) and len(body) < 8 << 20
    assert len(exported(mta).splitlines()) == 119


def test_an_import_that_is_too_large(mta):
    status, _, body = http(mta, "POST", "/v1/cache", b" " * ((16 << 20) + 1))
    assert status == 413 and b"too large" in body
    assert http(mta, "POST", "/v1/cache", b"")[0] == 200


def checked(daemon, domain, status=OK):
    """The steps of a check as {(step, host): ok, detail}, and whether it is verified."""
    done = daemon.ask("check", domain.name, "--json")
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    assert answer["domain"] == domain.name and answer["verified"] is (status == OK)
    for step in answer["steps"]:
        assert set(step) <= {"step", "host", "address", "ok", "detail", "ms"} and step["ms"] >= 0
    return {(step["step"], step.get("host")): (step["ok"], step["detail"])
            for step in answer["steps"]}


def test_check_of_a_good_domain(net, mta):
    domain = net.domain(policy="enforce", policy_id="good1", mx=(Mx(10), Mx(20)))
    steps = checked(mta, domain)
    assert steps["dns", None][0] and "2 MX hosts" in steps["dns", None][1]
    assert steps["policy", None][0] and "enforce, id good1" in steps["policy", None][1]
    for host in domain.hosts:
        for name in ("connect", "greeting", "ehlo", "starttls", "handshake", "certificate",
                     "ehlo-tls"):
            assert steps[name, host.name][0], (name, steps[name, host.name])
        assert host.address in steps["connect", host.name][1]
        assert "TLSv1.3" in steps["handshake", host.name][1]
        assert "sts" in steps["certificate", host.name][1]
    assert_nothing_leaked(domain)
    assert "event=attempt" not in "\n".join(
        line for line in mta.log_text().splitlines() if domain.name in line)


def test_check_in_words(net, mta):
    domain = net.domain(policy="enforce")
    done = mta.ask("check", domain.name)
    assert done.returncode == OK
    rows = done.stdout.splitlines()
    assert rows[-1] == f"A delivery to {domain.name} would be verified."
    assert any(re.match(rf"ok +certificate +{re.escape(domain.host.name)}\[", row)
               for row in rows), done.stdout
    plain = net.domain()
    done = mta.ask("check", plain.name)
    assert done.returncode == NO and "would not be verified" in done.stdout


def test_check_finds_the_fault(net, mta):
    for behaviour, step in (
            (Behaviour(offer_starttls=False), "starttls"),
            (Behaviour(starttls="454 4.7.0 not now"), "starttls"),
            (Behaviour(certificate="expired"), "certificate"),
            (Behaviour(greeting="554 5.7.1 go away"), "greeting"),
            (Behaviour(maximum_tls="TLSv1.1"), "handshake")):
        domain = net.domain(policy="enforce", behaviour=behaviour)
        steps = checked(mta, domain, status=NO)
        failed = [name for (name, host), (ok, _) in steps.items() if not ok]
        assert failed == [step], (behaviour, steps)
        assert_nothing_leaked(domain)


def test_check_fetches_the_policy_afresh(net, mta):
    domain = net.domain(policy="enforce", policy_id="before")
    mta.deliver(address(domain))
    domain.site.body = policy_text("testing", [domain.host.name]).encode()
    assert "testing" in checked(mta, domain)["policy", None][1]
    domain.site.status = 503
    ok, detail = checked(mta, domain)["policy", None]
    assert not ok and "503" in detail and "from the cache" in detail
    assert len(domain.fetches()) == 3


def test_check_of_hosts_that_are_not_listed(net, mta):
    domain = net.domain(policy="enforce", patterns=["mx.elsewhere.example"])
    steps = checked(mta, domain, status=NO)
    assert not steps["plan", domain.host.name][0]
    assert "4.7.5" in steps["plan", None][1]
    assert domain.host.connections == []


def test_check_of_what_is_not_there(net, mta):
    done = mta.ask("check", net.fresh_name(), "--json")
    assert done.returncode == NO
    step = json.loads(done.stdout)["steps"][0]
    assert step["step"] == "dns" and not step["ok"]
    assert mta.ask("check", "--", "a..b").returncode == USAGE
    assert mta.ask("check").returncode == USAGE


def test_check_tries_every_address(net, mta):
    """Also one that is known to be dead."""
    domain = net.domain(policy="enforce", mx=(Mx(10, down=True), Mx(20, family=("ipv6", "loopback"))))
    mta.deliver(address(domain))
    down, *_, up = domain.hosts
    answer = json.loads(mta.ask("check", domain.name, "--json").stdout)
    connects = [(step["host"], step["address"], step["ok"]) for step in answer["steps"]
                if step["step"] == "connect"]
    assert answer["verified"] and len(connects) == 3
    assert connects[0] == (down.name, down.address, False)
    assert {(name, ok) for name, _, ok in connects[1:]} == {(up.name, True)}
    assert len({where for _, where, _ in connects}) == 3


def test_check_passes_over_what_fails_before(net, mta):
    """The first host that a delivery would use decides."""
    domain = net.domain(policy="enforce", mx=(Mx(10), Mx(20)))
    first, second = domain.hosts
    first.behaviour.certificate = "expired"
    assert not checked(mta, domain)["certificate", first.name][0]
    second.behaviour.certificate = "expired"
    checked(mta, domain, status=NO)


def test_a_check_ends_with_its_client_and_with_stsgated(net, start):
    mta = start({"smtp": {"command-timeout": "60s"}})
    silent = net.domain(policy="enforce", behaviour=Behaviour(greeting=Silence()))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(control_path(mta))
        sock.sendall(f"GET /v1/check/{silent.name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until(lambda: silent.host.connections, what="the visit")
        assert metrics(mta)["stsgate_connections_open"] == 1
    wait_until(lambda: metrics(mta)["stsgate_connections_open"] == 0, 3, "the end of the visit")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(control_path(mta))
        sock.sendall(f"GET /v1/check/{silent.name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until(lambda: len(silent.host.connections) == 2, what="the visit")
        began = time.monotonic()
        assert mta.stop() == 0
        assert time.monotonic() - began < 5


def test_check_prints_its_rows_as_they_come(net, start):
    """While a later host is still being tried, also where nothing is a terminal."""
    mta = start({"smtp": {"command-timeout": "12s"}})
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20, behaviour=Behaviour(greeting=Silence()))])
    child = subprocess.Popen([programs.find("stsgate"), "-c", str(mta.config), "check", domain.name],
                             stdout=subprocess.PIPE, text=True)
    whole = subprocess.Popen([*child.args, "--json"], stdout=subprocess.PIPE, text=True)
    rows = []
    while not any(re.match(r"ok +certificate ", row) for row in rows):
        rows.append(child.stdout.readline())
        assert rows[-1], rows
    assert child.poll() is None
    last = child.stdout.read().splitlines()
    assert child.wait(30) == OK
    assert last[-1] == f"A delivery to {domain.name} would be verified."
    assert any(row.startswith("FAIL") for row in last)
    assert len(json.load(whole.stdout)["steps"]) == len(rows + last) - 1
    assert whole.wait(30) == OK
