# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""stslab: a private mail Internet on loopback.

Signed DNS (Knot) behind a forwarder that misbehaves on command, an HTTPS
policy host, scriptable MX hosts that record the wire, a certificate
authority and its rogue twin, and runners for stsgated and Exim.

internet.Internet puts it together; start there.  It needs a network
namespace of its own, so that ports 25, 53 and 443 are free and no packet
can leave: see namespace.py.
"""

VERSION = "0.1"
