# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Fetching the policy: what is taken, what is not, and what is logged (cases, group E).

The MX host offers no TLS, so a policy in force shows as 451 4.7.4 and none as
a delivery.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import address, assert_arrived, assert_nothing_leaked
from stslab.mx import Behaviour
from stslab.policyhost import policy_text
from stslab.proxy import Proxy

STRIPPED = Behaviour(offer_starttls=False, starttls=None)
FETCH, INVALID, WEBPKI = "sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid"


def published(net, **site):
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    for key, value in site.items():
        setattr(domain.site, key, value)
    return domain


def in_force(mta, domain):
    """Whether the enforce policy was found, by what became of a message."""
    reply = mta.deliver(address(domain)).only
    assert reply.short in ("451 4.7.4", "250 2.0.0"), str(reply)
    if reply.code == 451:
        assert_nothing_leaked(domain)
    else:
        assert_arrived(domain, tls=False)
    return reply.code == 451


FAILURES = {
    "reset": (dict(manner="reset"), {FETCH}),
    "hang in the handshake": (dict(manner="hang-handshake"), {FETCH}),
    "hang after the request": (dict(manner="hang"), {FETCH}),
    "drip": (dict(manner="drip"), {FETCH}),
    "endless": (dict(manner="endless"), {FETCH}),
    "cut short": (dict(manner="cut"), {FETCH}),
    "HTTP/1.0 without close_notify": (dict(manner="http10-cut"), {FETCH}),
    "expired": (dict(certificate="expired"), {WEBPKI}),
    "not yet valid": (dict(certificate="not-yet-valid"), {WEBPKI}),
    "wrong name": (dict(certificate="wrong-name"), {WEBPKI}),
    "self-signed": (dict(certificate="self-signed"), {WEBPKI}),
    "rogue": (dict(certificate="rogue"), {WEBPKI}),
    "domain only": (dict(certificate="domain-only"), {WEBPKI}),
    "CN only": (dict(certificate="cn-only"), {WEBPKI}),
    "TLS 1.1": (dict(maximum_tls="TLSv1.1"), {FETCH, WEBPKI}),
    "301": (dict(status=301, headers=["Location: https://elsewhere.example/"]), {FETCH}),
    "302": (dict(status=302, headers=["Location: /other"]), {FETCH}),
    "307": (dict(status=307, headers=["Location: /.well-known/mta-sts.txt"]), {FETCH}),
    "201": (dict(status=201), {FETCH}),
    "204": (dict(status=204), {FETCH}),
    "206": (dict(status=206), {FETCH}),
    "403": (dict(status=403), {FETCH}),
    "404": (dict(status=404), {FETCH}),
    "500": (dict(status=500), {FETCH}),
    "text/html": (dict(content_type="text/html"), {FETCH}),
    "no type": (dict(content_type=None), {FETCH}),
    "odd type": (dict(content_type="text/plainish"), {FETCH}),
    "gzip": (dict(headers=["Content-Encoding: gzip"]), {FETCH}),
    "too large": (dict(body=b"x: y\r\n" * 11000), {FETCH}),
    "empty": (dict(body=b""), {INVALID}),
    "html body": (dict(body=b"<html><body>hello</body></html>"), {INVALID}),
    "STSv2": (dict(body=b"version: STSv2\r\nmode: enforce\r\nmx: *.a\r\nmax_age: 9\r\n"),
              {INVALID}),
    "no mx": (dict(body=b"version: STSv1\r\nmode: enforce\r\nmax_age: 900\r\n"), {INVALID}),
    "no max_age": (dict(body=b"version: STSv1\r\nmode: enforce\r\nmx: *.a.example\r\n"),
                   {INVALID}),
    "NUL": (dict(body=b"version: STSv1\r\nmode: enf\0orce\r\nmx: a.b\r\nmax_age: 9\r\n"),
            {INVALID}),
}


@pytest.mark.parametrize("site,results", FAILURES.values(), ids=FAILURES.keys())
def test_failed_fetch_is_no_policy(net, mta, site, results):
    domain = published(net, **site)
    began = time.monotonic()
    assert not in_force(mta, domain)
    assert time.monotonic() - began < 8, "one deadline for the whole fetch"
    logged = [line for line in mta.log_text().splitlines() if domain.name in line]
    named = {result for result in (FETCH, INVALID, WEBPKI) if any(result in line for line in logged)}
    assert named and named <= results, logged


@pytest.mark.parametrize("site", [
    dict(content_type="text/plain; charset=utf-8"), dict(content_type="text/plain;charset=us-ascii"),
    dict(content_type="Text/Plain"), dict(manner="http10"), dict(certificate="wildcard"),
    dict(maximum_tls="TLSv1.2")], ids=["utf-8", "ascii", "capitals", "HTTP/1.0", "wildcard", "TLS 1.2"])
def test_fetches_that_work(net, mta, site):
    assert in_force(mta, published(net, **site))


def test_just_as_large_as_may_be(net, mta):
    """B36: 64 KiB."""
    domain = published(net)
    text = domain.site.body
    domain.site.body = text + b"x: " + b"y" * (65536 - len(text) - 5) + b"\r\n"
    assert len(domain.site.body) == 65536
    assert in_force(mta, domain)


@pytest.mark.parametrize("how", ["nxdomain", "refused"])
def test_policy_host_that_is_not_there(net, mta, how):
    """E1, E2."""
    domain = published(net)
    if how == "nxdomain":
        net.zones.remove(domain.sts_host)
    else:
        net.zones.replace(domain.sts_host, "A", "127.0.0.81")
    assert not in_force(mta, domain)


@pytest.mark.parametrize("fault", ["servfail", "silence"])
def test_a_policy_host_whose_ipv6_addresses_are_unknown(net, mta, fault):
    """The look-up leaves time for a fetch from those that are known."""
    domain = published(net)
    net.dns.fault(domain.sts_host, "AAAA", fault)
    assert in_force(mta, domain)


def test_policy_host_behind_a_cname(net, mta):
    """SNI and certificate stay those of mta-sts.DOMAIN."""
    domain = published(net)
    net.zones.remove(domain.sts_host)
    net.zones.add(domain.sts_host, "CNAME", f"hosting.{domain.name}.")
    net.zones.add("hosting." + domain.name, "A", net.policy_host.address)
    assert in_force(mta, domain)
    (request,) = domain.fetches()
    assert request.sni == request.host == domain.sts_host


def test_the_request(net, mta):
    domain = published(net)
    in_force(mta, domain)
    (request,) = domain.fetches()
    assert request.path == "/.well-known/mta-sts.txt"
    assert request.sni == domain.sts_host
    assert request.tls_version in ("TLSv1.2", "TLSv1.3")
    lowered = request.head.lower()
    assert "cookie" not in lowered and "accept-encoding: gzip" not in lowered


def test_redirects_are_not_followed(net, mta):
    """E5: even to a host that would serve a good policy."""
    target = published(net)
    domain = published(net, status=302,
                       headers=[f"Location: https://{target.sts_host}/.well-known/mta-sts.txt"])
    assert not in_force(mta, domain)
    assert target.fetches() == []


def test_proxies_of_the_environment_are_not_used(net, start, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert in_force(start(), published(net))


def test_the_configured_proxy_is_used(net, start):
    """The certificate is still that of mta-sts.DOMAIN."""
    with Proxy((net.policy_host.address, 443)) as proxy:
        mta = start({"sts": {"http-proxy": proxy.url}})
        domain = published(net)
        assert in_force(mta, domain)
        assert len(proxy.asked) == 1 and proxy.asked[0].endswith(":443")
        assert not in_force(mta, published(net, certificate="wrong-name"))


def test_one_fetch_for_many_at_once(net, start):
    """F14."""
    mta = start()
    domain = published(net)
    with ThreadPoolExecutor(40) as pool:
        replies = list(pool.map(lambda _: mta.deliver(address(domain)).only.short, range(40)))
    assert replies == ["451 4.7.4"] * 40
    assert len(domain.fetches()) <= 2, "one, and one more before the refusal at most"


def test_unknown_keys_and_odd_order_are_fine(net, mta):
    domain = published(net)
    domain.site.body = (b"note: hello\nmax_age: 86400\nmx: " + domain.host.name.encode()
                        + b"\nmode: enforce\nversion: STSv1")
    assert in_force(mta, domain)


def test_mode_none_is_no_policy(net, mta):
    """E10."""
    domain = published(net, body=policy_text("none", [], 86400).encode())
    assert not in_force(mta, domain)


@pytest.mark.parametrize("pattern", ["*", "*.", "**.example", "*.*.example", ".example"])
def test_patterns_that_must_never_match_all(net, mta, pattern):
    """B43: the policy is invalid or matches nothing; a delivery to a stripped host would say
    that it is no policy, a verified one that it matched."""
    domain = net.domain(policy="enforce", patterns=[pattern, "mx.elsewhere.example"])
    reply = mta.deliver(address(domain)).only
    assert reply.short == "451 4.7.5" or mta.log("attempt", domain=domain.name)[0]["policy"] == "none"
