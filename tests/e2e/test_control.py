# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate(1): policy and cache, what they print and how they end; and their HTTP API."""

import json
import os
import re
import socket
import stat

import pytest
from checks import address, wait_until
from stslab import programs
from stslab.mx import Behaviour
from stslab.policyhost import policy_text

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
OK, NO, USAGE, AWAY, CONFIG = 0, 1, 64, 69, 78


def asked(daemon, *words, status=OK):
    """The JSON that stsgate --json prints; its exit status must be `status`."""
    done = daemon.ask(*words, "--json")
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else None


def printed(daemon, *words, status=OK):
    done = daemon.ask(*words)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def cached(daemon):
    listed = asked(daemon, "cache", "list")
    return {entry["domain"]: entry for entry in listed["policies"]}


def http(daemon, request):
    """One raw request on the control socket: status and body."""
    head, _, body = http_answer(daemon, request).partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def http_head(daemon, request):
    return http_answer(daemon, request).partition(b"\r\n\r\n")[0].decode("ascii")


def http_answer(daemon, request):
    path = daemon.settings["control"]["listen"][0].removeprefix("unix:")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(f"{request} HTTP/1.1\r\nHost: stsgated\r\nContent-Length: 0\r\n"
                     "Connection: close\r\n\r\n".encode())
        answer = b""
        while more := sock.recv(65536):
            answer += more
    return answer


def test_policy_of_a_domain(net, mta):
    domain = net.domain(policy="enforce", policy_id="shown1", max_age=3600)
    answer = asked(mta, "policy", domain.name)
    assert answer["domain"] == domain.name and answer["verdict"] == "use"
    sts = answer["sts"]
    assert (sts["state"], sts["mode"], sts["id"]) == ("valid", "enforce", "shown1")
    assert sts["mx"] == [domain.host.name] and sts["max_age"] == 3600 and sts["from"] == "fetch"
    assert TIME.match(sts["fetched"]) and TIME.match(sts["expires"])
    (host,) = answer["hosts"]
    assert (host["name"], host["preference"]) == (domain.host.name, 10)
    assert host["addresses"] == [domain.host.address]
    assert (host["dnssec"], host["policy"], host["mx_match"], host["use"]) == \
        ("secure", "sts", True, True)
    assert asked(mta, "policy", domain.name)["sts"]["from"] == "cache"


def test_policy_in_words(net, mta):
    domain = net.domain(policy="enforce", policy_id="shown2")
    text = printed(mta, "policy", domain.name)
    for word in (domain.name, "enforce", "shown2", domain.host.name):
        assert word in text, text


def test_policy_of_a_domain_without(net, mta):
    answer = asked(mta, "policy", net.domain().name)
    assert answer["sts"]["state"] == "none" and answer["verdict"] == "use"
    assert answer["hosts"][0]["policy"] == "none"


def test_policy_that_no_host_matches(net, mta):
    domain = net.domain(policy="enforce", patterns=["mx.elsewhere.example"])
    answer = asked(mta, "policy", domain.name)
    assert answer["verdict"] == "defer" and "4.7.5" in answer["reply"]
    (host,) = answer["hosts"]
    assert host["mx_match"] is False and host["use"] is False and host["reason"]


def test_policy_unknown_because_a_look_up_failed(net, mta):
    domain = net.domain(policy="enforce")
    net.dns.fault("_mta-sts." + domain.name, "TXT", "servfail")
    answer = asked(mta, "policy", domain.name, status=NO)
    assert answer["sts"]["state"] == "error"
    assert answer["sts"]["error"]["reason"]
    assert answer["verdict"] == "defer"
    shown = mta.ask("policy", domain.name).stdout
    assert f"  error       {answer['sts']['error']['reason']}\n" in shown


def test_policy_fetch_that_failed_is_told(net, mta):
    domain = net.domain(policy="enforce")
    domain.site.status = 404
    answer = asked(mta, "policy", domain.name, status=NO)
    assert answer["sts"]["error"]["type"] == "sts-policy-fetch-error"
    assert "404" in answer["sts"]["error"]["reason"]


def test_an_insecure_zone_is_called_so(net, mta):
    domain = net.domain(zone="plain")
    assert asked(mta, "policy", domain.name)["hosts"][0]["dnssec"] == "insecure"


def test_a_domain_that_does_not_exist(net, mta):
    answer = asked(mta, "policy", net.fresh_name())
    assert answer["verdict"] == "refuse" and "5.1.2" in answer["reply"]


def test_cache_list_and_show(net, mta):
    domain = net.domain(policy="testing", policy_id="cached1")
    assert domain.name not in cached(mta)
    mta.deliver(address(domain))
    entry = cached(mta)[domain.name]
    assert (entry["mode"], entry["id"], entry["mx"]) == ("testing", "cached1", [domain.host.name])
    assert TIME.match(entry["fetched"]) and TIME.match(entry["expires"])
    assert TIME.match(entry["refresh"])
    for text in (printed(mta, "cache", "list"), printed(mta, "cache", "show", domain.name)):
        for word in (domain.name, "testing", "cached1"):
            assert word in text, text
    shown = asked(mta, "cache", "show", domain.name)
    assert "cached1" in json.dumps(shown)


def test_cache_show_of_what_is_not_there(net, mta):
    done = mta.ask("cache", "show", net.fresh_name())
    assert done.returncode == NO and done.stderr


def test_cache_forget(net, mta):
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    printed(mta, "cache", "forget", domain.name)
    assert domain.name not in cached(mta)
    assert mta.ask("cache", "forget", domain.name).returncode == NO
    mta.deliver(address(domain))
    assert len(domain.fetches()) == 2


def test_what_changes_the_cache_is_logged_with_the_uid(net, mta):
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    printed(mta, "cache", "forget", domain.name)
    wait_until(lambda: any("uid=0" in line and domain.name in line
                           for line in mta.log_text().splitlines()), 3, "the log line")


def test_cache_refresh(net, mta):
    domain = net.domain(policy="enforce", policy_id="before")
    mta.deliver(address(domain))
    domain.site.body = policy_text("testing", [domain.host.name]).encode()
    answer = asked(mta, "cache", "refresh", domain.name)
    assert answer["mode"] == "testing" and answer["state"] == "valid"
    assert len(domain.fetches()) == 2
    assert cached(mta)[domain.name]["mode"] == "testing"


def test_cache_refresh_that_fails(net, mta):
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    domain.site.status = 503
    done = mta.ask("cache", "refresh", domain.name)
    assert done.returncode == NO and "503" in done.stdout + done.stderr
    assert cached(mta)[domain.name]["mode"] == "enforce", "the old policy is kept"
    assert cached(mta)[domain.name]["last_error"]


def test_cache_survives_a_restart(net, start):
    mta = start()
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    before = cached(mta)[domain.name]
    mta.restart()
    assert cached(mta)[domain.name] == before


def test_many_entries_are_listed(net, start):
    """More than one page of the API."""
    mta = start()
    domains = [net.domain(policy="enforce", mx=[], patterns=["mx.example"]) for _ in range(25)]
    for domain in domains:
        asked(mta, "policy", domain.name)
    assert set(cached(mta)) == {domain.name for domain in domains}
    status, body = http(mta, "GET /v1/cache?limit=10")
    page = json.loads(body)
    assert status == 200 and len(page["policies"]) == 10
    status, body = http(mta, f"GET /v1/cache?limit=100&after={page['next']}")
    rest = json.loads(body)
    assert len(rest["policies"]) == 15 and "next" not in rest


def test_options_before_and_after_the_verb(net, mta):
    domain = net.domain(policy="enforce")
    config = str(mta.config)
    for words in (["-c", config, "policy", domain.name, "--json"],
                  ["policy", domain.name, "--json", "-c", config],
                  ["--json", "policy", "-c", config, domain.name]):
        done = programs.run("stsgate", *words)
        assert done.returncode == OK, (words, done.stderr)
        assert json.loads(done.stdout)["domain"] == domain.name


@pytest.mark.parametrize("words", [
    [], ["nonsense"], ["policy"], ["policy", "a.example", "b.example"], ["cache"],
    ["cache", "nonsense"], ["cache", "show"], ["cache", "forget"], ["--nonsense", "policy", "a.b"]])
def test_usage(mta, words):
    done = mta.ask(*words)
    assert done.returncode == USAGE and done.stderr, (done.stdout, done.stderr)


@pytest.mark.parametrize("name", ["", "a b", "a..b", "x" * 64 + ".example", "a/b",
                                  "192.0.2.1", "2001:db8::1"])
def test_names_that_are_none(mta, name):
    done = mta.ask("policy", "--", name)
    assert done.returncode in (NO, USAGE), (done.returncode, done.stdout, done.stderr)


def test_stsgated_is_not_running(net):
    mta = net.daemons.make()
    for words in (["policy", "a.example"], ["check", "a.example"], ["stats"], ["cache", "list"],
                  ["cache", "export"], ["cache", "import"], ["report", "show"], ["report", "send"]):
        done = mta.ask(*words)
        assert done.returncode == AWAY and "stsgated" in done.stderr, words
    net.daemons.discard(mta)


def test_configuration_errors(tmp_path):
    bad = tmp_path / "bad.conf"
    bad.write_text("nonsense = 1\n")
    done = programs.run("stsgate", "-c", str(bad), "cache", "list")
    assert done.returncode == CONFIG and f"{bad}:1: " in done.stderr
    done = programs.run("stsgate", "-c", "/nonexistent/stsgate.conf", "cache", "list")
    assert done.returncode == CONFIG


@pytest.mark.parametrize("request_line,status", [
    ("GET /v1/policy/not%20a%20name", 400), ("GET /v1/nonsense", 404), ("GET /", 404),
    ("PUT /v1/cache", 405), ("DELETE /v1/cache/unknown.example", 404),
    ("GET /v1/cache", 200), ("GET /v1/cache?limit=-1", 400), ("GET /v1/cache?limit=abc", 400),
    ("GET /v1/cache?limit=0", 400), ("GET /v1/cache?limit=1", 200),
    ("GET /v1/cache?after=a..b", 400), ("GET /v1/cache?after=", 200), ("GET /v1/policy/192.0.2.1", 400),
    ("POST /v1/stats", 405),
    ("POST /v1/policy/a.example", 405), ("GET /v1/cache/a.example/refresh", 405),
    ("POST /v1/cache/a.example", 405), ("DELETE /v1/cache", 405), ("POST /metrics", 405),
    ("DELETE /healthz", 405), ("GET /v1/policy/" + "a" * 600, 400), ("HEAD /v1/stats", 200),
    ("GET /v1/check/a..b", 400), ("DELETE /v1/cache/a..b", 400), ("POST /v1/cache/a..b/refresh", 400),
    ("GET /v1/cache/none.example", 404), ("GET /v1/tlsrpt/2020-01-01", 404),
    ("GET /v1/tlsrpt/2020-02-30", 400), ("GET /v1/tlsrpt/2020-01-01x", 400),
    ("GET /v1/tlsrpt/2020-01-01/a..b", 400), ("GET /v1/tlsrpt/2020-01-01/a.example", 404),
    ("POST /v1/tlsrpt/2020-01-01", 405), ("GET /v1/tlsrpt/2020-01-01/send", 405),
    ("POST /v1/tlsrpt/nonsense/send", 400)])
def test_statuses(mta, request_line, status):
    assert http(mta, request_line)[0] == status


@pytest.mark.parametrize("path", [
    "{}%00.x.example", "{}%00", "{}\0.x.example", "{}\0", "%00{}", "{}%0", "{}%", "{}%zz", "{}%2", "{}%0a",
    "{}%7f", "x%2f..%2f{}", "{}%2Frefresh", "{}?after=%00", "{}?x=%0", "{}?x=\0"])
def test_a_path_that_names_something_else_is_400(net, mta, path):
    """A path that a NUL cuts, or that an escape forges, removes no policy."""
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    for method, before in (("DELETE", "/v1/cache/"), ("GET", "/v1/cache/"), ("GET", "/v1/policy/"),
                           ("POST", "/v1/cache/")):
        answer = http_answer(mta, f"{method} {before}{path.format(domain.name)}")
        # libmicrohttpd 1.0 answers a NUL itself, by closing the connection.
        assert answer.startswith(b"HTTP/1.1 400 ") or ("\0" in path and not answer), (method, before)
    assert domain.name in cached(mta)


def test_a_long_name_in_utf8_is_not_cut(net, mta):
    """As A-labels it fits; what is left of it when it is cut is a name as well."""
    name = ".".join(["\u4e2d" * 45] * 4) + ".example"
    assert len(name.encode("utf-8")) > 512
    assert http(mta, f"GET /v1/cache/{name}")[0] == 404
    assert http(mta, "GET /v1/cache/" + "\u4e2d" * 400)[0] == 400
    assert http(mta, f"GET /v1/cache/{('a' * 60 + '.') * 20}example")[0] == 400
    assert http(mta, f"GET /v1/policy/{domain_of(net)}%2e")[0] == 200


def domain_of(net):
    return net.domain(policy="enforce").name


@pytest.mark.parametrize("request_line,allow", [
    ("PUT /v1/cache", "GET, POST"), ("PUT /v1/cache/a.example", "GET, DELETE"),
    ("GET /v1/cache/a.example/refresh", "POST"), ("GET /v1/tlsrpt/2020-01-01/send", "POST")])
def test_405_names_the_methods(mta, request_line, allow):
    assert f"\r\nAllow: {allow}\r\n" in http_head(mta, request_line) + "\r\n"


def test_delete_answers_204(net, mta):
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    assert http(mta, f"DELETE /v1/cache/{domain.name}") == (204, b"")


def test_refresh_answers_502_when_the_fetch_failed(net, mta):
    domain = net.domain(policy="enforce")
    mta.deliver(address(domain))
    domain.site.manner = "reset"
    assert http(mta, f"POST /v1/cache/{domain.name}/refresh")[0] == 502


def test_the_control_socket_is_its_owners(mta):
    path = mta.settings["control"]["listen"][0].removeprefix("unix:")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_tcp_listener_does_not_serve_the_cache(net, start):
    """It serves GET /metrics and /healthz alone."""
    mta = start()
    unix = mta.settings["control"]["listen"][0]
    mta.stop()
    mta.reconfigure({"control": {"listen": [unix, "inet:127.0.0.1:8480"]}})
    mta.start()
    for line in ("GET /v1/cache", "DELETE /v1/cache/a.example", "GET /v1/policy/a.example"):
        with socket.create_connection(("127.0.0.1", 8480), 5) as sock:
            sock.sendall(f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            assert sock.recv(4096).split(b" ")[1] in (b"403", b"404", b"405")


def test_policy_names_the_stripped_host_only_at_delivery(net, mta):
    """`policy` asks DNS and the policy host, never the MX hosts."""
    domain = net.domain(policy="enforce", behaviour=Behaviour(offer_starttls=False))
    asked(mta, "policy", domain.name)
    assert domain.host.connections == []
