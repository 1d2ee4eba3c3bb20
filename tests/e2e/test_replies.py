# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""The contract's reply table: what the remote said, as the MTA hears it."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from checks import address, assert_arrived, assert_nothing_leaked, assert_reply, wait_until
from stslab import lmtp
from stslab.forwarder import Forged
from stslab.internet import Mx
from stslab.mx import Behaviour, Drop, Endless, InPieces, Reset, Silence, Slow

ONE = "someone"


def at(stage, action):
    """A host that does `action` at one stage of the dialogue."""
    return Behaviour(rcpt={ONE: action}) if stage == "rcpt" else Behaviour(**{stage: action})


# stage, what the remote says, code and enhanced code for the MTA, text that must be there
REMOTE = [
    ("mail", "550 5.7.1 Go away", "550 5.7.1", "Go away"),
    ("mail", "451 4.3.0 Later", "451 4.3.0", "Later"),
    ("mail", "421 4.3.2 Closing", "451 4.3.2", "Closing"),
    ("rcpt", "550 5.1.1 No such user", "550 5.1.1", "No such user"),
    ("rcpt", "450 4.2.1 Mailbox busy", "450 4.2.1", "Mailbox busy"),
    ("rcpt", "421 4.3.2 Closing", "451 4.3.2", "Closing"),
    ("rcpt", "550 No such user", "550 5.0.0", "No such user"),
    ("rcpt", "452 Too full", "452 4.0.0", "Too full"),
    ("rcpt", "550 4.2.2 Wrong class", "550 5.0.0", "Wrong class"),
    ("rcpt", "450 5.2.2 Wrong class", "450 4.0.0", "Wrong class"),
    ("rcpt", "550 2.1.5 Wrong class", "550 5.0.0", "Wrong class"),
    ("rcpt", "550", "550 5.0.0", ""),
    ("rcpt", "550 5.1.1 First line\n550 5.1.1 second line", "550 5.1.1", "second line"),
    ("data", "554 5.3.0 No", "554 5.3.0", "No"),
    ("data", "451 4.3.0 Not now", "451 4.3.0", "Not now"),
    ("data", "421 4.3.2 Closing", "451 4.3.2", "Closing"),
    ("dot", "554 5.7.1 Spam", "554 5.7.1", "Spam"),
    ("dot", "552 5.2.2 Quota", "552 5.2.2", "Quota"),
    ("dot", "452 4.3.1 Disk", "452 4.3.1", "Disk"),
    ("dot", "421 4.3.2 Closing", "451 4.3.2", "Closing"),
    ("dot", "550 Virus", "550 5.0.0", "Virus"),
    # Codes that make no sense there, or none at all.
    ("mail", "354 What?", "451 4.5.0", ""),
    ("rcpt", "354 What?", "451 4.5.0", ""),
    ("rcpt", "999 What?", "451 4.5.0", ""),
    ("rcpt", "000 What?", "451 4.5.0", ""),
    ("rcpt", b"hello there\r\n", "451 4.5.0", ""),
    ("rcpt", b"55\r\n", "451 4.5.0", ""),
    ("rcpt", b"\r\n", "451 4.5.0", ""),
    ("data", "250 2.0.0 Ok", "451 4.5.0", ""),
    ("dot", "354 Go on", "451 4.5.0", ""),
    ("dot", b"what?\r\n", "451 4.5.0", ""),
    # Answers to the dot that came before it.
    ("data", b"354 Go on\r\n250 2.0.0 Ok: queued\r\n", "451 4.5.0", "before the message was over"),
    ("data", b"354 Go on\r\n554 5.7.1 Spam\r\n", "451 4.5.0", "before the message was over"),
    # Both yes and no.
    ("dot", b"250-scanned\r\n554 5.7.1 Spam\r\n", "451 4.5.0", "scanned"),
    # Greeting and EHLO, refused by every host.
    ("greeting", "554 5.3.2 No SMTP here", "451 4.4.0", "No SMTP here"),
    ("greeting", "421 4.3.2 Too busy", "451 4.4.0", "Too busy"),
    ("greeting", "450 4.3.2 Not yet", "451 4.4.0", "Not yet"),
    ("ehlo", "421 4.3.2 Bye", "451 4.4.0", "Bye"),
    ("ehlo", "451 4.3.0 Later", "451 4.4.0", "Later"),
    # Lost, or silent for longer than the limits.
    ("greeting", Drop(), "451 4.4.2", ""),
    ("greeting", Reset(), "451 4.4.2", ""),
    ("ehlo", Drop(), "451 4.4.2", ""),
    ("mail", Drop(), "451 4.4.2", ""),
    ("rcpt", Drop(), "451 4.4.2", ""),
    ("data", Drop(), "451 4.4.2", ""),
    ("dot", Drop(), "451 4.4.2", ""),
    ("dot", Reset(), "451 4.4.2", ""),
    ("drop_in_data", 5, "451 4.4.2", ""),
    ("greeting", Silence(), "451 4.4.2", ""),
    ("mail", Silence(), "451 4.4.2", ""),
    ("data", Silence(), "451 4.4.2", ""),
    ("dot", Silence(), "451 4.4.2", ""),
]


def _name(value):
    text = repr(value) if not isinstance(value, str) else value
    return re.sub(r"[^\w. ]", "", text)[:24]


@pytest.mark.parametrize("policy", [None, "enforce"])
@pytest.mark.parametrize("stage,action,short,text", REMOTE, ids=_name)
def test_what_the_remote_said(net, mta, stage, action, short, text, policy):
    domain = net.domain(policy=policy, behaviour=at(stage, action))
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, short, text)
    assert_arrived(domain, times=0)
    (delivery,) = mta.wait_log("delivery", domain=domain.name)
    assert delivery["status"] == ("bounced" if short[0] == "5" else "deferred")
    assert delivery["dsn"] == short[4:]


MANY = 150    # lines


def many_lines(code, last):
    return "\n".join([f"{code} scanned"] * (MANY - 1) + [f"{code} {last}"])


@pytest.mark.parametrize("policy", [None, "enforce"])
@pytest.mark.parametrize("stage,action", [
    ("greeting", many_lines(220, "mx")),
    ("mail", many_lines(250, "2.1.0 Ok")),
    ("rcpt", many_lines(250, "2.1.5 Ok")),
    ("data", many_lines(354, "Go on")),
    ("dot", many_lines(250, "2.0.0 Ok: queued")),
    ("dot", "250 " + "x" * 4000),
    ("dot", b"250-a\r\n251 b\r\n"),
    ("dot", b"250OK\r\n"),
    ("dot", b"250\tqueued\r\n"),
    ("dot", b"250\r\n"),
    ("dot", b"2\r\n"),
    ("dot", b"550-was it spam?\r\n250 no, queued\r\n"),
    ("dot", b"250-scanned\r\nby a scanner\r\n250 queued\r\n"),
    ("mail", b"250OK\r\n"),
    ("rcpt", b"250\tok\r\n"),
    ("greeting", b"220-a\r\n221 b\r\n"),
], ids=_name)
def test_a_yes_in_odd_words_is_a_yes(net, mta, stage, action, policy):
    """The host has the message: asked again it would deliver it again."""
    domain = net.domain(policy=policy, behaviour=at(stage, action))
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0", domain.host.name)
    assert [len(connection.transactions) for connection in domain.host.connections] == [1]


def test_starttls_is_found_behind_many_lines(net, mta):
    """Text beyond the bounds is dropped, and what is offered there is not lost with it."""
    behaviour = Behaviour(extensions=tuple(f"X-{number}" for number in range(MANY)))
    domain = net.domain(behaviour=behaviour)
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0")
    assert_arrived(domain, tls=True)


def test_who_said_it(net, mta):
    domain = net.domain(behaviour=at("rcpt", "550 5.1.1 No such user"))
    reply = mta.deliver(address(domain)).only
    said = f"{domain.host.name}[{domain.host.address}] said: "
    assert said in reply.text and reply.text.index(said) == len("5.1.1 "), str(reply)


def test_a_delivery_names_host_address_and_answer(net, mta):
    domain = net.domain(behaviour=Behaviour(dot="250 2.6.0 Stored as #42"))
    assert_reply(mta.deliver(address(domain)).only, "250 2.0.0",
                 domain.host.name, domain.host.address, "Stored as #42")


def test_long_answers_are_cut(net, mta):
    domain = net.domain(behaviour=at("rcpt", "550 5.1.1 " + "x" * 2000))
    reply = mta.deliver(address(domain)).only
    assert reply.short == "550 5.1.1"
    assert len(reply.raw.rstrip(b"\r\n")) <= 480


def test_many_lines_become_one(net, mta):
    lines = "\n".join(f"550 5.1.1 line {number}" for number in range(20))
    domain = net.domain(behaviour=at("rcpt", lines))
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, "550 5.1.1", "line 0")
    assert len(reply.raw.rstrip(b"\r\n")) <= 480


def test_odd_octets_become_question_marks(net, mta):
    domain = net.domain(behaviour=at("rcpt", b"550 5.1.1 a\x01b\x7fc\xc3\xa9d\te\r\n"))
    reply = mta.deliver(address(domain)).only
    assert_reply(reply, "550 5.1.1")
    text = reply.raw.rstrip(b"\r\n")
    assert all(0x20 <= octet <= 0x7e for octet in text), text
    assert b"a?b?c??d" in text


@pytest.mark.parametrize("line", [b"550-5.1.1 and so on\r\n", b"x" * 65536],
                         ids=["endless lines", "endless line"])
def test_endless_answers_end(net, mta, line):
    domain = net.domain(behaviour=at("rcpt", Endless(line)))
    before = mta.memory_kib()
    began = time.monotonic()
    reply = mta.deliver(address(domain)).only
    assert reply.code == 451, str(reply)
    assert time.monotonic() - began < 15
    assert mta.memory_kib() - before < 20_000, "memory is bounded"


def test_a_reply_in_drips_is_under_one_deadline(net, start):
    """Not one per octet or line."""
    mta = start({"smtp": {"command-timeout": "1s"}})
    domain = net.domain(behaviour=at("rcpt", Endless(b"250-more\r\n", pause=0.3)))
    began = time.monotonic()
    assert mta.deliver(address(domain)).only.code == 451
    assert time.monotonic() - began < 5


def test_refused_connection(net, mta):
    domain = net.domain(mx=[Mx(down=True)])
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.1")
    (delivery,) = mta.wait_log("delivery", domain=domain.name)
    assert delivery["status"] == "deferred"


def test_unreachable_address(net, mta):
    """There is no route to it from here."""
    domain = net.domain(mx=[])
    net.zones.add(domain.name, "MX", f"10 mx.{domain.name}.")
    net.zones.add("mx." + domain.name, "A", "9.9.9.9")
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.1")


@pytest.mark.parametrize("stage", ["greeting", "mail"])
def test_a_long_message_to_a_host_that_serves_again_holds_up_no_other(net, start, stage):
    """The host has begun to take it: that is known before the message is over."""
    mta = start({"smtp": {"host-retry": "1s", "final-timeout": "20s", "keep-idle": "0s"}})
    domain = net.domain(behaviour=at(stage, "421 4.3.2 Not now"))
    assert mta.deliver(address(domain, "first")).only.code == 451
    domain.host.behaviour = Behaviour(dot_for={"long": Slow(20, "250 2.0.0 Ok")})
    time.sleep(1.1)     # host-retry
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(mta.deliver, address(domain, "long"))
        wait_until(lambda: any(one.transactions for one in domain.host.connections), 10, "the dot")
        try:
            assert_reply(mta.deliver(address(domain, "short")).only, "250 2.0.0")
        finally:
            domain.host.cut_connections()
        assert long.result().only.code == 451


def test_a_host_that_failed_is_passed_over(net, start):
    """host-retry: the second message does not knock again at once."""
    mta = start({"smtp": {"host-retry": "5m"}})
    domain = net.domain(behaviour=Behaviour(greeting="421 4.3.2 Busy"))
    mta.deliver(address(domain))
    knocks = len(domain.host.connections)
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.1", "Busy")
    assert len(domain.host.connections) == knocks


def test_a_host_that_is_passed_over_does_not_hide_the_next(net, start):
    mta = start({"smtp": {"host-retry": "5m"}})
    domain = net.domain(policy="enforce", mx=[Mx(10, down=True), Mx(20)])
    for number in range(2):
        assert_reply(mta.deliver(address(domain, f"u{number}")).only, "250 2.0.0",
                     domain.hosts[1].name)
    attempts = [line for line in mta.log("attempt") if line["domain"] == domain.name]
    assert [line["mx"] for line in attempts] == [domain.hosts[0].name, domain.hosts[1].name,
                                                 domain.hosts[1].name]


def beside(net, domain):
    """Another domain on the same host."""
    other = net.domain(mx=[])
    net.zones.add(other.name, "MX", f"10 {domain.host.name}.")
    return other


REFUSALS = {
    "refused at RCPT and closed": InPieces(b"550 5.7.1 Not for you\r\n", 100, close=True),
    "closed at RCPT": Drop(),
    "reset at RCPT": Reset(),
    "421 at RCPT": "421 4.7.0 Go away",
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
def test_a_refused_recipient_marks_no_host(net, start, refusal):
    """Else a recipient of one domain could keep the mail of all others on its host away."""
    mta = start({"smtp": {"host-retry": "5m", "keep-idle": "0s"}})
    domain = net.domain(behaviour=Behaviour(rcpt={"trap": refusal}))
    other = beside(net, domain)
    assert mta.deliver(address(domain, "trap")).only.code in (451, 550)
    assert mta.deliver(address(other)).only.short == "250 2.0.0"
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"


def test_421_at_mail_counts_for_the_next_hop_alone(net, start):
    mta = start({"smtp": {"host-retry": "5m", "keep-idle": "0s"}})
    domain = net.domain(behaviour=Behaviour(mail="421 4.7.0 [TSS04] Deferred"))
    other = beside(net, domain)
    mta.deliver(address(domain))
    domain.host.behaviour = Behaviour()
    assert mta.deliver(address(other)).only.short == "250 2.0.0"
    assert_reply(mta.deliver(address(domain)).only, "451 4.4.1", f"for {domain.name}", "TSS04")
    assert len(domain.host.connections) == 2


def test_a_4xx_at_mail_counts_for_that_senders_domain_alone(net, start):
    mta = start({"smtp": {"host-retry": "5m", "keep-idle": "0s"}})
    domain = net.domain(behaviour=Behaviour(mail="451 4.7.1 Not from you, now"))
    mta.deliver(address(domain), sender="one@refused.example")
    domain.host.behaviour = Behaviour()
    assert mta.deliver(address(domain), sender="one@liked.example").only.short == "250 2.0.0"
    assert_reply(mta.deliver(address(domain), sender="two@REFUSED.example").only, "451 4.4.1",
                 f"for {domain.name} from refused.example")
    assert len(domain.host.connections) == 2


def test_policy_failures_never_mark_a_host(net, start):
    """A host with a bad certificate is tried again each time."""
    mta = start({"smtp": {"host-retry": "5m"}})
    domain = net.domain(policy="enforce", behaviour=Behaviour(offer_starttls=False, starttls=None))
    for number in range(1, 3):
        assert_reply(mta.deliver(address(domain)).only, "451 4.7.4")
        assert len(domain.host.connections) == number


def test_a_host_is_tried_again_after_host_retry(net, start):
    mta = start({"smtp": {"host-retry": "1s"}})
    domain = net.domain(behaviour=Behaviour(greeting="421 4.3.2 Busy"))
    mta.deliver(address(domain))
    domain.host.behaviour = Behaviour()
    wait_until(lambda: mta.deliver(address(domain)).only.short == "250 2.0.0", 10, "another try")


def test_smtputf8_not_taken_for_the_recipient(net, mta):
    """That recipient alone."""
    domain = net.domain(behaviour=Behaviour(extensions=("8BITMIME",)))
    result = mta.deliver([f"jörg@{domain.name}", address(domain)], parameters=" SMTPUTF8")
    assert_reply(result.final[0], "553 5.6.7")
    assert result.final[1].short == "250 2.0.0"


def test_smtputf8_not_taken_for_the_sender(net, mta):
    domain = net.domain(behaviour=Behaviour(extensions=("8BITMIME",)))
    result = mta.deliver([address(domain, "a"), address(domain, "b")],
                         sender="jörg@out.example", parameters=" SMTPUTF8")
    assert [reply.short for reply in result.final] == ["553 5.6.7"] * 2
    assert_arrived(domain, times=0)


def test_smtputf8_not_taken_for_a_header(net, mta):
    domain = net.domain(behaviour=Behaviour(extensions=("8BITMIME",)))
    content = "Subject: größe\r\n\r\nbody\r\n".encode()
    assert_reply(mta.deliver(address(domain), content=content, parameters=" SMTPUTF8").only,
                 "553 5.6.7")


def test_smtputf8_taken(net, mta):
    domain = net.domain(policy="enforce")
    result = mta.deliver(f"jörg@{domain.name}", parameters=" SMTPUTF8")
    assert result.only.short == "250 2.0.0"
    assert "SMTPUTF8" in domain.host.connections[0].said("MAIL")[0]
    assert domain.messages()[0].recipients == [f"jörg@{domain.name}"]


def test_smtputf8_asked_but_not_needed(net, mta):
    """An all-ASCII message goes to a host that lacks it."""
    domain = net.domain(behaviour=Behaviour(extensions=("8BITMIME",)))
    assert mta.deliver(address(domain), parameters=" SMTPUTF8").only.short == "250 2.0.0"


def test_eight_bit_content_to_a_seven_bit_host(net, mta):
    domain = net.domain(behaviour=Behaviour(extensions=()))
    content = b"Subject: x\r\n\r\n\xe4\xf6\xfc\r\n"
    assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"
    assert domain.messages()[0].content == content


def test_too_large_for_the_host(net, mta):
    domain = net.domain(behaviour=Behaviour(extensions=("SIZE 1000",)))
    content = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 2000
    assert_reply(mta.deliver(address(domain), content=content).only, "552 5.3.4")
    assert domain.host.leaked()[1] == 0


def test_another_host_takes_the_size(net, mta):
    domain = net.domain(mx=[Mx(10, behaviour=Behaviour(extensions=("SIZE 1000",))), Mx(20)])
    content = b"Subject: x\r\n\r\n" + b"\r\n" * 2000
    assert mta.deliver(address(domain), content=content).only.short == "250 2.0.0"


def test_loops_back_to_us(net, mta):
    """The best MX is our own name."""
    domain = net.domain(mx=[])
    net.zones.add(domain.name, "MX", "10 out.stslab.example.")
    assert_reply(mta.deliver(address(domain)).only, "554 5.4.6")


def test_own_names_and_all_that_are_less_preferred_are_dropped(net, start):
    """RFC 5321 5.1."""
    mta = start({"smtp": {"own-names": ["backup.stslab.example"]}})
    domain = net.domain(mx=[Mx(10), Mx(30)])
    net.zones.add(domain.name, "MX", "20 backup.stslab.example.")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    domain.hosts[0].stop()
    assert mta.deliver(address(domain)).only.code == 451
    assert domain.hosts[1].connections == []


def test_too_many_received_headers_is_a_loop(net, mta):
    domain = net.domain()
    content = b"Received: from a by b\r\n" * 101 + lmtp.MESSAGE
    assert_reply(mta.deliver(address(domain), content=content).only, "554 5.4.6")
    assert mta.deliver(address(domain),
                       content=b"Received: from a by b\r\n" * 100 + lmtp.MESSAGE).only.code == 250


def test_null_mx(net, mta):
    """RFC 7505."""
    domain = net.domain(mx=[])
    net.zones.add(domain.name, "MX", "0 .")
    assert_reply(mta.deliver(address(domain)).only, "556 5.1.10")


def test_no_such_domain(net, mta):
    assert_reply(mta.deliver("someone@" + net.fresh_name()).only, "550 5.1.2")


def test_domain_without_mx_and_address(net, mta):
    name = net.fresh_name()
    net.zones.add(name, "TXT", '"hello"')
    assert_reply(mta.deliver("someone@" + name).only, "550 5.4.4")


def test_no_mx_host_has_an_address(net, mta):
    domain = net.domain(mx=[])
    net.zones.add(domain.name, "MX", f"10 nowhere.{domain.name}.", f"20 neither.{domain.name}.")
    assert_reply(mta.deliver(address(domain)).only, "550 5.4.4")


def test_no_address_comes_before_the_policy(net, mta):
    """550 5.4.4 even where an enforce policy would have matched, when DNSSEC proves it."""
    domain = net.domain(policy="enforce", mx=[], patterns=["mx.elsewhere.example"])
    net.zones.add(domain.name, "MX", f"10 nowhere.{domain.name}.")
    assert_reply(mta.deliver(address(domain)).only, "550 5.4.4")


@pytest.mark.parametrize("forgery", ["nxdomain", "empty", "null mx"])
def test_forged_dns_does_not_bounce_protected_mail(net, mta, unguarded, forgery):
    """An unsigned zone under an enforce policy: 451 in place of the 5xx."""
    domain = net.domain(policy="enforce", zone="plain")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    fresh = net.domain(policy="enforce", zone="plain")
    if forgery == "null mx":
        net.dns.fault(fresh.name, "MX", Forged("0 ."))
    else:
        net.dns.fault(fresh.name, "MX", forgery)
        net.dns.fault(fresh.name, "A", forgery)
        net.dns.fault(fresh.name, "AAAA", forgery)
    reply = mta.deliver(address(fresh)).only
    assert reply.code == 451 and reply.enhanced.startswith("4."), str(reply)
    assert unguarded.deliver(address(fresh)).only.code in (550, 556)
    assert_nothing_leaked(fresh)


def test_host_names_that_are_none_are_dropped(net, mta):
    domain = net.domain(mx=[Mx(20)])
    net.zones.add(domain.name, "MX", r"10 ev\032il\"x.example.")
    assert mta.deliver(address(domain)).only.short == "250 2.0.0"
    assert_arrived(domain)
