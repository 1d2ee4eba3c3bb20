# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""TLS-RPT: which sessions are counted, and how (facts on TLS-RPT, sections 1 and 3).

What a delivery comes to is caught as the datagram that goes to
`tlsrpt.forward`, and read by Python's json alone.  The numbers are those of the
cases in the facts.
"""

import contextlib
import grp
import json
import os
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import address, assert_arrived, let_pass, wait_until
from stslab import tls, tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop

PLAIN = Behaviour(offer_starttls=False, starttls=None)
RECORD = "v=TLSRPTv1;rua=mailto:tls@reports.example"


class Collector:
    """Takes the datagrams of tlsrpt.forward."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.datagrams = []
        self._stop = False
        self.socket.settimeout(0.2)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop:
            with contextlib.suppress(TimeoutError):
                self.datagrams.append(self.socket.recv(1 << 20))

    def close(self):
        self._stop = True
        self._thread.join(5)
        self.socket.close()
        os.unlink(self.path)

    def about(self, name):
        """The sessions told of a domain so far."""
        sessions = [json.loads(datagram) for datagram in self.datagrams]
        return [session for session in sessions if session["d"] == name]

    def wait(self, name, count):
        """Those of a domain, when there are `count`."""
        wait_until(lambda: len(self.about(name)) >= count, 30, f"{count} sessions of {name}")
        sessions = self.about(name)
        assert len(sessions) == count, sessions
        return sessions

    def only(self, name):
        """The only policy of the only session."""
        session, = self.wait(name, 1)
        policy, = session["policies"]
        return policy


@pytest.fixture(scope="module")
def collector(net):
    made = Collector(net.directory / "collectd.sock")
    yield made
    made.close()


@pytest.fixture(scope="module")
def reporting(net, collector):
    daemon = net.daemons.start({
        "smtp": {"keep-idle": "0s", "host-retry": "1s"},
        "tlsrpt": {"forward": "unix:" + collector.path}})
    yield daemon
    assert daemon.stop() == 0, daemon.log_text()


def wish(net, domain, *texts):
    """The domain wants reports."""
    net.zones.add("_smtp._tls." + domain.name, "TXT",
                  *(f'"{text}"' for text in texts or (RECORD,)), ttl=1)
    return domain


def nothing_about(net, daemon, collector, name):
    """A session of another domain comes through, and none of this one has."""
    marker = wish(net, net.domain())
    daemon.deliver(address(marker))
    collector.wait(marker.name, 1)
    assert collector.about(name) == []


def verdict(policy):
    """ "sts", whether it failed, and the code of its only failure, if any."""
    kind = {1: "tlsa", 2: "sts", 9: "none"}[policy["policy-type"]]
    details = policy.get("failure-details", [])
    assert policy["t"] == len(details) <= 1
    return kind, policy["f"], details[0]["c"] if details else None


def detail(policy):
    one, = policy["failure-details"]
    return one


CASES = {
    "27": (None, Behaviour(certificate="self-signed"), ("none", 0, None), None),
    "28": (None, PLAIN, ("none", 1, 201), None),
    "29": ("enforce", PLAIN, ("sts", 1, 201), None),
    "30": ("enforce", Behaviour(starttls="454 4.7.0 not now"), ("sts", 1, 201),
           "smtp-starttls-reply-code-454"),
    "31": ("enforce", Behaviour(certificate="expired"), ("sts", 1, 204),
           "X509_V_ERR_CERT_HAS_EXPIRED"),
    "33": ("enforce", Behaviour(certificate="wrong-name"), ("sts", 1, 202),
           "X509_V_ERR_HOSTNAME_MISMATCH"),
    "34": ("enforce", Behaviour(certificate="rogue"), ("sts", 1, 203), None),
    "35": ("enforce", Behaviour(certificate="expired", certificate_for="elsewhere.example"),
           ("sts", 1, 204), "X509_V_ERR_CERT_HAS_EXPIRED"),
    "36": ("enforce", Behaviour(certificate="not-yet-valid"), ("sts", 1, 205),
           "X509_V_ERR_CERT_NOT_YET_VALID"),
    "37": ("enforce", Behaviour(certificate="cn-only"), ("sts", 1, 202), None),
    "38": ("testing", Behaviour(certificate="wrong-name"), ("sts", 1, 202), None),
    "39": ("none", Behaviour(), ("none", 0, None), None),
    "47": ("enforce", Behaviour(), ("sts", 0, None), None),
    "58": ("enforce", Behaviour(handshake=Drop()), ("sts", 1, 205),
           "connection-closed-during-handshake"),
    "58 no policy": (None, Behaviour(handshake=Drop()), ("none", 1, 205),
                     "connection-closed-during-handshake"),
    "59": ("enforce", Behaviour(maximum_tls="TLSv1"), ("sts", 1, 205), None),
}


@pytest.mark.parametrize("mode,behaviour,expected,reason", CASES.values(), ids=CASES.keys())
def test_what_a_session_comes_to(net, reporting, collector, mode, behaviour, expected, reason):
    """And case 28, 58: the plaintext retry is no second session."""
    domain = wish(net, net.domain(policy=mode, behaviour=behaviour))
    reply = reporting.deliver(address(domain)).only
    assert (reply.code == 250) == (mode != "enforce" or expected[1] == 0), str(reply)
    session, = collector.wait(domain.name, 1)
    assert list(session) == ["dpv", "d", "pr", "policies"]
    assert (session["dpv"], session["pr"]) == ("1", RECORD)
    policy, = session["policies"]
    assert verdict(policy) == expected
    assert policy["policy-domain"] == domain.name
    if expected[0] == "sts":
        assert policy["policy-string"] == [
            "version: STSv1", f"mode: {mode}", f"mx: {domain.host.name}", "max_age: 86400"]
        assert policy["mx-host"] == [domain.host.name]
    if expected[1]:
        one = detail(policy)
        assert one["n"] == domain.host.name
        assert one["r"] == domain.host.address
        assert one["s"].startswith("127.")
        assert one["h"] == domain.host.name
        assert "a" not in one
        if reason is not None:
            assert one["f"] == reason
        assert reporting.wait_log("tlsrpt", domain=domain.name, mx=domain.host.name)


DANE = {
    "48": (None, Behaviour(certificate="self-signed-expired"), ("3 1 1",),
           {"tlsa": ("tlsa", 0, None)}, 250),
    "49": (None, Behaviour(), ("3 1 1 " + "ab" * 32,), {"tlsa": ("tlsa", 1, 205)}, 451),
    "50": (None, Behaviour(certificate="own-ca-wrong-name"), ("2 0 1",),
           {"tlsa": ("tlsa", 1, 202)}, 451),
    "51": (None, Behaviour(certificate="self-signed"), ("1 1 1",), {"tlsa": ("tlsa", 1, 304)}, 250),
    "51 matching type": (None, Behaviour(certificate="self-signed"), ("3 1 9 " + "ab" * 32,),
                         {"tlsa": ("tlsa", 1, 304)}, 250),
    "55": ("enforce", Behaviour(certificate="self-signed"), ("3 1 1",),
           {"tlsa": ("tlsa", 0, None), "sts": ("sts", 1, 203)}, 250),
    "56": ("enforce", Behaviour(), ("3 1 1 " + "ab" * 32,),
           {"tlsa": ("tlsa", 1, 205), "sts": ("sts", 0, None)}, 451),
}


@pytest.mark.parametrize("mode,behaviour,fields,expected,code", DANE.values(), ids=DANE.keys())
def test_dane_and_mta_sts_have_verdicts_of_their_own(net, reporting, collector, mode, behaviour,
                                                     fields, expected, code):
    """And tlsa comes first."""
    domain = wish(net, net.domain(policy=mode, behaviour=behaviour))
    records = [one if len(one.split()) > 3 else tlsa.of(domain.host, one) for one in fields]
    net.zones.replace(tlsa.at(domain.host.name), "TLSA", *records, ttl=60)
    assert reporting.deliver(address(domain)).only.code == code
    session, = collector.wait(domain.name, 1)
    assert [verdict(policy) for policy in session["policies"]] == list(expected.values())
    first = session["policies"][0]
    assert first["policy-domain"] == domain.host.name
    assert [text.split() for text in first["policy-string"]] == [
        record.upper().split() for record in records]
    assert "mx-host" not in first


def test_tlsa_records_that_are_not_secure(net, reporting, collector):
    """54."""
    domain = wish(net, net.domain(zone="plain"))
    net.zones.replace(tlsa.at(domain.host.name), "TLSA", tlsa.wrong("3 1 1"), ttl=60)
    assert reporting.deliver(address(domain)).only.code == 250
    assert verdict(collector.only(domain.name)) == ("none", 0, None)


@pytest.mark.parametrize("mode,kind", [("enforce", "sts"), (None, "none")])
def test_a_server_that_refuses_after_the_handshake(net, reporting, collector, monkeypatch, mode,
                                                   kind):
    """60: in TLS 1.3 our side is done by then; it is one failed session, and no success."""
    domain = wish(net, net.domain(policy=mode))
    path, make = domain.host.certificate().path, tls.server_context

    def picky(wanted, *words, **more):
        if wanted != path:
            return make(wanted, *words, **more)
        context = make.__wrapped__(wanted, *words, **more)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    monkeypatch.setattr(tls, "server_context", picky)
    assert reporting.deliver(address(domain)).only.code == (451 if mode else 250)
    policy = collector.only(domain.name)
    assert verdict(policy) == (kind, 1, 205)
    assert detail(policy)["f"] == "tls-remote-alert-116"
    assert not any(line.tls for line in domain.host.lines)


def cached(net, start, collector):
    """A daemon that keeps a domain's policy and has told of a session under it, and the domain."""
    daemon = start({"smtp": {"keep-idle": "0s"}, "sts": {"retry-interval": "1s"},
                    "tlsrpt": {"forward": "unix:" + collector.path}})
    domain = wish(net, net.domain(zone="plain", policy="enforce"))
    assert daemon.deliver(address(domain)).only.code == 250
    assert verdict(collector.only(domain.name)) == ("sts", 0, None)
    return daemon, domain


def test_a_vanished_txt_is_no_failure(net, start, collector):
    """47, F6."""
    daemon, domain = cached(net, start, collector)
    net.dns.fault("_mta-sts." + domain.name, "TXT", "nxdomain")
    let_pass(2.1)
    assert daemon.deliver(address(domain)).only.code == 250
    for session in collector.wait(domain.name, 2):
        policy, = session["policies"]
        assert verdict(policy) == ("sts", 0, None)
        assert "mode: enforce" in policy["policy-string"]


def test_a_failed_fetch_beside_a_kept_policy(net, start, collector):
    """46, E11, F4: the cached policy has its verdict, and the fetch is reported."""
    daemon, domain = cached(net, start, collector)
    domain.site.status = 404
    domain.set_id("second")
    let_pass(2.1)
    assert daemon.deliver(address(domain)).only.code == 250
    verdicts = [verdict(policy) for session in collector.wait(domain.name, 3)
                for policy in session["policies"]]
    assert sorted(verdicts, key=str) == sorted(
        [("sts", 0, None), ("sts", 0, None), ("sts", 1, 301)], key=str)


def test_the_tlsa_base_domain_is_the_policy_domain(net, reporting, collector):
    """Of an MX host that is an alias, the name that its TLSA records lie at."""
    name = net.fresh_name()
    host = net.mx_host("real." + name)
    net.zones.change([("add", host.name, "A", host.address, 60),
                      ("add", "alias." + name, "CNAME", host.name + ".", 60),
                      ("add", name, "MX", f"10 alias.{name}.", 60)])
    net.zones.replace(tlsa.at(host.name), "TLSA", tlsa.of(host, "3 1 1"), ttl=60)
    net.zones.add("_smtp._tls." + name, "TXT", f'"{RECORD}"', ttl=1)
    assert reporting.deliver("someone@" + name).only.code == 250
    policy = collector.only(name)
    assert verdict(policy) == ("tlsa", 0, None)
    assert policy["policy-domain"] == host.name


def test_a_relay_is_the_policy_domain(net, collector, start):
    """RFC 8461 3.4: what goes by a relay is counted for its name, by the record there alone."""
    relay = net.mx_host("relay." + net.fresh_name())
    net.zones.change([("add", relay.name, "A", relay.address, 60)])
    net.zones.add("_smtp._tls." + relay.name, "TXT", f'"{RECORD}"', ttl=1)
    domain = wish(net, net.domain())
    daemon = start({"tlsrpt": {"forward": "unix:" + collector.path},
                    ("destination", domain.name): {"relay": relay.name + ":25"}})
    assert daemon.deliver(address(domain)).only.code == 250
    policy = collector.only(relay.name)
    assert (verdict(policy), policy["policy-domain"]) == (("none", 0, None), relay.name)
    assert collector.about(domain.name) == []


def test_tlsa_records_that_cannot_be_looked_up(net, reporting, collector):
    """52."""
    domain = wish(net, net.domain())
    net.dns.fault(tlsa.at(domain.host.name), "TLSA", "servfail")
    assert reporting.deliver(address(domain)).only.code == 451
    policy = collector.only(domain.name)
    assert verdict(policy) == ("tlsa", 1, 305)
    assert policy["policy-domain"] == detail(policy)["n"] == domain.host.name
    assert "r" not in detail(policy)


def test_mandatory_dane(net, collector, start):
    """53."""
    domain = wish(net, net.domain())
    daemon = start({"tlsrpt": {"forward": "unix:" + collector.path},
                    ("destination", domain.name): {"tls": "dane"}})
    assert daemon.deliver(address(domain)).only.code == 451
    assert verdict(collector.only(domain.name)) == ("tlsa", 1, 306)


def test_only_who_wants_reports_is_counted(net, reporting, collector):
    """19, 22, 26."""
    without = net.domain(policy="enforce")
    twice = wish(net, net.domain(), RECORD, "v=TLSRPTv1;rua=mailto:other@reports.example")
    unreadable = wish(net, net.domain(), "v=TLSRPTv1;rua=mailto:")
    failing = wish(net, net.domain())
    net.dns.fault("_smtp._tls." + failing.name, "*", "servfail")
    for domain in (without, twice, unreadable, failing):
        assert reporting.deliver(address(domain)).only.code == 250
    for domain in (without, twice, unreadable, failing):
        nothing_about(net, reporting, collector, domain.name)


VOID = {
    "v=TLSRPTv1; rua=mailto:a@b.example;;": "a field is empty",
    "v=TLSRPTv1; rua = mailto:a@b.example": "not name=value",
    "v=TLSRPTv1; rua= mailto:a@b.example": "white space follows the =",
    "v=TLSRPTv1; rua=mailto:a@b.example; p= ": "not name=value",
    "v=TLSRPTv1; rua=mailto:a@b.example,": "a URI is missing",
    "V=TLSRPTv1; rua=mailto:a@b.example": "does not begin with v=TLSRPTv1;",
    "v=TLSRPTv1; rua=http://b.example/": "no usable mailto: or https: address",
}


def report_row(daemon, name):
    done = daemon.ask("check", name, "--json")
    rows = [step for step in json.loads(done.stdout)["steps"] if step["step"] == "tls-rpt"]
    return done.returncode, rows


@pytest.mark.parametrize("text", VOID)
def test_what_breaks_the_grammar_voids_the_record(net, reporting, collector, text):
    domain = net.domain(policy="enforce")
    net.zones.add("_smtp._tls." + domain.name, "TXT", f'"{text}"', ttl=1)
    assert reporting.deliver(address(domain)).only.short == "250 2.0.0"
    nothing_about(net, reporting, collector, domain.name)
    status, (row,) = report_row(reporting, domain.name)
    assert not row["ok"] and VOID[text] in row["detail"], row
    assert status == 0


def test_check_says_where_reports_go(net, reporting, collector):
    domain = net.domain(policy="enforce")
    assert report_row(reporting, domain.name) == (0, [])
    domain = net.domain(policy="enforce")
    wish(net, domain, "v=TLSRPTv1; rua=mailto://A@b.example , https://c.example/t; x=y; ")
    status, (row,) = report_row(reporting, domain.name)
    assert status == 0 and row["ok"]
    assert row["detail"] == "TLS reports go to mailto:A@b.example, https://c.example/t"


def test_a_silent_record_delays_no_mail(net, reporting, collector):
    """26: the replies and the next message in the session do not wait for it."""
    domain = wish(net, net.domain())
    net.dns.fault("_smtp._tls." + domain.name, "*", "silence")
    began = time.monotonic()
    for _ in range(2):
        assert reporting.deliver(address(domain)).only.code == 250
    assert time.monotonic() - began < 2.5, "dns.timeout is 3 s"
    assert_arrived(domain, times=2)


def test_hosts_that_are_not_listed(net, reporting, collector):
    """40."""
    domain = wish(net, net.domain(policy="enforce", mx=(Mx(10), Mx(20)), patterns=["mx2.*"]))
    domain.set_policy(patterns=[domain.hosts[1].name])
    assert reporting.deliver(address(domain)).only.code == 250
    sessions = collector.wait(domain.name, 2)
    verdicts = sorted((verdict(policy) for session in sessions for policy in session["policies"]),
                      key=str)
    assert verdicts == [("sts", 0, None), ("sts", 1, 205)]
    one = next(detail(policy) for session in sessions for policy in session["policies"]
               if policy["f"])
    assert one == {"c": 205, "n": domain.hosts[0].name, "f": "mtasts-policy-mx-mismatch"}


def test_hosts_that_are_not_listed_in_testing(net, reporting, collector):
    """41."""
    domain = wish(net, net.domain(policy="testing", patterns=["mail.elsewhere.example"]))
    assert reporting.deliver(address(domain)).only.code == 250
    assert detail(collector.only(domain.name)) == {
        "c": 205, "n": domain.host.name, "f": "mtasts-policy-mx-mismatch"}


FETCHES = {
    "43 404": (dict(status=404), 301, "http-404", None),
    "43 301": (dict(status=301, headers=["Location: /x"]), 301, "http-301", None),
    "43 type": (dict(content_type="text/html"), 301, "wrong-content-type", None),
    "43 too large": (dict(body=b"x: y\r\n" * 11000), 301, "policy-too-large", None),
    "43 out of time": (dict(manner="hang"), 301, None, None),
    "E2 reset": (dict(manner="reset"), 301, None, None),
    "E4 E17 wrong name": (dict(certificate="domain-only"), 303, None, None),
    "E6 204": (dict(status=204), 301, "http-204", None),
    "E7 no type": (dict(content_type=None), 301, None, None),
    "E9": (dict(body=b"<html>\r\n"), 302, None, ["<html>"]),
    "44": (dict(certificate="self-signed"), 303, None, None),
    "45": (dict(body=b"mode: enforce\r\n\r\nmx: \xff*.a\r\nmax_age: 9\r\n"), 302, None,
           ["mode: enforce", "mx: ?*.a", "max_age: 9"]),
}


@pytest.mark.parametrize("site,code,reason,lines", FETCHES.values(), ids=FETCHES.keys())
def test_a_policy_that_cannot_be_had(net, reporting, collector, site, code, reason, lines):
    """Counted once with the session that follows; E12: the second time out of the memory of
    failures."""
    domain = wish(net, net.domain(policy="enforce"))
    for key, value in site.items():
        setattr(domain.site, key, value)
    for count in (1, 2):
        assert reporting.deliver(address(domain)).only.code == 250
        for session in collector.wait(domain.name, count):
            policy, = session["policies"]
            assert verdict(policy) == ("sts", 1, code)
            assert policy.get("policy-string") == lines
            assert "mx-host" not in policy
            if reason is not None:
                assert detail(policy) == {"c": code, "f": reason}


def test_a_policy_that_cannot_be_had_and_no_session(net, reporting, collector):
    """57, I19: and the fetch is still reported."""
    domain = wish(net, net.domain(policy="enforce", mx=(Mx(down=True),)))
    domain.site.status = 500
    assert reporting.deliver(address(domain)).only.code == 451
    assert verdict(collector.only(domain.name)) == ("sts", 1, 301)


def test_no_session_nothing_to_tell(net, reporting, collector):
    """57."""
    for behaviour in (Behaviour(greeting="421 4.3.2 busy"), Behaviour(greeting=Drop()),
                      Behaviour(ehlo=Drop()), Behaviour(ehlo="451 4.3.0 later")):
        domain = wish(net, net.domain(policy="enforce", behaviour=behaviour))
        assert reporting.deliver(address(domain)).only.code == 451
        nothing_about(net, reporting, collector, domain.name)
    down = wish(net, net.domain(mx=(Mx(down=True),)))
    assert reporting.deliver(address(down)).only.code == 451
    nothing_about(net, reporting, collector, down.name)


def test_every_connection_is_a_session(net, reporting, collector):
    """62, 63."""
    domain = wish(net, net.domain(policy="enforce", mx=(Mx(10, PLAIN), Mx(20))))
    for count in (2, 4):
        assert reporting.deliver(address(domain)).only.code == 250
        verdicts = [verdict(policy) for session in collector.wait(domain.name, count)
                    for policy in session["policies"]]
        assert sorted(verdicts, key=str) == sorted(
            [("sts", 0, None), ("sts", 1, 201)] * (count // 2), key=str)


def test_a_kept_connection_is_one_session(net, collector, start):
    """61."""
    domain = wish(net, net.domain(policy="enforce"))
    daemon = start({"tlsrpt": {"forward": "unix:" + collector.path}})
    for _ in range(3):
        assert daemon.deliver(address(domain)).only.code == 250
    assert [line["reused"] for line in daemon.log("delivery")] == ["no", "yes", "yes"]
    nothing_about(net, daemon, collector, "nobody.example")
    assert len(collector.about(domain.name)) == 1


def test_what_is_not_counted(net, reporting, collector):
    """64, 65."""
    domain = wish(net, net.domain(policy="enforce", behaviour=PLAIN))
    reply = reporting.deliver(address(domain), content=b"TLS-Required: No\r\n\r\nhello\r\n").only
    assert reply.code == 250, str(reply)
    reply = reporting.deliver(address(domain), sender="TLS-Reports@out.stslab.example").only
    assert reply.code == 451, "it is judged as any other"
    assert reporting.deliver(f"someone@[{domain.host.address}]").only.code == 250
    nothing_about(net, reporting, collector, domain.name)


def test_names_are_a_labels(net, reporting, collector):
    """66."""
    name = net.fresh_name()
    domain = wish(net, net.domain(policy="testing", name="xn--bcher-kva." + name))
    assert reporting.deliver(f"someone@B\u00fccher.{name}", parameters=" SMTPUTF8").only.code == 250
    assert collector.only(domain.name)["policy-domain"] == domain.name


def test_off_asks_nothing(net, collector, start):
    domain = wish(net, net.domain())
    daemon = start({"tlsrpt": {"enable": "off", "forward": "unix:" + collector.path}})
    assert daemon.deliver(address(domain)).only.code == 250
    assert net.dns.queries("_smtp._tls." + domain.name) == []


def test_the_record_is_asked_at_the_domain_alone(net, reporting, collector):
    """I21: no MX host's domain is ever told of the sessions of another."""
    domain = wish(net, net.domain())
    assert reporting.deliver(address(domain)).only.code == 250
    collector.wait(domain.name, 1)
    assert net.dns.queries("_smtp._tls." + domain.name)
    assert net.dns.queries("_smtp._tls." + domain.host.name) == []


def test_a_collector_that_is_away(net, collector, start):
    """13."""
    domain = wish(net, net.domain())
    daemon = start({"tlsrpt": {"forward": "unix:/nonexistent/collectd.sock"}})
    assert daemon.deliver(address(domain)).only.code == 250
    wait_until(lambda: stats(daemon)["tlsrpt_forwarded_total.lost"] == 1, 30, "the loss")


def stats(daemon):
    return json.loads(daemon.ask("stats", "--json").stdout)


def postfix(name, failed=0, **more):
    """What Postfix 3.10 sends."""
    host = "mx." + name.lower().rstrip(".")
    policy = {"policy-type": 9, "policy-domain": name, "t": failed, "f": failed, **more}
    if failed:
        policy["failure-details"] = [{
            "c": 201, "s": "192.0.2.1", "n": host,
            "h": f"250-{host}\r\n250-PIPELINING\r\n250 8BITMIME", "r": "198.51.100.2"}]
    return json.dumps({"dpv": "1", "d": name, "pr": RECORD, "policies": [policy]}).encode()


def send(path, *datagrams):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        for datagram in datagrams:
            out.sendto(datagram, path)


HOSTILE = (b"", b"[]", b"1", b'{"d":1}', b'{"policies":null}', b"[" * 10000, b"\xff\xfe",
           b"x" * 200000, b'{"d":"a.example","pr":"a","policies":["a"]}',
           b'{"dpv":"2","d":"a.example","pr":"a","policies":[{"policy-type":9,"f":0}]}',
           b'{"d":"a.example","pr":"a","policies":[{"policy-type":7,"f":0}]}',
           b'{"d":"a.example","pr":"a","policies":[{"policy-type":9,"t":0}]}')


@pytest.fixture
def receiving(net, collector):
    daemon = net.daemons.make()
    path = f"{daemon.directory}/run/tlsrpt.sock"
    daemon.reconfigure({"tlsrpt": {"forward": "unix:" + collector.path,
                                   "socket": "unix:" + path}})
    daemon.start()
    daemon.tlsrpt = path
    yield daemon
    assert net.daemons.discard(daemon) == 0


def name_with_record(net, *texts):
    """A name that wants reports; it needs no mail host here."""
    name = net.fresh_name()
    net.zones.add("_smtp._tls." + name, "TXT", *(f'"{text}"' for text in texts or (RECORD,)), ttl=1)
    return name


def test_what_postfix_sends(net, receiving, collector):
    """3, 4, 5, 6, 7, 11, 14, 82: and nothing that is hostile ends it."""
    name = name_with_record(net)
    send(receiving.tlsrpt, *HOSTILE, postfix(name.upper() + ".", failed=1))
    policy = collector.only(name)
    assert verdict(policy) == ("none", 1, 201)
    assert policy["policy-domain"] == name
    assert detail(policy) == {"c": 201, "s": "192.0.2.1", "n": "mx." + name, "h": "mx." + name,
                              "r": "198.51.100.2"}
    counted = stats(receiving)
    assert counted["tlsrpt_datagrams_total.invalid"] == len(HOSTILE)
    assert counted["tlsrpt_datagrams_total.taken"] == 1
    assert oct(os.stat(receiving.tlsrpt).st_mode & 0o777) == "0o660"


def test_a_session_that_is_told_counts_by_the_record_in_the_dns(net, receiving, collector):
    """Any local user could name a domain, and a record with a stranger's address in it."""
    silent, void = net.fresh_name(), name_with_record(net, RECORD + ";;")
    wanted = name_with_record(net, "v=TLSRPTv1; rua=mailto:right@r.example")
    send(receiving.tlsrpt, postfix(silent), postfix(void), postfix(wanted))
    session, = collector.wait(wanted, 1)
    assert session["pr"] == "v=TLSRPTv1; rua=mailto:right@r.example"
    wait_until(lambda: stats(receiving)["tlsrpt_datagrams_total.unwanted"] == 2, what="the rest")
    assert collector.about(silent) == collector.about(void) == []
    assert stats(receiving)["tlsrpt_datagrams_total.taken"] == 1
    reports = json.loads(receiving.ask("report", "show", "--json").stdout)
    assert [report["policies"][0]["policy"]["policy-domain"] for report in reports] == [wanted]


def test_the_socket_is_open_to_its_group_alone(net, collector, start):
    path = f"{net.directory}/tlsrpt-group.sock"
    start({"tlsrpt": {"socket": "unix:" + path, "socket-mode": "0620", "socket-group": "mail"}})
    made = os.stat(path)
    assert (oct(made.st_mode & 0o777), made.st_gid) == ("0o620", grp.getgrnam("mail").gr_gid)


def test_a_burst_is_counted_to_the_last(net, receiving):
    """16: 1000 datagrams from 8 senders that wait; test_recorder.c has processes that do not."""
    names = [name_with_record(net) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: send(receiving.tlsrpt, *[postfix(name)] * 125), names))
    wait_until(lambda: stats(receiving)["tlsrpt_datagrams_total.taken"] == 1000, 60,
               "the thousandth")
    assert stats(receiving)["tlsrpt_datagrams_total.full"] == 0
    assert stats(receiving)["tlsrpt_sessions_total.no-policy-found.success"] == 1000


def test_the_socket_is_taken_over_after_a_crash(net, receiving, collector):
    name = name_with_record(net)
    receiving.kill()
    receiving.start()
    send(receiving.tlsrpt, postfix(name))
    assert verdict(collector.only(name)) == ("none", 0, None)
