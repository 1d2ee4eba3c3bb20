# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""Debian's split configuration of Exim with our files copied into it, as README says."""

import re
import shutil

from checks import address, assert_arrived
from stslab.exim import PIECES
from stslab.roots import Root
from ways import QUICK

PORT = 2424     # the files' own


def test_our_files_in_debians_split_configuration(net, start):
    start({**QUICK, "lmtp": {"listen": [f"inet:127.0.0.1:{PORT}"]}})
    root = Root(net.directory / "split", ())
    for kind in ("router", "transport", "retry"):
        shutil.copytree(PIECES / kind, root.inside(f"/etc/exim4/conf.d/{kind}"),
                        dirs_exist_ok=True)
    text = root.read("/etc/exim4/update-exim4.conf.conf")
    for name, value in (("use_split_config", "true"), ("eximconfig_configtype", "internet")):
        text = re.sub(rf"dc_{name}=.*", f"dc_{name}='{value}'", text)
    root.write("/etc/exim4/update-exim4.conf.conf", text)
    root.write("/etc/mailname", "out.stslab.example\n")
    # Else Exim looks for its own name in the DNS, which has none here.
    root.write("/etc/exim4/conf.d/main/000_localmacros",
               "MAIN_HARDCODE_PRIMARY_HOSTNAME = out.stslab.example\n")
    root.run("update-exim4.conf")
    routed = root.run("exim4", "-bt", "someone@there.example")
    assert "router = stsgate, transport = stsgate_lmtp" in routed
    domain = net.domain(policy="enforce")
    root.run("exim4", "-odf", "-oi", "-f", "sender@out.stslab.example", address(domain),
             stdin=b"Subject: hello\n\nGood day.\n")
    assert_arrived(domain, tls=True)
    retry = root.run("exim4", "-brt", "127.0.0.1")
    assert "F,52w1d,1m" in retry   # 365 days, and no bounce before
    root.stop()
