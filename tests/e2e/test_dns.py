# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""DNS that fails, lies or is slow; private addresses; the three modes."""

import json
import pathlib
import socket
import subprocess
import time

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab import programs
from stslab.forwarder import Delay, Forged
from stslab.internet import Mx
from stslab.mx import Behaviour

HOUR = 3600
STRIPPED = Behaviour(offer_starttls=False, starttls=None)
LONG = " ".join(f'"x{number}={"y" * 200};"' for number in range(60))    # no record is so long


@pytest.mark.parametrize("fault,short", [
    ("servfail", "451 4.4.3"), ("silence", "451 4.4.3"), ("refused", "451 4.4.3"),
    ("truncate-udp-only", "451 4.4.3"),
    ("stripped", "451 4.7.5"), ("nxdomain", "451 4.7.5"), ("empty", "451 4.7.5")])
@pytest.mark.parametrize("kind", ["MX", "address"])
def test_look_ups_that_fail(net, start, kind, fault, short):
    """Failed is 4.4.3, bogus is 4.7.5; the mail waits."""
    mta = start()
    domain = net.domain(behaviour=STRIPPED)
    for name, record in ([(domain.name, "MX")] if kind == "MX" else
                         [(domain.host.name, "A"), (domain.host.name, "AAAA")]):
        net.dns.fault(name, record, fault)
    began = time.monotonic()
    assert_reply(mta.deliver(address(domain)).only, short)
    assert time.monotonic() - began < 10
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("kind", ["MX", "TXT"])
def test_truncated_answers_come_over_tcp(net, mta, kind):
    """A39."""
    domain = net.domain(policy="enforce")
    asked = domain.name if kind == "MX" else "_mta-sts." + domain.name
    net.dns.fault(asked, kind, "truncate")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert "tcp" in {query.transport for query in net.dns.queries(asked, kind)}
    assert domain.fetches()


def test_slow_answers_are_waited_for(net, mta):
    domain = net.domain(policy="enforce")
    net.dns.fault("*." + domain.name, "*", Delay(0.3))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)


@pytest.mark.parametrize("kind", ["MX", "TXT", "TLSA"])
def test_a_forwarder_that_takes_a_second_for_a_name(net, mta, kind):
    """It answers others at once, and is given the time to look this one up."""
    for _ in range(3):
        mta.deliver(address(net.domain()))
    domain = net.domain(policy="enforce")
    name = {"MX": domain.name, "TXT": "_mta-sts." + domain.name,
            "TLSA": "_25._tcp." + domain.host.name}[kind]
    net.dns.fault(name, kind, Delay(1))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain, tls=True)
    assert len(net.dns.queries(name, kind)) == 1


def test_one_host_unknown_does_not_block_the_other(net, mta):
    """The best host's address is SERVFAIL: the second is used."""
    domain = net.domain(policy="enforce", mx=[Mx(10), Mx(20)])
    net.dns.fault(domain.hosts[0].name, "*", "servfail")
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.hosts[1].name)


def test_ipv6_unknown_ipv4_good(net, mta):
    domain = net.domain(policy="enforce")
    net.dns.fault(domain.host.name, "AAAA", "servfail")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


@pytest.mark.parametrize("fault", ["servfail", "silence"])
def test_cold_txt_failure_waits_within_the_grace(net, start, fault):
    """A30: nothing cached, the TXT look-up fails."""
    mta = start()
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    net.dns.fault("_mta-sts." + domain.name, "TXT", fault)
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3", domain.name)
    assert_nothing_leaked(domain)


def test_cold_txt_failure_after_the_grace(net, machine):
    """A30: then it goes, with a warning each time; counted from the first failure, over restarts."""
    clock = machine({"sts": {"cold-failure-grace": "1h", "retry-interval": "1s"}})
    mta = clock.daemon
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    net.dns.fault("_mta-sts." + domain.name, "TXT", "servfail")
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3")
    clock.restart()
    clock.outlive(HOUR)
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    warnings = [line for line in mta.log_text().splitlines()
                if domain.name in line and "level=warning" in line]
    assert warnings, "a warning names the domain"


def test_an_answer_ends_the_grace(net, machine):
    """The next failure starts a new one.  libunbound keeps a SERVFAIL for 5 s."""
    clock = machine({"sts": {"cold-failure-grace": "1h", "retry-interval": "1s"}})
    mta = clock.daemon
    domain = net.domain(behaviour=STRIPPED)
    txt = "_mta-sts." + domain.name
    net.dns.fault(txt, "TXT", "servfail")
    assert mta.deliver(address(domain)).only.short == "451 4.4.3"
    net.dns.heal(txt)
    wait_until(lambda: mta.deliver(address(domain)).only.short == "250 2.0.0", 7, "an answer")
    assert mta.log("policy", level="warning", domain=domain.name) == [], "not given up"
    clock.outlive(HOUR)
    net.dns.fault(txt, "TXT", "servfail")
    wait_until(lambda: mta.deliver(address(domain)).only.short == "451 4.4.3", 20, "the next failure")


def test_unsigned_denial_of_the_txt_in_a_signed_zone(net, mta, unguarded):
    """A36: bogus, nothing cached: never a delivery on it."""
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    net.dns.fault("_mta-sts." + domain.name, "TXT", "nxdomain")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", domain.name)
    assert_nothing_leaked(domain)
    assert unguarded.deliver(address(domain)).only.short == "250 2.0.0"


def test_bogus_txt_never_ends_in_delivery(net, machine):
    """Not even after the grace."""
    clock = machine({"sts": {"cold-failure-grace": "1h", "retry-interval": "1s"}})
    mta = clock.daemon
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    net.dns.fault("_mta-sts." + domain.name, "TXT", "stripped")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    clock.outlive(HOUR)
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5")
    assert_nothing_leaked(domain)


@pytest.mark.parametrize("texts,in_force", [
    (['"v=STSv1; id=a"'], True),
    (['"v=STSv1;id=a;"'], True),
    (['"v=STSv1; id=" "policy1;"'], True),
    (['"v=STSv1; id=a;" ', '"v=spf1 -all"'], True),
    (['"v=STSv1; id=a;"', '"v=STSv1; id=b;"'], False),
    (['"v=STSv1;"'], False),
    (['"v=STSv2; id=a;"'], False),
    (['"inbound"'], False),
    (['"id=x; v=STSv1;"'], False),
    (['"v=STSv1; id=test-123;"'], False),
    (['"v=STSv1; id=' + "a" * 33 + ';"'], False),
    ([" ".join('"' + "x" * 250 + '"' for _ in range(100))], False),
    (['"v=STSv1; id=a;"', '"other" ' + LONG], True),
    (['"v=STSv1; id=a;"', '"v=STS" "v1; id=b;" ' + LONG], False),
], ids=range(14))
def test_txt_records(net, mta, texts, in_force):
    """Group A, live; the tables are in the unit tests."""
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    domain.set_txt(*texts)
    assert mta.deliver(address(domain)).only.short == ("451 4.7.4" if in_force else "250 2.0.0")
    assert bool(domain.fetches()) == in_force


def test_txt_behind_two_cnames(net, mta):
    """A32."""
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    txt = "_mta-sts." + domain.name
    net.zones.remove(txt)
    net.zones.add(txt, "CNAME", f"one.{domain.name}.")
    net.zones.add("one." + domain.name, "CNAME", f"two.{domain.name}.")
    net.zones.add("two." + domain.name, "TXT", '"v=STSv1; id=far;"')
    assert mta.deliver(address(domain)).only.short == "451 4.7.4"


def test_txt_cname_loop_and_failing_target(net, mta):
    """A32, A33: a temporary failure, never "no policy"."""
    for target in ("_mta-sts.{}.", "gone.{}."):
        domain = net.domain(policy="enforce", behaviour=STRIPPED)
        txt = "_mta-sts." + domain.name
        net.zones.remove(txt)
        net.zones.add(txt, "CNAME", target.format(domain.name))
        net.dns.fault("gone." + domain.name, "*", "servfail")
        assert_reply(mta.deliver(address(domain)).only, "451 4.4.3")
        assert_nothing_leaked(domain)


def test_private_mx_addresses_are_refused(net, start):
    mta = start({"dns": {"private-addresses": "refuse"}})
    domain = net.domain(mx=[Mx(family=("loopback", "ipv6"))])
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.4")
    assert all(host.connections == [] for host in domain.hosts)


def test_public_addresses_are_used(net, start):
    mta = start({"dns": {"private-addresses": "refuse"}})
    domain = net.domain(mx=[Mx(10), Mx(20, family="public4")])
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0")
    assert domain.hosts[0].connections == []
    domain = net.domain(mx=[Mx(family="public6")])
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0")


def test_private_policy_host_is_a_failed_fetch(net, start):
    """E15: no request leaves for loopback, and the mail goes as without a policy."""
    mta = start({"dns": {"private-addresses": "refuse"}})
    domain = net.domain(policy="enforce", mx=[Mx(family="public4", behaviour=STRIPPED)])
    before = len(net.policy_host.connections(domain.sts_host))
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert len(net.policy_host.connections(domain.sts_host)) == before


@pytest.mark.parametrize("literal", ["[127.0.0.1]", "[10.1.2.3]", "[192.168.1.1]", "[169.254.0.1]",
                                     "[IPv6:::1]", "[IPv6:fe80::1]", "[IPv6:::ffff:127.0.0.1]"])
def test_private_literals_are_refused(shared_strict, literal):
    assert_reply(shared_strict.deliver("someone@" + literal).only, "550 5.4.4")


@pytest.fixture(scope="module")
def shared_strict(net):
    daemon = net.daemons.start({"dns": {"private-addresses": "refuse"}})
    yield daemon
    assert daemon.stop() == 0


@pytest.mark.parametrize("family", ["public4", "public6"])
def test_public_literals(net, shared_strict, family):
    host = net.mx_host("literal.example", address=getattr(net.addresses, family)(),
                       behaviour=Behaviour(certificate="self-signed"))
    literal = f"[IPv6:{host.address}]" if family == "public6" else f"[{host.address}]"
    assert shared_strict.deliver("someone@" + literal).only.short == "250 2.0.0"
    assert host.messages[0].tls, "opportunistic TLS"


def test_internal_zone_on_its_own_server(net, start):
    """`zone` with `insecure`: a split-horizon name that the root denies."""
    domain = net.domain(zone="corp.lan", behaviour=STRIPPED)
    plain = start()
    assert_reply(plain.deliver(address(domain)).only, "451 4.7.5")
    told = start({"dns": {"insecure": ["corp.lan"],
                          ("zone", "corp.lan"): {"servers": ["127.0.0.54@5300"]}}})
    assert told.deliver(address(domain)).only.short == "250 2.0.0"


def test_a_dead_zone_slows_no_other(net, start):
    mta = start({"dns": {"insecure": ["corp.lan"],
                         ("zone", "corp.lan"): {"servers": ["127.0.0.99"]}}})
    dead = net.domain(zone="corp.lan")
    good = net.domain(policy="enforce")
    result = mta.deliver([address(good), address(dead)])
    assert [reply.short for reply in result.final] == ["250 2.0.0", "451 4.4.3"]
    assert result.final[0].at < 1.5


def test_mode_system_uses_resolv_conf(net, start):
    """resolv.conf in this namespace names the lab's forwarder."""
    with open("/etc/resolv.conf", encoding="ascii") as conf:
        if "127.0.0.53" not in conf.read():
            pytest.skip("not run by tests/e2e/run")
    mta = start({"dns": {"mode": "system", "servers": []}})
    domain = net.domain(policy="enforce")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert domain.fetches()


def test_mode_recurse_starts_at_the_root(net, start):
    """The lab answers at the root servers' addresses; the forwarder is not asked."""
    mta = start({"dns": {"mode": "recurse", "servers": []}})
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4")
    assert net.dns.queries(domain.name) == []
    insecure = net.domain(zone="plain")
    assert mta.deliver(address(insecure)).only.short == "250 2.0.0"


def site_resolver(mode):
    """dns settings that name the lab's forwarder."""
    if mode == "forward":
        return {}
    with open("/etc/resolv.conf", encoding="ascii") as conf:
        if "127.0.0.53" not in conf.read():
            pytest.skip("not run by tests/e2e/run")
    return {"mode": "system", "servers": []}


def wait_health(mta, health):
    """Until the self-test says so; gives the first line that tells of it."""
    lines = mta.wait_log("dns", health=health, seconds=25)
    assert lines, mta.log_text()
    return lines[0]


def alarms(mta):
    return mta.log("alarm", alarm="resolver", level="error")


def wait_ended(mta, ended):
    """The lines follow what the metrics say."""
    wait_until(lambda: [line["ended"] for line in alarms(mta)] == ended, 30, f"alarms {ended}")


@pytest.mark.parametrize("mode", ["forward", "system"])
@pytest.mark.parametrize("name,kind,fault", [("*", "*", "stripped"), (".", "DNSKEY", "servfail"),
                                             ("*", "*", "stripped-without-cd")],
                         ids=["drops-dnssec", "no-root-key", "drops-denials"])
def test_a_forwarder_that_cannot_be_validated_for_a_while(net, start, mode, name, kind, fault):
    """Asked around, with a loud error, and asked again as soon as it works; names that only it
    knows are asked of it all the while."""
    net.dns.fault(name, kind, fault)
    mta = start({"dns": {**site_resolver(mode), "insecure": ["corp.lan"]}})
    first, inside = net.domain(policy="enforce"), net.domain(zone="corp.lan", behaviour=STRIPPED)
    assert mta.deliver(address(first)).only.short == "250 2.0.0"
    assert_arrived(first, tls=True)
    wait_health(mta, "recurses")
    wait_ended(mta, ["no"])
    around = net.domain(policy="enforce")
    assert mta.deliver(address(around)).only.short == "250 2.0.0"
    assert mta.deliver(address(inside)).only.short == "250 2.0.0"
    assert net.dns.queries(around.name) == [] and net.dns.queries(inside.name, "MX")
    net.dns.heal()
    wait_health(mta, "validates")
    wait_ended(mta, ["no", "yes"])
    again = net.domain(policy="enforce")
    assert mta.deliver(address(again)).only.short == "250 2.0.0"
    assert net.dns.queries(again.name, "MX"), "the forwarder is asked again"
    assert mta.deliver(address(inside)).only.short == "250 2.0.0"


def test_what_only_the_root_finds_absent_waits(net, start):
    """A name of the site that is not below dns.insecure must not bounce while its resolver is
    passed by; what that does not know either is no name."""
    net.dns.fault("*", "*", "stripped")
    mta = start()
    inside, outside = net.domain(zone="corp.lan", behaviour=STRIPPED), net.domain()
    assert mta.deliver(address(outside)).only.short == "250 2.0.0"
    wait_health(mta, "recurses")
    assert_reply(mta.deliver(address(inside)).only, "451 4.4.3", inside.name)
    assert_reply(mta.deliver("someone@nobody.example").only, "550 5.1.2", "nobody.example")
    net.dns.fault("lost.example", "MX", "servfail")
    assert_reply(mta.deliver("someone@lost.example").only, "451 4.4.3", "lost.example")
    hosts = net.domain()
    for kind in ("A", "AAAA"):
        net.zones.remove(hosts.host.name, kind)
        net.dns.fault(hosts.host.name, kind, Forged("127.0.0.9" if kind == "A" else "::1"))
    assert_reply(mta.deliver(address(hosts)).only, "451 4.4.3", hosts.name)
    assert_nothing_leaked(inside)


def test_a_forwarder_that_begins_to_drop_dnssec(net, start):
    """It is tested again when bogus answers come in, and mail goes again."""
    mta = start()
    domain = net.domain(policy="enforce")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    wait_health(mta, "validates")
    net.dns.fault("*", "*", "stripped")
    codes = []

    def goes():
        codes.append(mta.deliver(address(net.domain(policy="enforce"))).only.short)
        return codes[-1] == "250 2.0.0"

    wait_until(goes, 20, "a delivery")
    assert set(codes) <= {"250 2.0.0", "451 4.7.5"}
    wait_health(mta, "recurses")
    wait_ended(mta, ["no"])


def healthz(mta):
    """The status and the object of /healthz, for a load balancer."""
    path = mta.settings["control"]["listen"][0].removeprefix("unix:")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while more := sock.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def assert_degraded(mta, words):
    status, answer = healthz(mta)
    assert status == 503 and answer["status"] == "degraded"
    assert any(reason.startswith("resolver: ") and words in reason for reason in answer["reasons"])


def test_our_own_servers_are_blamed_where_nothing_validates(net, start):
    """They drop DNSSEC and the root cannot be asked: all mail waits, for unsigned domains too, and
    no reply blames the recipient.  It ends by itself."""
    net.dns.fault("*", "*", "stripped")
    signed = net.domain(policy="enforce", behaviour=STRIPPED)
    unsigned = net.domain(zone="plain", behaviour=STRIPPED)
    inside = net.domain(zone="corp.lan", behaviour=STRIPPED)
    with net.zones.without_root():
        mta = start({"dns": {"insecure": ["corp.lan"]}})
        for domain in (signed, unsigned):
            reply = mta.deliver(address(domain)).only
            assert_reply(reply, "451 4.7.5", f"by no fault of {domain.name}", "127.0.0.53",
                         "drop DNSSEC records", "(no-signatures-for-trust-anchor)",
                         "let them pass DNSSEC records, or set dns.mode to recurse and open port 53")
            assert "must be repaired" not in reply.text
            assert_nothing_leaked(domain)
        assert mta.deliver(address(inside)).only.short == "250 2.0.0"
        wait_ended(mta, ["no"])
        alarm, = alarms(mta)
        assert "all mail waits, for unsigned domains too" in alarm["msg"]
        assert "no-signatures-for-trust-anchor" in alarm["msg"]
        assert_degraded(mta, "drop DNSSEC records")
        shown = mta.ask("policy", signed.name)
        assert "127.0.0.53" in shown.stdout + shown.stderr
        net.dns.heal()
        wait_health(mta, "validates")
    assert healthz(mta) == (200, {"status": "ok"})
    wait_ended(mta, ["no", "yes"])
    assert mta.deliver(address(unsigned)).only.short == "250 2.0.0"
    assert_reply(mta.deliver(address(signed)).only, "451 4.7.4")


def test_servers_that_answer_nothing_are_blamed(net, start):
    """Mail waits, /healthz is red, and both end soon after the servers answer again."""
    net.dns.fault("*", "*", "silence")
    mta = start({"dns": {"timeout": "1s"}})
    domain = net.domain(policy="enforce")
    wait_health(mta, "silent")
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3", f"by no fault of {domain.name}",
                 "(127.0.0.53) do not answer")
    assert_degraded(mta, "do not answer")
    net.dns.heal()
    wait_health(mta, "validates")
    assert healthz(mta) == (200, {"status": "ok"})
    wait_ended(mta, ["no", "yes"])
    wait_until(lambda: mta.deliver(address(domain)).only.short == "250 2.0.0", 10, "a delivery")


def test_a_way_out_of_dnssec_that_is_broken_for_good(net, start):
    """The reply names it, and it works."""
    mta = start()
    wait_health(mta, "validates")
    domain = net.domain(policy="enforce", behaviour=STRIPPED)
    net.dns.fault("_mta-sts." + domain.name, "TXT", "stripped")
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.5", "validation: no-signatures;",
                 f"the DNS of {domain.name} must be repaired",
                 f'set tls = "audit" in destination "{domain.name}"', "dns.insecure")
    mta.reload({("destination", domain.name): {"tls": "audit"}})
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    mta.reload({("destination", domain.name): {"tls": "policy"}})
    assert mta.deliver(address(domain)).only.short == "451 4.7.5"
    mta.reload({"dns": {"insecure": [domain.name]}})
    assert_reply(mta.deliver(address(domain)).only, "451 4.7.4", "STARTTLS")    # by its policy
    other = net.domain(behaviour=STRIPPED)
    net.dns.fault(other.name, "MX", "stripped")
    assert_reply(mta.deliver(address(other)).only, "451 4.7.5", "must be repaired",
                 f'set relay in destination "{other.name}"', "dns.insecure")
    mta.reload({("destination", other.name): {"relay": other.host.name}})
    assert mta.deliver(address(other)).only.short == "250 2.0.0"


def test_the_check_of_the_configuration_tells_about_dnssec(net):
    """stsgated -t."""
    net.dns.fault("*", "*", "stripped")
    mta = net.daemons.make()
    done = programs.run("stsgated", "-t", "-c", str(mta.config))
    assert done.returncode == 0 and "DNSSEC" in done.stdout + done.stderr
    net.daemons.discard(mta)


def test_start_with_dead_dns(net, start):
    """It comes up and defers; it recovers by itself."""
    net.dns.fault("*", "*", "silence")
    mta = start()
    domain = net.domain(policy="enforce")
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.3")
    net.dns.heal()
    wait_until(lambda: mta.deliver(address(domain)).only.short == "250 2.0.0", 30, "recovery")


def test_forged_answers_in_an_unsigned_zone_are_believed(net, mta):
    """So that the bogus tests are known to test signatures."""
    victim = net.domain(zone="plain")
    other = net.domain()
    net.dns.fault(victim.name, "MX", Forged(f"1 {other.host.name}."))
    assert mta.deliver(address(victim)).only.short == "250 2.0.0"
    assert_arrived(other)


@pytest.mark.no_sanitizer   # which has a malloc() of its own
def test_names_are_resolved_again_after_libunbound_lacked_memory(net):
    """Its contexts have stopped for good: new ones replace them, and none delays the end."""
    mta = net.daemons.make()
    library, lacks = mta.directory / "no_memory_for_answers.so", mta.directory / "no-memory"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library,
                    pathlib.Path(__file__).with_name("no_memory_for_answers.c")], check=True)
    mta.start(prefix=["env", f"LD_PRELOAD={library}", f"NO_MEMORY={lacks}"])
    domains = [net.domain(policy="enforce") for _ in range(4)]
    assert mta.deliver(address(domains[0])).only.short == "250 2.0.0"
    lacks.touch()
    for domain in domains[1:]:
        assert_reply(mta.deliver(address(domain)).only, "451 4.4.3")
        assert not domain.host.connections
    lacks.unlink()
    for domain in domains[1:]:
        wait_until(lambda: mta.deliver(address(domain)).only.short == "250 2.0.0", 30, "recovery")
        assert_arrived(domain)
    assert mta.stop(10) == 0
    net.daemons.discard(mta)
