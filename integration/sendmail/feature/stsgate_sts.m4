divert(-1)
#
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
#
# Sendmail 8.17 delivers by itself and asks the policy map of stsgated what
# MTA-STS demands.  Put this file beside the other features (Debian:
# /usr/share/sendmail/cf/feature/).  In sendmail.mc, before the mailers: the
# feature stsgate_sts, with nothing, which is local:/run/stsgate/policy.sock,
# or with another address, as inet:8461@127.0.0.1.
#
# Sendmail must be built with MTA-STS (that of Debian is).  The trusted roots
# are confCACERT and confCACERT_PATH.
#
# It is the feature sts and what that lacks: Sendmail verifies certificates once
# for a connection, for the recipient that it was opened for.  The rules below
# look at the result again for each recipient, so that one whose domain
# enforces a policy does not travel in an envelope with one whose does not.
# Then both may have to wait: an envelope goes by its most careful recipient.
# They are Local_tls_rcpt: rules of your own for it go to its end.
#
define(`_STSGATE_MAP_', ifelse(defn(`_ARG_'), `', ``local:/run/stsgate/policy.sock'', `defn(`_ARG_')'))
FEATURE(`sts', `socket -d5 -T<TMPF> '_STSGATE_MAP_)
divert(-1)
define(`_LOCAL_TLS_RCPT_')
divert(9)
SLocal_tls_rcpt
R$*	$: $1 $| $>"Stsgate_rcpt" $1
R$* $| $#$*	$#$2
R$* $| $*	$: $1

SStsgate_rcpt
R$* < $* @ $+ > $*	$3
R$* @ $+	$2
R$+ .	$1
R$+	$: $(sts $1 $: none $)
R$* <TMPF>	$#error $@ 4.7.0 $: "450 stsgated does not know the MTA-STS policy now"
Rnone	$@ OK
R$* secure $*	$: secure $&{verify}
R$* secure OK	$@ OK
R$* secure TRUSTED	$@ OK
R$*	$#error $@ 4.7.0 $: "450 MTA-STS demands a verified certificate, and this connection has none"
divert(-1)
