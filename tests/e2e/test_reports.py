# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""TLS reports: a day's figures become mail and uploads, once each, read by Python's own parsers.

Only the wall clock is faked, by wall_clock.c: libfaketime takes the monotonic deadline of a
condition for a wall-clock one once its memory has been used before.  The figures of a day are put
into the store by tests/bench/reports before stsgated starts.
"""

import datetime
import email
import email.policy
import gzip
import json
import os
import pathlib
import pwd
import re
import subprocess
import time

import clocks
import jsonschema
import pytest

from checks import wait_until
from stslab import programs, tlsa
from stslab.internet import Mx
from stslab.mx import Behaviour
from stslab.policyhost import Site

SCHEMA = json.loads(pathlib.Path(__file__).with_name("tlsrpt-schema.json").read_text("utf-8"))
DAY = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0,
                                                           microsecond=0)
DATE = DAY.strftime("%Y-%m-%d")
NEXT_DATE = (DAY + datetime.timedelta(days=1)).strftime("%Y-%m-%d")
SUBJECT = re.compile(r"Report Domain: (\S+) Submitter: (\S+) Report-ID: <([^@<>\s]+@[^@<>\s]+)>")
PATIENCE = 40


class World:
    """A daemon with the figures of DATE, a clock, an MTA and a place for uploads."""

    def __init__(self, net, settings=None):
        self.net = net
        self.mta = net.mx_host("mta.stslab.example")
        self.host = net.fresh_name()
        self.site = net.policy_host.sites[self.host] = Site(status=201, content_type="")
        net.zones.change([("add", self.host, "A", net.policy_host.address, 60)])
        self.daemon = net.daemons.make({"tlsrpt": {
            "enable": "send", "organization": "Stslab", "contact": "tls@stslab.example",
            "sender": "tls-reports@stslab.example", "submit": f"smtp://{self.mta.address}:25",
        } | (settings or {}).pop("tlsrpt", {})} | (settings or {}))
        self.clock = self.daemon.directory / "clock"
        self.library = clocks.build(self.daemon.directory)

    def fill(self, record, sessions=30, domains=1, date=DATE):
        """Count sessions for d0.example, d1.example and so on."""
        state = self.daemon.directory / "state"
        subprocess.run([programs.find("tests/bench/reports"), "fill", state, date, str(sessions),
                        str(domains), record], check=True, capture_output=True)
        account = pwd.getpwnam(self.daemon.user)
        for path in [state, *state.rglob("*")]:
            os.chown(path, account.pw_uid, account.pw_gid)

    def set_clock(self, **after):
        """Set the wall clock, counted from the end of DATE."""
        now = DAY + datetime.timedelta(days=1) + datetime.timedelta(**after)
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{int(now.timestamp() - time.time())}\n", "ascii")
        fresh.chmod(0o644)
        fresh.replace(self.clock)

    def start(self):
        self.daemon.start(prefix=["env", f"LD_PRELOAD={clocks.preload(self.library)}",
                                  f"WALL_CLOCK={self.clock}"])
        return self

    def restart(self):
        assert self.daemon.stop() == 0
        return self.start()

    def entries(self, state=None):
        """The output of stsgate report status for every rua."""
        answer = self.daemon.ask("report", "status", "--date", DATE, "--json")
        assert answer.returncode == 0, answer.stderr
        return [entry for entry in json.loads(answer.stdout) if state in (None, entry["state"])]

    def day(self):
        answer = json.loads(self.daemon.ask("report", "status", "--json").stdout)
        return next(day for day in answer["days"] if day["date"] == DATE)

    def wait_entries(self, state, count):
        wait_until(lambda: len(self.entries(state)) == count, PATIENCE,
                   f"{count} {state}: {self.entries()}")

    def wait_tries(self, count):
        """The only waiting entry has been tried so often."""
        wait_until(lambda: [entry["tries"] for entry in self.entries("waiting")] == [count],
                   PATIENCE, f"{count} tries: {self.entries()}")

    def uploads(self):
        return self.net.policy_host.requests(self.host)


@pytest.fixture
def world(net):
    made = []

    def make(settings=None):
        made.append(World(net, settings))
        return made[-1]

    yield make
    assert not any(net.daemons.discard(one.daemon) for one in made)


def read_mail(message):
    """Checks headers and structure; gives the report's octets and the message."""
    assert b"\r\n" in message.content and not re.search(rb"[^\r]\n|[^\x09\x0a\x0d\x20-\x7e]",
                                                        message.content)
    assert max(map(len, message.content.split(b"\r\n"))) <= 998
    mail = email.message_from_bytes(message.content, policy=email.policy.default)
    assert not mail.defects and mail.get_content_type() == "multipart/report"
    assert mail["Content-Type"].params["report-type"] == "tlsrpt"
    text, attachment = mail.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert attachment.get_content_type() == "application/tlsrpt+gzip"
    assert attachment["Content-Transfer-Encoding"] == "base64"
    report = gzip.decompress(attachment.get_content())
    return report, mail, attachment.get_filename()


def check_report(octets):
    report = json.loads(octets.decode("utf-8"))
    jsonschema.validate(report, SCHEMA, format_checker=jsonschema.FormatChecker())
    return report


@pytest.mark.timeout(200)
def test_a_day_by_mail_and_upload(world):
    """Cases 71 to 76, 80 (killed between two tries), I9 to I11, I14 to I16, I22: midnight, a delay
    at random, every rua once, one of them only at hour 21, by the record as it was counted."""
    one = world()
    one.fill(f"v=TLSRPTv1;rua=mailto:one@r.example,https://{one.host}/v1/tlsrpt,"
             "mailto:t%2Cwo@r.example", sessions=30)
    one.site.status = 500
    one.set_clock(minutes=-5)
    one.start()
    wait_until(lambda: one.day()["state"] == "counting", PATIENCE, "the day is seen")
    one.set_clock(seconds=1)
    wait_until(lambda: "send_at" in one.day(), PATIENCE, "the day is planned")
    send_at = one.day()["send_at"]
    delay = datetime.datetime.fromisoformat(send_at.replace("Z", "+00:00")) - DAY
    assert datetime.timedelta(days=1) < delay <= datetime.timedelta(days=1, hours=4)
    one.restart()
    assert one.day()["send_at"] == send_at
    assert one.entries() == [] and one.mta.messages == []

    one.set_clock(hours=4)
    one.wait_entries("taken", 2)
    one.wait_tries(1)
    one.daemon.kill()
    one.start()
    for tries, after in ((2, {"minutes": 6}), (3, {"minutes": 18}), (4, {"hours": 19})):
        one.set_clock(hours=4 + after.get("hours", 0), minutes=after.get("minutes", 0))
        one.wait_tries(tries)
    one.restart()
    one.site.status = 201
    one.set_clock(hours=4 + 21)
    one.wait_entries("taken", 3)
    one.set_clock(hours=4 + 30)
    one.restart()
    wait_until(lambda: one.day()["state"] == "taken-up", PATIENCE, "the day is over")

    assert sorted(message.recipients for message in one.mta.messages) == [
        ['"t,wo"@r.example'], ["one@r.example"]]
    assert len(one.uploads()) == 5
    uploaded = {gzip.decompress(request.body) for request in one.uploads()}
    assert len(uploaded) == 1, "every try is the same"
    for request in one.uploads():
        assert request.head.startswith("POST /v1/tlsrpt HTTP/1.1\r\n")
        assert "\r\nContent-Type: application/tlsrpt+gzip\r\n" in request.head + "\r\n"
        assert "content-encoding" not in request.head.lower()
    ids = set()
    for message in one.mta.messages:
        octets, mail, name = read_mail(message)
        assert uploaded == {octets}
        report = check_report(octets)
        assert message.sender == "tls-reports@stslab.example"
        assert mail["From"].addresses[0].addr_spec == "tls-reports@stslab.example"
        assert mail["TLS-Report-Domain"] == "d0.example"
        assert mail["TLS-Report-Submitter"] == "stslab.example"
        assert mail["TLS-Required"] == "No"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert SUBJECT.fullmatch(mail["Subject"]).groups() == (
            "d0.example", "stslab.example", report["report-id"])
        assert mail["Date"].datetime is not None
        ids.add(mail["Message-ID"])
        begin = int(DAY.timestamp())
        assert name == f"stslab.example!d0.example!{begin}!{begin + 86399}.json.gz"
    assert len(ids) == 2
    assert report["organization-name"] == "Stslab"
    assert report["contact-info"] == "tls@stslab.example"
    assert report["date-range"]["start-datetime"] == f"{DATE}T00:00:00Z"
    (policy,) = report["policies"]
    assert policy["summary"] == {"total-successful-session-count": 27,
                                 "total-failure-session-count": 3}
    assert policy["failure-details"][0]["failed-session-count"] == 3


def report_of(one, name, date):
    """The only report about `name` that stsgate shows for a day, or None."""
    done = one.daemon.ask("report", "show", "--date", date, "--domain", name, "--json")
    if done.returncode == 1:
        return None
    (report,) = json.loads(done.stdout)
    return report


def counted(report):
    """The contents of a report: by type of policy, successes, failures and result types."""
    return {policy["policy"]["policy-type"]: (
        policy["summary"]["total-successful-session-count"],
        policy["summary"]["total-failure-session-count"],
        {detail["result-type"]: detail["failed-session-count"]
         for detail in policy["failure-details"]}) for policy in report["policies"]}


def deliver_until_counted(one, domain, total, date):
    """One message to a domain, and the report of the day then holds `total` verdicts."""
    code = one.daemon.deliver(f"someone@{domain.name}").only.code

    def verdicts():
        report = report_of(one, domain.name, date)
        return sum(sum(figures[:2]) for figures in counted(report).values()) if report else 0

    wait_until(lambda: verdicts() == total, PATIENCE, f"{total} verdicts on {domain.name}")
    return code


@pytest.mark.timeout(200)
def test_a_day_of_sessions(world, net):
    """Sessions good and bad on day one, a restart, one more at the first second of day two:
    each day's report is shown as it is sent, and holds its own day alone (case 68)."""
    one = world({"smtp": {"keep-idle": "0s", "host-retry": "1s"}})
    broken = Behaviour(certificate="wrong-name")
    record = f'"v=TLSRPTv1;rua=mailto:r@r.example,https://{one.host}/v1"'
    good = net.domain(policy="enforce")
    bad = net.domain(policy="testing", mx=(Mx(10, broken),))
    refused = net.domain(policy="enforce", mx=(Mx(10, Behaviour(offer_starttls=False)), Mx(20)))
    unfetched = net.domain(policy="enforce")
    unfetched.site.status = 404
    dane = net.domain(policy="enforce", behaviour=Behaviour(certificate="self-signed"))
    net.zones.replace(tlsa.at(dane.host.name), "TLSA", tlsa.of(dane.host, "3 1 1"), ttl=60)
    plain = net.domain(behaviour=Behaviour(offer_starttls=False))
    silent = net.domain(policy="enforce")
    for domain in (good, bad, refused, unfetched, dane, plain):
        net.zones.add("_smtp._tls." + domain.name, "TXT", record, ttl=1)
    one.set_clock(hours=-1)
    one.start()
    for domain, verdicts in ((good, 1), (bad, 1), (refused, 2), (unfetched, 1), (dane, 2),
                             (plain, 1)):
        assert deliver_until_counted(one, domain, verdicts, DATE) == 250
    assert one.daemon.deliver(f"someone@{silent.name}").only.code == 250
    one.daemon.kill()
    one.start()
    assert deliver_until_counted(one, good, 2, DATE) == 250
    one.set_clock(seconds=1)
    assert deliver_until_counted(one, good, 1, NEXT_DATE) == 250
    shown = json.loads(one.daemon.ask("report", "show", "--date", DATE, "--json").stdout)

    one.set_clock(hours=5)
    one.wait_entries("taken", 12)
    sent = {}
    for message in one.mta.messages:
        octets, mail, _ = read_mail(message)
        sent[mail["TLS-Report-Domain"]] = check_report(octets)
    assert len(sent) == len(one.mta.messages) == 6
    assert sorted(map(json.dumps, shown)) == sorted(map(json.dumps, sent.values()))
    assert sorted(map(json.dumps, shown)) == sorted(
        json.dumps(json.loads(gzip.decompress(request.body))) for request in one.uploads())
    assert counted(sent[good.name]) == {"sts": (2, 0, {})}
    assert counted(sent[bad.name]) == {"sts": (0, 1, {"certificate-host-mismatch": 1})}
    assert counted(sent[refused.name]) == {"sts": (1, 1, {"starttls-not-supported": 1})}
    assert counted(sent[unfetched.name]) == {"sts": (0, 1, {"sts-policy-fetch-error": 1})}
    assert counted(sent[dane.name]) == {"tlsa": (1, 0, {}),
                                        "sts": (0, 1, {"certificate-not-trusted": 1})}
    assert counted(sent[plain.name]) == {"no-policy-found": (0, 1, {"starttls-not-supported": 1})}
    (policy,) = sent[bad.name]["policies"]
    assert policy["policy"] == {
        "policy-type": "sts", "policy-domain": bad.name, "mx-host": [bad.host.name],
        "policy-string": ["version: STSv1", "mode: testing", f"mx: {bad.host.name}",
                          "max_age: 86400"]}
    (detail,) = policy["failure-details"]
    assert detail["sending-mta-ip"].startswith("127.")
    assert (detail["receiving-mx-hostname"], detail["receiving-ip"]) == (
        bad.host.name, bad.host.address)
    assert detail["failure-reason-code"] == "X509_V_ERR_HOSTNAME_MISMATCH"

    one.set_clock(hours=24 + 5)
    wait_until(lambda: len(one.mta.messages) == 7, PATIENCE, "the report of the second day")
    octets, mail, _ = read_mail(one.mta.messages[-1])
    report = check_report(octets)
    assert mail["TLS-Report-Domain"] == good.name
    assert report["date-range"]["start-datetime"] == f"{NEXT_DATE}T00:00:00Z"
    assert counted(report) == {"sts": (1, 0, {})}


@pytest.mark.timeout(120)
def test_receivers_follow_a_reload(world):
    """Receivers and the names of the sender are those of the configuration in force."""
    one = world()
    one.fill("v=TLSRPTv1;rua=mailto:r@r.example", sessions=60, domains=3)
    one.set_clock(seconds=1)
    one.start()
    wait_until(lambda: "send_at" in one.day(), PATIENCE, "the day is planned")
    one.daemon.reload({
        "tlsrpt": {"organization": "Another"},
        ("destination", "d1.example"): {"reports": "discard"},
        ("destination", "d2.example"): {"reports": "mailto:me@here.example"}})
    one.set_clock(hours=4)
    one.wait_entries("taken", 2)
    assert sorted(message.recipients for message in one.mta.messages) == [
        ["me@here.example"], ["r@r.example"]]
    for message in one.mta.messages:
        assert check_report(read_mail(message)[0])["organization-name"] == "Another"
    assert {entry["domain"] for entry in one.entries()} == {"d0.example", "d2.example"}


@pytest.mark.timeout(120)
def test_given_up_after_a_day(world):
    """Case 75: the last try is 24 hours after the first."""
    one = world()
    one.fill(f"v=TLSRPTv1;rua=https://{one.host}/")
    one.site.status = 503
    one.set_clock(hours=4)
    one.start()
    one.wait_tries(1)
    one.set_clock(hours=27)
    one.wait_tries(2)
    one.set_clock(hours=28, minutes=5)  # the first try was some seconds after its hour
    one.wait_entries("given-up", 1)
    assert len(one.uploads()) == 3


def test_by_hand(world, tmp_path):
    """stsgate report under collect: no report is sent by itself, all are sent by command."""
    one = world({"tlsrpt": {"enable": "collect"},
                 ("destination", "d1.example"): {"reports": "discard"},
                 ("destination", "d2.example"): {"reports": "mailto:me@here.example"}})
    one.fill("v=TLSRPTv1;rua=mailto:r@r.example", sessions=60, domains=3)
    one.set_clock(hours=-12)
    one.start()
    ask = one.daemon.ask
    shown = ask("report", "show", "--json")
    assert shown.returncode == 0, shown.stderr
    reports = json.loads(shown.stdout)
    assert len(reports) == 3 and all(check_report(json.dumps(one).encode()) for one in reports)
    assert ask("report", "show", "--domain", "d1.example").stdout.count("d1.example") == 2
    assert ask("report", "show", "--date", "2020-01-01").returncode == 1, "case 69"
    assert ask("report", "show", "--domain", "nobody.example").returncode == 1
    assert ask("report", "show", "--date", "tomorrow").returncode == 64
    assert ask("report", "show", "--force").returncode == 64
    assert ask("report", "send").returncode == 1
    assert ask("report", "send", "--date", DATE).returncode == 64
    assert ask("report", "send", "--date", DATE, "--domain", "d1.example",
               "--force").returncode == 1

    done = ask("report", "send", "--date", DATE, "--dry-run", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert sorted(path.name.split("!")[1] for path in tmp_path.iterdir()) == [
        "d0.example", "d2.example"]
    assert one.mta.messages == []
    sent = ask("report", "send", "--date", DATE, "--force")
    assert sent.returncode == 0, sent.stderr + sent.stdout
    assert sorted(message.recipients for message in one.mta.messages) == [
        ["me@here.example"], ["r@r.example"]]
    for message in one.mta.messages:
        octets, _, name = read_mail(message)
        assert json.loads(octets) in reports, "exactly what is shown is sent"
        assert gzip.decompress((tmp_path / name).read_bytes()) == octets


@pytest.mark.parametrize("status", [200, 204])
def test_by_hand_waits_and_repeats_nothing(world, status):
    """Case 76: any 2xx will do."""
    one = world({"tlsrpt": {"enable": "collect"}})
    one.fill(f"v=TLSRPTv1;rua=mailto:r@r.example,https://{one.host}/")
    one.set_clock(hours=9)
    one.start()
    one.site.status = 500
    assert one.daemon.ask("report", "send", "--date", DATE).returncode == 1
    one.site.status = status
    assert one.daemon.ask("report", "send", "--date", DATE, "--domain",
                          "d0.example").returncode == 0
    assert one.daemon.ask("report", "send", "--date", DATE).returncode == 0
    assert (len(one.mta.messages), len(one.uploads())) == (1, 2)


@pytest.mark.parametrize("change", [
    {"status": 301, "headers": ["Location: http://127.0.0.1/"]}, {"status": 404},
    {"certificate": "self-signed"}, {"manner": "reset"}])
def test_uploads_that_do_not_count(world, change):
    """Cases 76 and 77."""
    one = world()
    one.fill(f"v=TLSRPTv1;rua=https://{one.host}/")
    for key, value in change.items():
        setattr(one.site, key, value)
    one.set_clock(hours=4)
    one.start()
    one.wait_tries(1)
    assert one.entries()[0]["error"]


@pytest.mark.parametrize("change", [
    {"headers": ["Content-Encoding: gzip"], "body": b"no gzip"}, {"body": b"half", "manner": "cut"},
    {"manner": "endless"}, {"manner": "http10-cut", "body": b"thanks"},
    {"headers": ["Transfer-Encoding: gzip"]}, {"status": 202, "body": b"x" * 100000}])
def test_an_upload_is_taken_when_the_status_says_so(world, change):
    """Whatever else is wrong with the answer: the report is not sent again."""
    one = world()
    one.fill(f"v=TLSRPTv1;rua=https://{one.host}/")
    for key, value in change.items():
        setattr(one.site, key, value)
    one.set_clock(hours=4)
    one.start()
    one.wait_entries("taken", 1)
    assert one.entries()[0]["tries"] == 1
    assert len(one.uploads()) == 1


@pytest.mark.parametrize("target", ["127.0.0.80", "name"])
def test_private_upload_is_refused(world, target):
    """Case 78: without the protection the same upload goes out, in the tests above."""
    one = world({"dns": {"private-addresses": "refuse"}})
    host = one.host if target == "name" else target
    one.fill(f"v=TLSRPTv1;rua=https://{host}/")
    one.set_clock(hours=4)
    one.start()
    one.wait_tries(1)
    assert one.uploads() == []


def test_success_only(world):
    """Case 70."""
    one = world({"tlsrpt": {"success-only": False}})
    one.fill("v=TLSRPTv1;rua=mailto:r@r.example", sessions=1)
    one.set_clock(hours=4)
    one.start()
    wait_until(lambda: one.day()["state"] == "taken-up", PATIENCE, "the day is taken up")
    assert one.entries() == []


def test_a_record_that_changed_at_noon(world):
    """Cases 72 and 79: two reports of one day, each for its own rua, with names of their own."""
    one = world()
    one.fill("v=TLSRPTv1;rua=mailto:morning@r.example", sessions=10)
    one.fill("v=TLSRPTv1;rua=mailto:evening@r.example", sessions=20)
    one.set_clock(hours=4)
    one.start()
    one.wait_entries("taken", 2)
    assert len(one.mta.messages) == 2
    totals, ids, names = {}, set(), set()
    for message in one.mta.messages:
        octets, _, name = read_mail(message)
        report = check_report(octets)
        recipient, = message.recipients
        totals[recipient] = sum(report["policies"][0]["summary"].values())
        ids.add(report["report-id"])
        names.add(name)
    assert totals == {"morning@r.example": 10, "evening@r.example": 20}
    assert len(ids) == len(names) == 2


def fill_changing(one, domain_records, sessions=1):
    """A domain whose record is another one for each session."""
    for record in domain_records:
        one.fill(record, sessions=sessions)


def test_a_receiver_gets_one_report_however_often_the_record_changes(world):
    """And it holds the figures of all the records that name it."""
    one = world()
    ten = ",".join(f"mailto:r{number}@r.example" for number in range(9))
    fill_changing(one, [f"v=TLSRPTv1;rua={ten},https://{one.host}/;x={number}"
                        for number in range(20)], sessions=2)
    one.set_clock(hours=4)
    one.start()
    one.wait_entries("taken", 10)
    assert sorted(message.recipients[0] for message in one.mta.messages) == \
        [f"r{number}@r.example" for number in range(9)]
    reports = [check_report(read_mail(message)[0]) for message in one.mta.messages]
    assert {sum(report["policies"][0]["summary"].values()) for report in reports} == {40}
    assert len({report["report-id"] for report in reports}) == 1
    upload, = one.uploads()
    assert check_report(gzip.decompress(upload.body)) == reports[0]
    shown, = json.loads(one.daemon.ask("report", "show", "--date", DATE, "--json").stdout)
    assert shown == reports[0]
    # nothing is left, by hand neither
    assert one.daemon.ask("report", "send", "--date", DATE).returncode == 0
    assert (len(one.mta.messages), len(one.uploads())) == (9, 1)


def test_who_is_named_later_gets_what_was_counted_since(world):
    one = world()
    one.fill("v=TLSRPTv1;rua=mailto:all@r.example", sessions=10)
    one.fill("v=TLSRPTv1;rua=mailto:ALL@r.example,mailto://evening@r.example", sessions=20)
    one.set_clock(hours=4)
    one.start()
    one.wait_entries("taken", 2)
    totals, ids, names = {}, set(), set()
    for message in one.mta.messages:
        octets, _, name = read_mail(message)
        report = check_report(octets)
        recipient, = message.recipients
        totals[recipient.lower()] = sum(report["policies"][0]["summary"].values())
        ids.add(report["report-id"])
        names.add(name)
    assert totals == {"all@r.example": 30, "evening@r.example": 20}
    assert len(ids) == len(names) == 2


def test_no_domain_has_more_than_twenty_receivers(world):
    one = world()
    fill_changing(one, ["v=TLSRPTv1;rua=" + ",".join(
        f"mailto:victim{number}-{which}@r.example" for which in range(10))
        for number in range(20)])
    one.set_clock(hours=4)
    one.start()
    one.wait_entries("taken", 20)
    wait_until(lambda: one.day()["state"] == "taken-up", what="the whole day")
    assert len(one.mta.messages) == len(one.entries()) == 20
    (warning,) = [line for line in one.daemon.log_text().splitlines() if "180 get none" in line]
    assert "level=warning" in warning and "d0.example" in warning


def test_one_receiver_gets_so_many_reports_and_no_more(world):
    one = world({"tlsrpt": {"max-per-receiver": 3}})
    one.fill(f"v=TLSRPTv1;rua=mailto:Victim@r.example,https://{one.host}/a", domains=5)
    one.set_clock(hours=4)
    one.start()
    one.wait_entries("taken", 6)
    wait_until(lambda: one.day()["state"] == "taken-up", what="the whole day")
    assert len(one.entries()) == 6
    assert (len(one.mta.messages), len(one.uploads())) == (3, 3)
    warnings = [line for line in one.daemon.log_text().splitlines()
                if "tlsrpt.max-per-receiver" in line]
    assert len(warnings) == 2 and all("level=warning" in line for line in warnings)
    assert sum("victim@r.example" in line for line in warnings) == 1
    done = one.daemon.ask("report", "send", "--date", DATE)
    assert done.returncode == 1 and done.stdout.count("tlsrpt.max-per-receiver") == 4, done.stdout
    assert (len(one.mta.messages), len(one.uploads())) == (3, 3)
    # the bound outlives a restart, and the warning is not repeated
    one.restart()
    assert one.daemon.ask("report", "send", "--date", DATE).returncode == 1
    assert (len(one.mta.messages), len(one.uploads())) == (3, 3)
    assert one.daemon.log_text().count("gets no more than 3 reports") == 2


def test_by_a_command(world):
    """tlsrpt.submit as a command: its output is logged, and its status counts."""
    one = world()
    script = one.daemon.directory / "submit"
    script.write_text("#!/bin/sh\ncat >\"$0.$$\"\necho \"$@\" >\"$0.words\"\n"
                      "[ -e \"$0.ok\" ] && exit 0\necho no queue space\nexit 75\n", "ascii")
    script.chmod(0o755)
    account = pwd.getpwnam(one.daemon.user)
    os.chown(one.daemon.directory, account.pw_uid, account.pw_gid)
    one.daemon.reconfigure({"tlsrpt": {"submit": f"{script} -i -t"}})
    one.fill("v=TLSRPTv1;rua=mailto:r@r.example")
    one.set_clock(hours=4)
    one.start()
    one.wait_tries(1)
    assert "75: no queue space" in one.entries()[0]["error"]
    script.with_suffix(".ok").touch()
    one.set_clock(hours=5)
    one.wait_entries("taken", 1)
    words = script.with_suffix(".words").read_text("ascii")
    assert words == "-i -t -f tls-reports@stslab.example\n"
