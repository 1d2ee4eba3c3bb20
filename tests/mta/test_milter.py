# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate-milter under the real Postfix and Sendmail, which hand their mail to stsgated."""

import smtplib

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, wait_until
from stslab.milter import StsgateMilter

# Both come with the private roots of tests/mta.
ADDRESS, QUEUE, Postfix = (getattr(pytest.importorskip("stslab.postfix"), name)
                           for name in ("ADDRESS", "QUEUE", "Postfix"))
SENDMAIL, Sendmail = (getattr(pytest.importorskip("stslab.sendmail"), name)
                      for name in ("SENDMAIL", "Sendmail"))

LMTP, MILTER = 2470, 2471   # Postfix's; Sendmail's are the next two
SENDER = "sender@out.stslab.example"
CONTENT = b"Subject: hello\r\nX-STS-Verdict: use; forged\r\n\r\nGood day.\r\n"
POSTFIX = """
smtpd_milters = inet:127.0.0.1:{port}
non_smtpd_milters = $smtpd_milters
milter_default_action = accept
milter_connect_timeout = 5s
milter_command_timeout = 10s
"""
SENDMAIL_MC = """\
INPUT_MAIL_FILTER(`stsgate', `S=inet:{port}@127.0.0.1, T=C:5s;S:10s;R:10s;E:1m')dnl
MAILER_DEFINITIONS
"""


class Site:
    """stsgated, the milter beside it, and the MTA before both."""

    def __init__(self, net, lmtp, port):
        self.daemon = net.daemons.start({
            "lmtp": {"listen": [f"inet:127.0.0.1:{lmtp}"]}, "smtp": {"host-retry": "1s"},
            "milter": {"listen": f"inet:127.0.0.1:{port}", "refuse": "reject", "header": True}})
        self.milter = StsgateMilter(self.daemon.config, f"inet:127.0.0.1:{port}",
                                    self.daemon.directory / "milter.log").start()
        self.mta = None

    def stop(self):
        self.mta.stop()
        assert self.milter.stop() == 0
        assert self.daemon.stop() == 0


@pytest.fixture(scope="module")
def made_postfix(net):
    site = Site(net, LMTP, MILTER)
    site.mta = Postfix(net.directory / "postfix-milter", ["main.cf.lmtp"],
                       changes=[("inet:127.0.0.1:2424", f"inet:127.0.0.1:{LMTP}")],
                       settings=POSTFIX.format(port=MILTER), smtpd=True)
    yield site
    site.stop()


@pytest.fixture(scope="module")
def made_sendmail(net):
    site = Site(net, LMTP + 2, MILTER + 2)
    site.mta = Sendmail(net.directory / "sendmail-milter", "sendmail-lmtp.mc", changes=[
        ("MAILER(`stsgate')", f"define(`STSGATE_MAILER_PORT', `{LMTP + 2}')dnl\n"
                              "MAILER(`stsgate')"),
        ("MAILER_DEFINITIONS\n", SENDMAIL_MC.format(port=MILTER + 2))])
    yield site
    site.stop()


def healthy(site):
    if site.daemon.process is None:
        site.daemon.start()
    if site.milter.process is None:
        site.milter.start()
    site.mta.empty()
    return site


@pytest.fixture
def postfix(made_postfix):
    yield healthy(made_postfix)
    healthy(made_postfix)


@pytest.fixture
def sendmail(made_sendmail):
    yield healthy(made_sendmail)
    healthy(made_sendmail)


def postfix_submit(site, recipients):
    """By SMTP; gives the reply to each RCPT as (code, text)."""
    with smtplib.SMTP(ADDRESS, timeout=60) as client:
        client.ehlo("client.example")
        client.mail(SENDER)
        replies = [client.rcpt(recipient) for recipient in recipients]
        if any(code == 250 for code, _ in replies):
            assert client.data(CONTENT)[0] == 250
    site.mta.settle()
    return [(code, text.decode()) for code, text in replies]


def sendmail_submit(site, recipients):
    """By SMTP with sendmail -bs, which takes no commands ahead of its replies."""
    process = site.mta.root.start(SENDMAIL, "-Am", "-bs", "-odi")

    def command(octets):
        process.stdin.write(octets + b"\r\n" if octets else b"")
        process.stdin.flush()
        while True:
            line = process.stdout.readline().decode("utf-8", "replace")
            assert line, "sendmail -bs has ended"
            if line[3:4] == " ":
                return int(line[:3]), line[4:]

    command(b"")
    command(b"EHLO client.example")
    command(b"MAIL FROM:<" + SENDER.encode() + b">")
    replies = [command(b"RCPT TO:<" + recipient.encode() + b">") for recipient in recipients]
    if any(code == 250 for code, _ in replies):
        command(b"DATA")
        assert command(CONTENT + b".")[0] == 250
    command(b"QUIT")
    process.communicate(timeout=60)
    return replies


def mismatch(net):
    return net.domain(policy="enforce", patterns=["mx.elsewhere.example"], policy_id="unlisted")


@pytest.fixture(params=["postfix", "sendmail"])
def site(request):
    made = request.getfixturevalue(request.param)
    submit = {"postfix": postfix_submit, "sendmail": sendmail_submit}[request.param]
    made.submit = lambda recipients: submit(made, recipients)
    return made


def test_refused_as_it_is_submitted(net, site):
    good, bad = net.domain(policy="enforce", policy_id="listed"), mismatch(net)
    (accepted, refused) = site.submit([address(good), address(bad)])
    assert accepted[0] == 250
    assert refused[0] == 451 and "4.7.5" in refused[1]
    for word in (bad.name, bad.host.name, "unlisted"):
        assert word in refused[1]
    wait_until(good.messages, 60, "the delivery")
    assert_arrived(good, tls=True)
    assert_nothing_leaked(bad)
    assert site.mta.waiting() == []


def test_one_header_that_is_ours(net, site):
    domain = net.domain(policy="enforce", policy_id="shown")
    assert site.submit([address(domain, "a"), address(domain, "b")])[0][0] == 250
    wait_until(domain.messages, 60, "the delivery")
    for message in domain.messages():
        lines = [line for line in message.content.replace(b"\r\n\t", b" ").splitlines()
                 if line.lower().startswith(b"x-sts-verdict")]
        assert lines == [f"X-STS-Verdict: use; domain={domain.name}; policy=sts; mode=enforce; "
                         "id=shown".encode()]


def test_no_header_where_it_would_tell_of_others(net, site):
    domains = [net.domain(), net.domain()]
    site.submit([address(domain) for domain in domains])
    for domain in domains:
        wait_until(domain.messages, 60, "the delivery")
        assert b"x-sts-verdict" not in domain.messages()[0].content.lower()


def test_a_local_recipient_is_none_of_its_business(site):
    assert site.submit([SENDER])[0][0] == 250
    assert not [line for line in site.milter.log("recipient") if SENDER in line["to"]]


def test_a_domain_that_does_not_exist(net, site):
    ((code, text),) = site.submit([f"someone@{net.fresh_name()}"])
    assert code == 550 and "5.1.2" in text


def test_stsgated_is_away(net, site):
    domain = mismatch(net)
    site.daemon.kill()
    assert site.submit([address(domain)])[0][0] == 250
    (line,) = site.milter.log("recipient", domain=domain.name)
    assert (line["verdict"], line["action"]) == ("unknown", "continue")
    assert site.mta.waiting() == [address(domain)]
    assert_nothing_leaked(domain)


def test_stsgated_killed_and_restarted_in_the_middle_of_a_session(net, site):
    """It is asked again from the next message on; what passed unasked, the delivery defers."""
    good = net.domain(policy="enforce")
    before, meanwhile, after = mismatch(net), mismatch(net), mismatch(net)

    def recipients():
        """Asked for one by one, each after the reply to the one before."""
        yield address(good)
        yield address(before)
        site.daemon.kill()
        yield address(meanwhile)
        site.daemon.start()
        yield address(after)

    assert [code for code, _ in site.submit(recipients())] == [250, 451, 250, 250]
    (line,) = site.milter.log("recipient", domain=meanwhile.name)
    assert line["verdict"] == "unknown" and "cannot be reached" in line["why"]
    wait_until(good.messages, 60, "the delivery")
    assert_arrived(good, tls=True)
    wait_until(lambda: sorted(site.mta.waiting()) == sorted(map(address, (meanwhile, after))), 60,
               "the deferrals")
    ((code, text),) = site.submit([address(after)])
    assert code == 451 and "4.7.5" in text
    for domain in (before, meanwhile, after):
        assert_nothing_leaked(domain)


def test_the_milter_is_away(net, site):
    domain = net.domain(policy="enforce")
    site.milter.kill()
    assert site.submit([address(domain)])[0][0] == 250
    wait_until(domain.messages, 60, "the delivery")


def test_mail_by_sendmail_never_stays_in_the_maildrop(net, postfix):
    """Postfix cannot refuse a recipient there: the message must reach the queue."""
    domain = mismatch(net)
    postfix.mta.send(address(domain))
    assert postfix.mta.waiting() == [address(domain)]
    assert "4.7.5" in postfix.mta.mailq()
    assert not any(postfix.mta.root.inside(f"{QUEUE}/maildrop").iterdir())
    assert "configuration error" not in postfix.mta.log_text()
    (line,) = postfix.milter.log("recipient", domain=domain.name)
    assert line["action"] == "continue" and "maildrop" in line["why"]
    assert_nothing_leaked(domain)
