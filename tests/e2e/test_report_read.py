# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stsgate report read: reports that others send about this site, in every form that they come in."""

import gzip
import json
import mailbox
import subprocess
from email.message import EmailMessage

import pytest
from stslab import programs


def report(number=1, organization="Sender Inc", day="2026-11-29", good=5, bad=2, **detail):
    return json.dumps({
        "organization-name": organization, "contact-info": "tls@sender.example",
        "report-id": f"{number}", "date-range": {"start-datetime": f"{day}T00:00:00Z",
                                                 "end-datetime": f"{day}T23:59:59Z"},
        "policies": [{
            "policy": {"policy-type": "sts", "policy-domain": "d.example"},
            "summary": {"total-successful-session-count": good,
                        "total-failure-session-count": bad},
            "failure-details": [{"result-type": "certificate-expired",
                                 "receiving-mx-hostname": "mx.d.example",
                                 "failed-session-count": bad, **detail}]}]}).encode()


def mail(octets, subtype="tlsrpt+gzip"):
    message = EmailMessage()
    message["From"], message["Subject"] = "tls@sender.example", "Report Domain: d.example"
    message.set_content("This is a TLS report.")
    message.add_attachment(octets, "application", subtype, filename="sender!d.example!1!2.json.gz")
    return message


def read(*arguments, octets=b""):
    return subprocess.run([programs.find("stsgate"), "report", "read", *map(str, arguments)],
                          input=octets, capture_output=True)


def rows(done):
    return [(row["result"], row["count"], row["first"], row["last"])
            for row in json.loads(done.stdout)["rows"]]


ONE = [("certificate-expired", 2, "2026-11-29", "2026-11-29"),
       ("ok", 5, "2026-11-29", "2026-11-29")]


@pytest.mark.parametrize("form", [
    report(), gzip.compress(report()), mail(gzip.compress(report())).as_bytes(),
    mail(report(), "tlsrpt+json").as_bytes(), mail(gzip.compress(report()), "gzip").as_bytes(),
    mail(gzip.compress(report()), "octet-stream").as_bytes()],
    ids=["json", "gzip", "mail", "mail-json", "mail-gzip", "mail-octets"])
def test_each_form_from_a_file_and_from_standard_input(tmp_path, form):
    path = tmp_path / "report"
    path.write_bytes(form)
    for done in (read("--json", path), read("--json", octets=form)):
        assert (done.returncode, done.stderr) == (0, b"")
        assert rows(done) == ONE
        assert json.loads(done.stdout)["reports"] == 1


def test_a_forwarded_report(tmp_path):
    outer = EmailMessage()
    outer.set_content("See below.")
    outer.add_attachment(mail(gzip.compress(report())))
    assert rows(read("--json", octets=outer.as_bytes())) == ONE


@pytest.mark.parametrize("kind", [mailbox.Maildir, mailbox.mbox])
def test_a_mailbox_is_summed_over_days_and_other_mail_is_passed_over(tmp_path, kind):
    box = kind(tmp_path / "box", create=True)
    for number, day in enumerate(["2026-11-28", "2026-11-29", "2026-11-30"]):
        box.add(mail(gzip.compress(report(number, day=day))))
    box.add(mail(gzip.compress(report(1))))
    box.add("Subject: hello\n\n{ no report }\n")
    box.flush()
    done = read("--json", tmp_path / "box")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rows(done) == [("certificate-expired", 6, "2026-11-28", "2026-11-30"),
                          ("ok", 15, "2026-11-28", "2026-11-30")]


def test_the_table_has_no_control_characters(tmp_path):
    hostile = "\x1b[2Jevil\u009b31m\n"
    done = read(octets=report(organization=hostile, **{"result-type": hostile}))
    assert done.returncode == 0
    text = done.stdout.decode()
    assert "?[2Jevil?31m?" in text
    assert not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in text)
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize("octets", [
    b"", b"{}", b"{", b"Subject: hello\n\nhello\n", gzip.compress(b"{}"),
    gzip.compress(report())[:-9], mail(b"\x1f\x8b broken").as_bytes()],
    ids=["empty", "object", "cut", "mail", "gzip", "cut-gzip", "broken-gzip"])
def test_what_holds_no_report_is_said(octets):
    done = read(octets=octets)
    assert done.returncode == 1
    assert b"standard input: there is no TLS report in it" in done.stderr


def test_a_report_that_unpacks_without_end_is_refused():
    bomb = gzip.compress(b" " * (65 << 20))
    done = read(octets=mail(bomb).as_bytes())
    assert done.returncode == 1
    assert b"larger than 64 MiB" in done.stderr


def test_one_file_of_several_is_missing(tmp_path):
    (tmp_path / "good").write_bytes(report())
    done = read("--json", tmp_path / "good", tmp_path / "absent")
    assert done.returncode == 1 and b"absent: No such file" in done.stderr
    assert rows(done) == ONE


def test_no_option_of_the_daemons_reports_fits():
    assert read("--date", "2026-11-29").returncode == 64
