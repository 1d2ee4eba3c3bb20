# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The policy map: the answers to a Postfix, Sendmail or Exim that delivers by itself."""

import json
import os
import stat
import threading
import time

import pytest
from checks import wait_until
from stslab import socketmap
from stslab.internet import Mx
from stslab.policyhost import policy_text
from stslab.socketmap import netstring

MAPS = ("postfix", "postfix-tlsrpt", "sts")


def where(daemon):
    return daemon.settings["policy-map"]["listen"][0]


def ask(daemon, name, key):
    return socketmap.ask(where(daemon), name, key)


def secure(*hosts):
    return f"OK secure match={':'.join(host.name for host in hosts)} servername=hostname"


@pytest.fixture
def client(mta):
    with socketmap.Client(where(mta)) as one:
        yield one


def test_enforce(net, client):
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    assert client.ask("postfix", domain.name) == secure(*domain.hosts)
    assert client.ask("sts", domain.name) == secure(*domain.hosts)
    assert client.ask("postfix", domain.name.upper()) == secure(*domain.hosts)


def test_patterns_become_host_names(net, client):
    """The MTA would take ".example" for any number of labels, and we take it for one."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)], patterns=["*.invalid.example"])
    domain.set_policy(patterns=["*." + domain.name])
    assert client.ask("postfix", domain.name) == secure(*domain.hosts)


def test_unlisted_hosts_are_left_out(net, client):
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    domain.set_policy(patterns=[domain.hosts[1].name])
    for name in ("postfix", "sts"):
        assert client.ask(name, domain.name) == secure(domain.hosts[1])


def test_no_listed_host(net, client):
    domain = net.domain(policy="enforce", patterns=["mx.elsewhere.example"], policy_id="lone1")
    for name in MAPS:
        answer = client.ask(name, domain.name)
        assert answer.startswith("TEMP ") and "lone1" in answer, answer
    assert client.ask("sts", domain.name).startswith("TEMP ")


@pytest.mark.parametrize("policy", [None, "none", "testing"])
def test_nothing_to_enforce(net, client, policy):
    domain = net.domain(policy=policy)
    for name in ("postfix", "sts"):
        assert client.ask(name, domain.name) == "NOTFOUND "


def test_report_attributes(net, client):
    domain = net.domain(policy=policy_text("enforce", ["mx1.placeholder.example"], 600).encode())
    domain.site.body = (f"version: STSv1\r\nmode: enforce\r\nmx: {domain.host.name}\r\n"
                        "max_age: 600\r\next: a{b}c\r\n").encode()
    answer = client.ask("postfix-tlsrpt", domain.name)
    assert answer == (
        secure(domain.host) + f" policy_type=sts policy_domain={domain.name}"
        f" mx_host_pattern={domain.host.name} {{policy_string=version: STSv1}}"
        f" {{policy_string=mode: enforce}} {{policy_string=mx: {domain.host.name}}}"
        " {policy_string=max_age: 600} {policy_string=ext: a%7Bb%7Dc}")


@pytest.mark.parametrize("policy", [None, "none", "testing"])
def test_nothing_to_report_where_nothing_is_verified(net, client, policy):
    """Postfix verifies nothing at level "may", and would report successes that were none."""
    assert client.ask("postfix-tlsrpt", net.domain(policy=policy).name) == "NOTFOUND "


def test_next_hops(net, client):
    """H20."""
    name = net.domain(policy="enforce").name
    good = client.ask("postfix", name)
    assert good.startswith("OK secure ")
    for hop in (f"[{name}]:123", f"[{name}]", f"{name}:587", f"{name}.", f"[{name}.]:submission"):
        assert client.ask("postfix", hop) == good, hop
    for hop in (f".{name}", "[a:bb::dd]:25", "[192.0.2.1]", "[192.0.2.1]:25", "192.0.2.1",
                "[IPv6:2001:db8::1]", "2001:db8::1", ""):
        assert client.ask("postfix", hop) == "NOTFOUND ", hop


NO_NAMES = ("{}/x", "x/{}", "a b.{}", "{} ", " {}", "{}\0", "\0{}", "{}\n", "x@{}", "*.{}", "{}..",
            "x..{}", "..{}", ".a b.{}", "[{}", "[{}]x", "[{}]:", "{}:", ".", "..", "[]", "[IPv6:{}]",
            "\N{SNOWMAN}" * 300, "x" * 64 + ".{}", "a." * 127 + "{}", "\N{ZERO WIDTH JOINER}.{}")


def test_keys_that_are_no_names(net, mta, client):
    """An MTA may interpret them in another way, so they must not be delivered without a policy."""
    name = net.domain(policy="enforce").name
    for key in NO_NAMES:
        for map_name in (*MAPS, "json"):
            answer = client.ask(map_name, key.format(name))
            assert answer.startswith("TEMP "), (map_name, key, answer)
        for line in (f"policy {key.format(name)}\n", f"mx {key.format(name)} mx1.{name}\n"):
            if key.strip(" ") == key and "\n" not in key:
                assert socketmap.ask_line(where(mta), line) == "mode=error\n", line


def test_names_as_people_write_them(net, mta, client):
    """U-labels are converted, with emoji too: a policy is not missed since its name is odd."""
    base = net.fresh_name()
    for written, label in (("B\u00dcCHER", "xn--bcher-kva"), ("i\N{HEAVY BLACK HEART}", "xn--i-7iq"),
                           ("\N{SNOWMAN}", "xn--n3h")):
        domain = net.domain(policy="enforce", name=f"{label}.{base}", policy_id="odd1")
        for key in (f"{written}.{base}", f"{written}.{base.upper()}.", f"[{written}.{base}]:25"):
            assert client.ask("postfix", key) == secure(domain.host), key
            assert client.ask("sts", key) == secure(domain.host), key
            line = f"mx {key} {written.lower()}.{base}\n"
            assert socketmap.ask_line(where(mta), line).startswith("mode=enforce match=no "), line
            line = f"mx {key} {domain.host.name.upper()}.\n"
            assert socketmap.ask_line(where(mta), line).startswith("mode=enforce match=yes "), line
    longest = ".".join(["a"] * 126) + "." + "x"
    assert client.ask("postfix", longest) == "NOTFOUND "


def test_no_such_map(net, client):
    name = net.domain(policy="enforce").name
    for question in (f"nosuch {name}", "postfix", "", " ", f"Postfix {name}", f"postfi {name}"):
        client.send(netstring(question))
        assert client.answer().startswith("TEMP "), question


def test_json(net, mta, client):
    domain = net.domain(policy="enforce", policy_id="json1")
    status, _, text = client.ask("json", domain.name).partition(" ")
    answer = json.loads(text)
    assert status == "OK" and answer["verdict"] == "use" and answer["sts"]["id"] == "json1"
    assert answer["hosts"][0]["name"] == domain.host.name
    done = mta.ask("policy", domain.name, "--json")
    shown = json.loads(done.stdout)
    shown["sts"].pop("from"), answer["sts"].pop("from")
    assert shown == answer
    assert client.ask("json", ".example") == "NOTFOUND "


@pytest.mark.parametrize("fault", ["servfail", "stripped"])
def test_txt_that_fails(net, client, fault):
    """Whether a policy is in force is not known: no MTA may deliver without it."""
    domain = net.domain(policy="enforce")
    net.dns.fault("_mta-sts." + domain.name, "TXT", fault)
    for name in MAPS:
        assert client.ask(name, domain.name).startswith("TEMP ")


def test_mx_that_fails(net, client):
    domain = net.domain(policy="enforce")
    net.dns.fault(domain.name, "MX", "servfail")
    for name in MAPS:
        assert client.ask(name, domain.name).startswith("TEMP ")


def test_never_perm(net, mta):
    """Sendmail takes PERM for leave to deliver unprotected."""
    domain = net.domain(policy="enforce")
    net.dns.fault(domain.name, "*", "nxdomain")
    for name in MAPS:
        assert not ask(mta, name, domain.name).startswith("PERM")


def test_slow_dns_is_not_waited_for(net, start):
    """TEMP within 4 s; the look-up goes on, and the next question finds it."""
    mta = start({"dns": {"timeout": "60s"}, "sts": {"fetch-timeout": "60s"}})
    domain, quick = net.domain(policy="enforce"), net.domain(policy="enforce")
    net.dns.fault("_mta-sts." + domain.name, "TXT", "silence")
    with socketmap.Client(where(mta)) as client:
        began = time.monotonic()
        assert client.ask("postfix", domain.name).startswith("TEMP ")
        assert 3 < time.monotonic() - began < 5
        # Another domain is not held up, on this connection or elsewhere.
        assert client.ask("postfix", quick.name) == secure(quick.host)
        net.dns.heal("_mta-sts." + domain.name)
        wait_until(domain.fetches, 60)
        assert client.ask("postfix", domain.name) == secure(domain.host)
        assert len(domain.fetches()) == 1
    counters = json.loads(mta.ask("stats", "--json").stdout)
    assert counters["map_timeouts_total"] == 1


def test_pipelined_answers_come_in_order(net, mta):
    """One that takes too long in the middle is waited for once."""
    domains = [net.domain(policy="enforce" if i % 2 else None) for i in range(6)]
    slow = domains[3]
    slow.site.manner = "drip"
    slow.site.body = policy_text("none").encode()
    with socketmap.Client(where(mta)) as client:
        client.send(b"".join(netstring(f"postfix {domain.name}") for domain in domains * 20))
        answers = [client.answer() for _ in domains * 20]
    expected = [secure(domain.host) if domain.site else "NOTFOUND " for domain in domains]
    expected[3] = "NOTFOUND "  # its policy does not come within sts.fetch-timeout
    assert answers == expected * 20


def test_questions_that_come_during_a_look_up(net, start):
    """Each is answered within 4 s of its own coming, and in order."""
    mta = start({"dns": {"timeout": "60s"}})
    domains = [net.domain(policy="enforce") for _ in range(3)]
    for domain in domains:
        net.dns.fault("_mta-sts." + domain.name, "TXT", "silence")
    with socketmap.Client(where(mta)) as client:
        began = time.monotonic()
        for domain in domains:
            client.send(netstring(f"postfix {domain.name}"))
            wait_until(lambda name=domain.name: net.dns.queries("_mta-sts." + name, "TXT"), 30)
        assert time.monotonic() - began < 3, "the second waited for the first"
        client.send(netstring("sts .example"))
        assert all(client.answer().startswith("TEMP ") for _ in domains)
        assert client.answer() == "NOTFOUND "
        assert time.monotonic() - began < 7


def test_one_octet_at_a_time(net, client):
    domain = net.domain(policy="enforce")
    client.ask("postfix", domain.name)
    for octet in netstring(f"postfix {domain.name}") * 2:
        client.send(bytes([octet]))
    assert client.answer() == client.answer() == secure(domain.host)


@pytest.mark.parametrize("bad", [
    b"01:a,", b":,", b"x:a,", b"1:ab", b"10001:", b"99999999999999999999:", b"0;,"])
def test_what_is_no_netstring(net, mta, bad):
    """H21: what came before is answered, and the connection ends."""
    domain = net.domain(policy="enforce")
    with socketmap.Client(where(mta)) as client:
        client.send(netstring(f"sts {domain.name}") + bad)
        assert client.answer() == secure(domain.host)
        assert client.closed()
    with socketmap.Client(where(mta)) as client:
        client.send(netstring("postfix " + "x" * (10000 - len("postfix "))))
        assert client.answer().startswith("TEMP ")


def test_lines_for_exim(net, mta):
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)], policy_id="exim1")
    domain.set_policy(patterns=[domain.hosts[0].name])
    lone = net.domain(policy="enforce", patterns=["mx.elsewhere.example"], policy_id="exim2")
    failing = net.domain(policy="enforce")
    net.dns.fault("_mta-sts." + failing.name, "TXT", "servfail")
    testing = net.domain(policy="testing", policy_id="exim3")
    for half_close in (True, False):
        for line, answer in (
                (f"policy {domain.name}\n", "mode=enforce match=yes id=exim1 dane=no\n"),
                (f"mx {domain.name} {domain.hosts[0].name}\n", "mode=enforce match=yes id=exim1 dane=no\n"),
                (f"mx {domain.name} {domain.hosts[1].name}\r\n", "mode=enforce match=no id=exim1 dane=no\n"),
                (f"mx {domain.name} mx.evil.example\n", "mode=enforce match=no id=exim1 dane=no\n"),
                (f"policy {lone.name}\n", "mode=enforce match=no id=exim2 dane=no\n"),
                (f"policy {testing.name}\n", "mode=testing match=yes id=exim3 dane=no\n"),
                (f"policy {net.domain().name}\n", "mode=none match=yes id= dane=no\n"),
                (f"policy {failing.name}\n", "mode=error\n"),
                (f"mx {failing.name} mx.evil.example\n", "mode=error\n"),
                ("policy [192.0.2.1]\n", "mode=none match=yes id= dane=no\n"),
                ("mx [IPv6:2001:db8::1] 2001:db8::1\n", "mode=none match=yes id= dane=no\n"),
                ("policy .example\n", "mode=none match=yes id= dane=no\n"),
                (f"mx {domain.name} a/b.example\n", "mode=error\n"),
                (f"mx {domain.name} {domain.hosts[0].name}\0\n", "mode=error\n"),
                (f"mx {domain.name} {domain.hosts[0].name} x\n", "mode=error\n"),
                ("policy\n", "mode=error\n"), ("mx a.example\n", "mode=error\n"),
                (f"nosuch {domain.name}\n", "mode=error\n"), ("\n", "mode=error\n")):
            assert socketmap.ask_line(where(mta), line, half_close) == answer, line
    assert socketmap.ask_line(where(mta), f"policy {domain.name}").startswith("mode=enforce ")
    assert socketmap.ask_line(where(mta), "x" * 5000) == ""


def test_lines_without_dane(net, start):
    """An MTA that does no DANE gets answers by MTA-STS alone."""
    mta = start({"policy-map": {"dane": "none"}})
    domain = net.domain(policy="enforce", policy_id="exim4")
    assert socketmap.ask_line(where(mta), f"mx {domain.name} {domain.host.name}\n") == \
        "mode=enforce match=yes id=exim4\n"
    assert socketmap.ask_line(where(mta), "policy [192.0.2.1]\n") == "mode=none match=yes id=\n"


def test_destinations(net, start):
    names = {key: net.fresh_name() for key in
             ("may", "encrypt", "verify", "named", "dane", "audit", "relayed")}
    made = {key: net.domain(policy="enforce", name=name) for key, name in names.items()}
    mta = start({
        ("destination", names["may"]): {"tls": "may"},
        ("destination", names["encrypt"]): {"tls": "encrypt"},
        ("destination", names["verify"]): {"tls": "verify"},
        ("destination", names["named"]): {
            "tls": "verify", "match": ["mail.provider.example", "*." + names["named"]]},
        ("destination", names["dane"]): {"tls": "dane"},
        ("destination", names["audit"]): {"tls": "audit"},
        ("destination", names["relayed"]): {"relay": made["may"].host.name}})
    expected = {
        "may": ("NOTFOUND ", "NOTFOUND ", "none"),
        "encrypt": ("OK encrypt", "TEMP", "error"),
        "verify": (secure(made["verify"].host),) * 2 + ("enforce",),
        "named": ("OK secure match=mail.provider.example:" + made["named"].host.name +
                  " servername=hostname",) * 2 + ("enforce",),
        "dane": ("OK dane-only", "TEMP", "error"),
        "audit": ("NOTFOUND ", "NOTFOUND ", "none"),
        # The MTA that asks does not go by the relay: the policy of the domain holds.
        "relayed": (secure(made["relayed"].host),) * 2 + ("enforce",)}
    for key, (postfix, sendmail, mode) in expected.items():
        assert ask(mta, "postfix", names[key]) == postfix, key
        assert ask(mta, "sts", names[key]).startswith(sendmail), key
        line = socketmap.ask_line(where(mta), f"policy {names[key]}\n")
        assert line.split()[0] == f"mode={mode}", key
    shown = json.loads(ask(mta, "json", names["relayed"])[3:])
    assert shown["domain"] == names["relayed"]
    assert shown["hosts"][0]["name"] == made["may"].host.name


def test_enforcement_that_is_off(net, start):
    domain = net.domain(policy="enforce")
    for how in ("off", "audit"):
        mta = start({"sts": {"enforce": how}})
        for name in ("postfix", "sts"):
            assert ask(mta, name, domain.name) == "NOTFOUND "


def test_changes_count_at_once(net, start):
    """An answer that is given again ends with the policy that it follows from."""
    mta = start()
    domain = net.domain(policy="enforce")
    with socketmap.Client(where(mta)) as client:
        for _ in range(3):
            assert client.ask("postfix", domain.name) == secure(domain.host)
        domain.set_policy(mode="none")
        assert client.ask("postfix", domain.name) == secure(domain.host)
        assert mta.ask("cache", "refresh", domain.name).returncode == 0
        assert client.ask("postfix", domain.name) == "NOTFOUND "


def test_many_clients(net, mta):
    domains = [net.domain(policy="enforce" if i % 3 else None) for i in range(9)]
    wrong = []

    def one(number):
        with socketmap.Client(where(mta)) as client:
            for i in range(40):
                domain = domains[(number + i) % len(domains)]
                answer = client.ask("postfix", domain.name)
                if answer != (secure(domain.host) if domain.site else "NOTFOUND "):
                    wrong.append((domain.name, answer))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_socket_mode_and_tcp(net, start):
    mta = start({"policy-map": {"socket-mode": "0620", "socket-group": "mail"}})
    path = where(mta).removeprefix("unix:")
    status = os.stat(path)
    assert stat.S_IMODE(status.st_mode) == 0o620
    domain = net.domain(policy="enforce")
    tcp = start({"policy-map": {"listen": ["inet:127.0.0.1:8461", "inet6:[::1]:8461"]}})
    for endpoint in tcp.settings["policy-map"]["listen"]:
        assert socketmap.ask(endpoint, "postfix", domain.name) == secure(domain.host)
        assert socketmap.ask_line(endpoint, f"policy {domain.name}\n", False).startswith(
            "mode=enforce")


def test_stop_with_open_connections(net, start):
    """Idle connections end; a question that waits is answered, and what is in the background ends."""
    mta = start({"dns": {"timeout": "60s"}, "sts": {"fetch-timeout": "60s"}})
    domain = net.domain(policy="enforce")
    net.dns.fault("_mta-sts." + domain.name, "TXT", "silence")
    idle, busy = socketmap.Client(where(mta)), socketmap.Client(where(mta))
    with idle, busy:
        assert idle.ask("postfix", ".example") == "NOTFOUND "
        busy.send(netstring(f"postfix {domain.name}"))
        wait_until(lambda: net.dns.queries("_mta-sts." + domain.name, "TXT"), 30)
        began = time.monotonic()
        assert mta.stop() == 0
        assert time.monotonic() - began < 30
        assert idle.closed()
        assert busy.answer().startswith("TEMP ")
    assert not os.path.exists(where(mta).removeprefix("unix:"))


def test_counters(net, start):
    mta = start()
    domain = net.domain(policy="enforce")
    with socketmap.Client(where(mta)) as client:
        for _ in range(3):
            client.ask("postfix", domain.name)
        client.ask("sts", ".example")
        client.ask("nosuch", domain.name)
        counters = json.loads(mta.ask("stats", "--json").stdout)
        assert counters["map_sessions_running"] == 1
    assert counters["map_queries_total.postfix.ok"] == 3
    assert counters["map_queries_total.sts.notfound"] == 1
    assert counters["map_queries_total.unknown.temp"] == 1
