# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate-milter with stsgated, as an MTA sees it over the milter protocol."""

import ctypes
import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, wait_until
from stslab import programs
from stslab.daemon import render
from stslab.milter import (ADD_HEADERS, ALL_ACTIONS, CHANGE_HEADERS, MapServer, MilterLost,
                           StsgateMilter, netstring)
from stslab.policyhost import policy_text

SENDER = "<someone@out.stslab.example>"
REMOTE = {"rcpt_mailer": "smtp"}
LOCAL = {"rcpt_mailer": "local", "rcpt_host": ""}
CONTINUE = "continue"
NUMBERS = itertools.count(1)
LONGER_THAN_A_RECIPIENT = 15


def remote(domain, local="someone"):
    return f"<{address(domain, local)}>"


@pytest.fixture
def alone(tmp_path):
    """A milter whose stsgated is a stand-in, or absent: alone(answer, **milter settings)."""
    made = []

    def build(answer=None, listen=None, start=True, user="nobody", **settings):
        directory = tmp_path / str(next(NUMBERS))
        directory.mkdir()
        for path in (directory, *directory.parents):
            if path.stat().st_uid == os.geteuid() and path.name:
                path.chmod(path.stat().st_mode | 0o011)
        shutil.chown(directory, "nobody")
        server = MapServer(directory / "map", answer) if answer else None
        listen = listen or f"unix:{directory}/milter"
        config = directory / "stsgate.conf"
        config.write_text(render({
            "user": user, "log": "stderr", "policy-map": {"listen": [f"unix:{directory}/map"]},
            "milter": {"listen": listen, **settings}}))
        milter = StsgateMilter(config, listen, directory / "log")
        milter.directory = directory
        made.append((milter, server))
        return (milter.start() if start else milter), server

    yield build
    for milter, server in made:
        milter.kill()
        if server:
            server.stop()


def verdict(question, says="use", reply=None):
    answer = {"domain": question.split()[1], "verdict": says, "hosts": []}
    if reply:
        answer["reply"] = reply
    return netstring("OK " + json.dumps(answer))


def defers(question):
    return verdict(question, "defer", "451 4.7.5 no MX host matches")


# What is refused

def mismatch(net, mode="enforce"):
    return net.domain(policy=mode, patterns=["mx.elsewhere.example"], policy_id="unlisted")


@pytest.mark.parametrize("refuse,refused", [("never", False), ("tempfail", True),
                                            ("reject", True)])
def test_no_mx_matches_an_enforced_policy(net, pair, refuse, refused):
    mta, milter = pair(refuse=refuse)
    domain = mismatch(net)
    with milter.session() as session:
        session.mail(SENDER)
        answer = session.rcpt(remote(domain), **REMOTE, rcpt_host=domain.name)
    if refused:
        assert answer.do == "reply" and answer.text.startswith("451 4.7.5 "), answer
        for word in (domain.name, domain.host.name, "unlisted"):
            assert word in answer.text
    else:
        assert answer.do == CONTINUE
    (line,) = milter.log("recipient", domain=domain.name)
    assert line["verdict"] == "defer" and line["policy-id"] == "unlisted"
    assert line["action"] == ("tempfail" if refused else "continue")
    assert line["reply"].startswith("451 4.7.5 ")
    assert_nothing_leaked(domain)


def test_the_delivery_says_what_the_milter_said(net, pair):
    mta, milter = pair(refuse="tempfail")
    domain = mismatch(net)
    with milter.session() as session:
        session.mail(SENDER)
        answer = session.rcpt(remote(domain), **REMOTE)
    assert answer.text == str(mta.deliver(address(domain)).only)


@pytest.mark.parametrize("policy", ["enforce", "testing", "none", None])
def test_what_can_be_delivered_is_not_refused(net, pair, policy):
    _, milter = pair(refuse="reject")
    domain = net.domain(policy=policy)
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt(remote(domain), **REMOTE).do == CONTINUE
    (line,) = milter.log("recipient", domain=domain.name)
    assert line["verdict"] == "use"
    assert line.get("mode") == policy


def test_testing_is_not_refused_when_no_mx_matches(net, pair):
    _, milter = pair(refuse="reject")
    domain = mismatch(net, "testing")
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt(remote(domain), **REMOTE).do == CONTINUE


@pytest.mark.parametrize("refuse,text", [("never", None), ("tempfail", None),
                                         ("reject", "550 5.1.2 ")])
def test_what_is_refused_for_good(net, pair, refuse, text):
    """With tempfail the MTA is left to bounce it, at once."""
    _, milter = pair(refuse=refuse)
    name = net.fresh_name()
    with milter.session() as session:
        session.mail(SENDER)
        answer = session.rcpt(f"<someone@{name}>", **REMOTE)
    assert answer.text.startswith(text) if text else answer.do == CONTINUE


@pytest.mark.parametrize("refuse", ["never", "tempfail", "reject"])
def test_requiretls_that_nobody_vouches_for(net, pair, refuse):
    """The MX answer of an unsigned zone, and no policy (RFC 8689 4.2.1)."""
    _, milter = pair(refuse=refuse)
    domain = net.domain(zone="plain")
    with milter.session() as session:
        session.mail(SENDER, "BODY=8BITMIME", "REQUIRETLS")
        answer = session.rcpt(remote(domain), **REMOTE)
        session.mail(SENDER)
        assert session.rcpt(remote(domain), **REMOTE).do == CONTINUE
    if refuse == "reject":
        assert answer.text.startswith("550 5.7.10 "), answer
    else:
        assert answer.do == CONTINUE
    assert milter.log("recipient", domain=domain.name, wish="requiretls", verdict="refuse")


@pytest.mark.parametrize("policy,zone", [("enforce", "plain"), (None, "example")])
def test_requiretls_that_may_be_met(net, pair, policy, zone):
    _, milter = pair(refuse="reject")
    domain = net.domain(policy=policy, zone=zone)
    with milter.session() as session:
        session.mail(SENDER, "REQUIRETLS")
        assert session.rcpt(remote(domain), **REMOTE).do == CONTINUE
    assert milter.log("recipient", domain=domain.name, wish="requiretls", verdict="use")


def test_one_recipient_is_refused_and_the_others_go_on(net, pair):
    _, milter = pair(refuse="tempfail", header=True)
    good, bad = net.domain(policy="enforce", policy_id="good"), mismatch(net)
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt(remote(good), **REMOTE).do == CONTINUE
        assert session.rcpt(remote(bad), **REMOTE).text.startswith("451 4.7.5 ")
        (change,) = session.message()
    assert change.value.startswith(f"use; domain={good.name}; ")
    assert bad.name not in change.value


# Gathered before the delivery

def test_the_policy_is_there_when_the_delivery_comes(net, pair):
    mta, milter = pair()
    domain = net.domain(policy="enforce")
    with milter.session() as session:
        session.mail(SENDER)
        session.rcpt(remote(domain), **REMOTE)
    assert len(domain.fetches()) == 1
    net.policy_host.accept = False
    mta.deliver(address(domain))
    assert_arrived(domain, tls=True)
    assert len(domain.fetches()) == 1


@pytest.mark.parametrize("macros", [
    LOCAL, {"rcpt_mailer": "virtual", "rcpt_host": "here.example"}, {"rcpt_mailer": "error"},
    {"rcpt_mailer": "relay", "rcpt_host": "[127.0.0.1]"}])
def test_local_recipients_are_passed_over(net, pair, macros):
    _, milter = pair(refuse="reject")
    domain = mismatch(net)
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt(remote(domain), **macros).do == CONTINUE
    assert domain.fetches() == []
    assert milter.log("recipient") == []


@pytest.mark.parametrize("mailer", ["esmtp", "stsgate", "lmtp"])
def test_mail_that_goes_to_stsgated_is_asked_about_by_its_address(net, start, beside, mailer):
    mta = start({"lmtp": {"listen": ["inet:127.0.0.1:2431"]}})
    milter = beside(mta)
    domain = net.domain(policy="enforce")
    with milter.session() as session:
        session.mail(SENDER)
        session.rcpt("<alias@here.example>", rcpt_mailer=mailer, rcpt_host="inet:127.0.0.1:2431",
                     rcpt_addr=address(domain))
    assert len(domain.fetches()) == 1


def test_the_next_hop_is_asked_about(net, pair):
    _, milter = pair()
    hop, domain = net.domain(policy="enforce"), net.domain(policy="enforce")
    with milter.session() as session:
        session.mail(SENDER)
        session.rcpt(remote(domain), rcpt_mailer="esmtp", rcpt_host=hop.name + ".")
    assert len(hop.fetches()) == 1 and domain.fetches() == []


# Where a refusal would do harm

def test_mail_by_sendmail_into_postfix_is_never_refused(net, pair):
    """As Postfix's cleanup plays it: no {rcpt_mailer}, no <>, and a queue id at MAIL."""
    _, milter = pair(refuse="reject")
    domain = mismatch(net)
    with milter.session() as session:
        session.mail("someone@out.stslab.example", i="4XYZ")
        assert session.rcpt(address(domain), i="4XYZ", rcpt_addr=address(domain)).do == CONTINUE
    (line,) = milter.log("recipient", domain=domain.name)
    assert (line["verdict"], line["action"], line["id"]) == ("defer", "continue", "4XYZ")
    assert "maildrop" in line["why"]


# The header

def forged(value="use; domain=forged.example"):
    return ("X-STS-Verdict", value)


def changes_for(milter, recipients, headers):
    with milter.session() as session:
        session.mail(SENDER)
        for recipient, macros in recipients:
            assert session.rcpt(recipient, **macros).do == CONTINUE
        return session.message(headers)


def test_header_for_one_domain(net, pair):
    _, milter = pair(header=True)
    domain = net.domain(policy="enforce", policy_id="shown")
    (change,) = changes_for(milter, [(remote(domain, "a"), REMOTE), (remote(domain, "b"), REMOTE)],
                            [("Subject", "hello")])
    assert (change.what, change.name) == ("add", "X-STS-Verdict")
    assert change.value == f"use; domain={domain.name}; policy=sts; mode=enforce; id=shown"


def test_header_of_what_would_be_deferred(net, pair):
    _, milter = pair(header=True)
    domain = mismatch(net)
    (change,) = changes_for(milter, [(remote(domain), REMOTE)], [])
    assert change.value == \
        f"defer; domain={domain.name}; policy=sts; mode=enforce; id=unlisted; status=4.7.5"


def test_no_header_for_several_domains(net, pair):
    """It would tell one recipient of the others."""
    _, milter = pair(header=True)
    domains = [net.domain(policy="enforce"), net.domain()]
    assert changes_for(milter, [(remote(domain), REMOTE) for domain in domains], []) == []


def test_no_header_beside_a_local_recipient(net, pair):
    _, milter = pair(header=True)
    recipients = [(remote(net.domain()), REMOTE), ("<me@here.example>", LOCAL)]
    assert changes_for(milter, recipients, []) == []


@pytest.mark.parametrize("recipients", [1, 2])
def test_forged_headers_are_removed(net, pair, recipients):
    """The last one first, since each removal may renumber the rest."""
    _, milter = pair(header=True)
    headers = [forged(), ("Subject", "hello"), ("x-sts-verdict", "use"), forged("none")]
    made = changes_for(milter, [(remote(net.domain()), REMOTE) for _ in range(recipients)],
                       headers)
    assert [(change.what, change.index, change.value) for change in made[:3]] == \
        [("change", 3, ""), ("change", 2, ""), ("change", 1, "")]
    assert [change.what for change in made[3:]] == (["add"] if recipients == 1 else [])


def test_without_the_option_no_header_is_looked_at(net, pair):
    _, milter = pair()
    with milter.session() as session:
        assert session.actions & (ADD_HEADERS | CHANGE_HEADERS) == 0
        session.mail(SENDER)
        session.rcpt(remote(net.domain()), **REMOTE)
        assert session.message([forged()]) == []


def test_an_mta_that_lets_no_header_be_changed(alone):
    milter, _ = alone(verdict, header=True)
    with milter.session(actions=ALL_ACTIONS & ~CHANGE_HEADERS) as session:
        session.mail(SENDER)
        session.rcpt("<a@d.example>")
        assert session.message([forged()]) == []
    assert milter.log("negotiate")


def test_no_header_without_a_verdict(alone):
    milter, _ = alone(lambda question: netstring("TEMP slow"), header=True)
    assert [change.what for change in changes_for(milter, [("<a@d.example>", {})], [forged()])] \
        == ["change"], "the forged one goes all the same"


# stsgated is away, slow, or not itself

def test_stsgated_killed_and_restarted_in_the_middle_of_a_session(net, pair):
    mta, milter = pair(refuse="tempfail")
    first, second, third = mismatch(net), mismatch(net), mismatch(net)
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt(remote(first), **REMOTE).text.startswith("451 4.7.5 ")
        mta.kill()
        session.mail(SENDER)
        assert session.rcpt(remote(second), **REMOTE).do == CONTINUE
        (line,) = milter.log("recipient", domain=second.name)
        assert line["verdict"] == "unknown" and "cannot be reached" in line["why"]
        mta.start()
        session.mail(SENDER)
        assert session.rcpt(remote(third), **REMOTE).text.startswith("451 4.7.5 ")


def test_stsgated_is_not_there_at_the_start(alone):
    milter, _ = alone(refuse="reject")
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt("<a@d.example>").do == CONTINUE
    (line,) = milter.log("recipient")
    assert line["verdict"] == "unknown" and line["action"] == "continue"


def test_one_connection_to_stsgated_for_a_session(alone):
    milter, server = alone(verdict)
    with milter.session() as session:
        for number in range(5):
            session.mail(SENDER)
            session.rcpt(f"<a@d{number}.example>")
    assert server.connections == 1
    assert server.questions == [f"json d{number}.example" for number in range(5)]


def test_a_silent_stsgated_costs_one_deadline_a_message(alone):
    milter, server = alone(lambda question: None, refuse="reject")
    with milter.session() as session:
        session.mail(SENDER)
        begun = time.monotonic()
        for number in range(10):
            assert session.rcpt(f"<a@d{number}.example>").do == CONTINUE
        assert time.monotonic() - begun < LONGER_THAN_A_RECIPIENT
    assert len(server.questions) == 1
    assert "did not answer in time" in milter.log("recipient")[0]["why"]


@pytest.mark.parametrize("octets", [
    b"not a netstring", b"99999999999999999999:x,", b"200000:", b"5:OK {},", b"6:OK []x.",
    b"5:OK {},5:OK {},", b"12:OK \xff\xfe\xff\xff\xff\xff\xff\xff\xff,"])
def test_an_answer_that_makes_no_sense(alone, octets):
    milter, server = alone(lambda question: octets if "bad" in question else defers(question),
                           refuse="reject")
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt("<a@bad.example>").do == CONTINUE
        session.mail(SENDER)
        assert session.rcpt("<a@good.example>").text.startswith("451 4.7.5 ")
    assert milter.log("recipient", domain="bad.example", verdict="unknown")


def test_a_percent_sign_does_no_harm(alone):
    """libmilter takes the text of a reply for a format."""
    milter, _ = alone(lambda question: verdict(question, "defer", "451 4.7.5 100%s %n off"),
                      refuse="tempfail")
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt("<a@d.example>").text == "451 4.7.5 100?s ?n off"


def test_many_sessions_side_by_side(alone):
    milter, server = alone(defers, refuse="tempfail")
    sessions = [milter.session() for _ in range(100)]
    try:
        for number, session in enumerate(sessions):
            session.mail(SENDER)
            assert session.rcpt(f"<a@d{number}.example>").text.startswith("451 4.7.5 ")
        assert server.connections == 100
    finally:
        for session in sessions:
            session.__exit__()
    wait_until(lambda: len(os.listdir(f"/proc/{milter.process.pid}/fd")) < 20, 30,
               "closing 100 sessions' descriptors")


# The process

def test_sigterm_ends_with_0_and_takes_the_socket_along(alone):
    milter, _ = alone(verdict)
    path = milter.listen.removeprefix("unix:")
    with milter.session() as session:
        session.mail(SENDER)
        assert milter.stop() == 0
    assert not os.path.exists(path)
    assert milter.log("stop")


def test_sigterm_lets_a_recipient_be_answered(alone):
    def slow(question):
        if "slow" in question:
            time.sleep(1.5)
        return defers(question)
    milter, server = alone(slow, refuse="tempfail")
    with milter.session() as session:
        session.mail(SENDER)
        session._macros(b"R", {})
        session._send(b"R", b"<a@slow.example>\0")
        wait_until(lambda: server.questions, 30, "the question")
        milter.signal(signal.SIGTERM)
        assert session._answer().text.startswith("451 4.7.5 ")
        assert milter.process.wait(30) == 0


def test_sighup_reads_the_configuration_and_stops_nothing(alone):
    milter, _ = alone(defers, refuse="never")
    with milter.session() as before:
        before.mail(SENDER)
        assert before.rcpt("<a@d.example>").do == CONTINUE
        text = milter.config.read_text()
        milter.config.write_text(text.replace('"never"', '"tempfail"'))
        milter.signal(signal.SIGHUP)
        assert milter.wait_log("reload")
        before.mail(SENDER)
        assert before.rcpt("<a@d.example>").do == CONTINUE, "goes on with what it began with"
        with milter.session() as after:
            after.mail(SENDER)
            assert after.rcpt("<a@d.example>").text.startswith("451 4.7.5 ")
    assert milter.process.poll() is None


def test_many_sighups_end_nothing(alone):
    milter, _ = alone(verdict)
    for _ in range(500):
        milter.signal(signal.SIGHUP)
    assert milter.wait_log("reload")
    with milter.session() as session:
        assert session.mail(SENDER).do == CONTINUE
    assert milter.process.poll() is None
    assert milter.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_another_thread_ends_nothing(alone, number):
    """libmilter has a thread that would end the milter."""
    milter, _ = alone(verdict)
    with milter.session() as session:
        session.mail(SENDER)
        tasks = [int(task) for task in os.listdir(f"/proc/{milter.process.pid}/task")]
        assert len(tasks) >= 3
        for task in tasks:
            if task != milter.process.pid:
                ctypes.CDLL(None).tgkill(milter.process.pid, task, number)
        assert session.rcpt("<a@d.example>").do == CONTINUE
    with milter.session() as session:
        assert session.mail(SENDER).do == CONTINUE
    assert milter.process.poll() is None
    assert milter.stop() == 0


def test_a_wrong_file_at_sighup_changes_nothing(alone):
    milter, _ = alone(defers, refuse="tempfail")
    milter.config.write_text("no-such-key = 1\n")
    milter.signal(signal.SIGHUP)
    (line,) = milter.wait_log("reload")
    assert "no-such-key" in line["msg"] and "old configuration" in line["msg"]
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt("<a@d.example>").text.startswith("451 4.7.5 ")


@pytest.mark.parametrize("listen", ["inet:127.0.0.1:2440", "inet6:[::1]:2440"])
def test_inet_sockets(alone, listen):
    milter, _ = alone(defers, listen=listen, refuse="tempfail")
    with milter.session() as session:
        session.mail(SENDER)
        assert session.rcpt("<a@d.example>").text.startswith("451 4.7.5 ")
    assert milter.stop() == 0


def test_it_becomes_the_user(alone):
    milter, _ = alone()
    status = open(f"/proc/{milter.process.pid}/status", encoding="ascii").read()
    ids = {line.split()[0]: line.split()[1:] for line in status.splitlines()}
    account = pwd.getpwnam("nobody")
    assert ids["Uid:"] == [str(account.pw_uid)] * 4
    assert ids["Gid:"] == [str(account.pw_gid)] * 4
    assert set(ids["Groups:"]) <= {str(account.pw_gid)}


def test_mode_and_group_of_the_socket(alone):
    options = {"socket-mode": "0620", "socket-group": "daemon"}
    milter, _ = alone(**options)
    status = os.stat(milter.listen.removeprefix("unix:"))
    assert stat.S_IMODE(status.st_mode) == 0o620
    assert status.st_gid == 1


def test_a_stale_socket_is_replaced(alone):
    milter, _ = alone()
    milter.kill()
    assert os.path.exists(milter.listen.removeprefix("unix:"))
    milter.start()


def test_a_socket_in_use_is_left_alone(alone):
    milter, _ = alone()
    second = programs.run("stsgate-milter", "-c", str(milter.config))
    assert second.returncode == 69 and "listening there already" in second.stderr
    with milter.session() as session:
        assert session.mail(SENDER).do == CONTINUE


def test_a_port_in_use(alone):
    milter, _ = alone(listen="inet:127.0.0.1:2441")
    second = programs.run("stsgate-milter", "-c", str(milter.config))
    assert second.returncode == 69 and "listening there already" in second.stderr


def test_a_file_in_the_way_is_left_alone(alone):
    milter, _ = alone(start=False)
    path = milter.listen.removeprefix("unix:")
    with open(path, "w", encoding="ascii") as file:
        file.write("precious")
    assert programs.run("stsgate-milter", "-c", str(milter.config)).returncode == 69
    assert open(path, encoding="ascii").read() == "precious"


def test_check_version_and_usage(alone):
    milter, _ = alone(start=False)
    done = programs.run("stsgate-milter", "-t", "-c", str(milter.config))
    assert done.returncode == 0 and "configuration ok" in done.stdout
    done = programs.run("stsgate-milter", "-V")
    assert done.returncode == 0 and done.stdout.startswith("stsgate-milter ")
    for arguments in (["-x"], ["word"]):
        assert programs.run("stsgate-milter", *arguments).returncode == 64
    milter.config.write_text("milter { refuse = \"perhaps\" }\n")
    done = programs.run("stsgate-milter", "-t", "-c", str(milter.config))
    assert done.returncode == 78 and f"{milter.config}:1: " in done.stderr


def test_a_user_that_does_not_exist(alone):
    milter, _ = alone(start=False, user="nobody-of-this-name")
    done = programs.run("stsgate-milter", "-c", str(milter.config))
    assert done.returncode == 78 and "nobody-of-this-name" in done.stderr


def test_nobody_to_ask(alone):
    milter, _ = alone(start=False)
    milter.config.write_text(milter.config.read_text().replace("listen = {", "listen = {} #"))
    done = programs.run("stsgate-milter", "-c", str(milter.config))
    assert done.returncode == 69 and "policy-map.listen is empty" in done.stderr


def test_a_client_that_talks_nonsense(alone):
    milter, _ = alone(verdict)
    for octets in (b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xffO", b"\0\0\0\x01M", b"\0\0\0\x0dO"):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(milter.listen.removeprefix("unix:"))
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
    with milter.session() as session:
        assert session.mail(SENDER).do == CONTINUE
