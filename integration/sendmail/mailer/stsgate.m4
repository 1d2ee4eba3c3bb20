PUSHDIVERT(-1)
#
# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
#
# The mailer stsgate: mail for other sites goes to stsgated by LMTP, and every
# recipient has a reply of its own.  Put this file beside the other mailers
# (Debian: /usr/share/sendmail/cf/mailer/); in sendmail.mc it stands behind smtp.
#
# Three mailers then exist, for SMART_HOST and for mailertable:
#
#	stsgate:[127.0.0.1]	TCP; stsgate.conf: lmtp { listen = {"inet:127.0.0.1:2424"} }
#	stsgateunix:localhost	the Unix socket, in a directory that only root may write to
#	stsgateprog:localhost	the program stsgate-deliver
#
# To be defined before, where these defaults do not fit: STSGATE_MAILER_PORT
# (2424), STSGATE_MAILER_SOCKET (/run/stsgate/lmtp.sock), STSGATE_MAILER_PATH
# (/usr/sbin/stsgate-deliver), STSGATE_MAILER_USER (smmta:smmta),
# STSGATE_MAILER_FLAGS and STSGATE_MAILER_MAXRCPTS (100).
#
ifdef(`_MAILER_smtp_', `',
	`errprint(`*** MAILER(`smtp') must appear before MAILER(`stsgate')')')dnl
# z: LMTP.  m: many recipients.  X: dots are stuffed.
_DEFIFNOT(`STSGATE_MAILER_FLAGS', `mDFMuXz')
ifdef(`STSGATE_MAILER_PORT', `', `define(`STSGATE_MAILER_PORT', `2424')')
ifdef(`STSGATE_MAILER_SOCKET', `', `define(`STSGATE_MAILER_SOCKET', `/run/stsgate/lmtp.sock')')
ifdef(`STSGATE_MAILER_PATH', `', `define(`STSGATE_MAILER_PATH', `/usr/sbin/stsgate-deliver')')
ifdef(`STSGATE_MAILER_USER', `', `define(`STSGATE_MAILER_USER', `smmta:smmta')')
ifdef(`STSGATE_MAILER_MAXRCPTS', `', `define(`STSGATE_MAILER_MAXRCPTS', `100')')
# Above stsgated's transaction-time (30m) and final-timeout (10m) together:
# giving up earlier means that a message which is being delivered will be
# sent once more.
ifdef(`confTO_DATAFINAL', `', `define(`confTO_DATAFINAL', `1h')')
POPDIVERT

######################################
###   stsgate Mailer specification   ###
######################################

VERSIONID(`stsgate.m4')

# L=0: lines are not cut, so that signatures hold.
Mstsgate,	P=[IPC], F=_MODMF_(STSGATE_MAILER_FLAGS, `STSGATE'),
		S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\r\n, L=0,
		T=DNS/RFC822/SMTP, r=STSGATE_MAILER_MAXRCPTS,
		A=TCP $h STSGATE_MAILER_PORT

Mstsgateunix,	P=[IPC], F=_MODMF_(STSGATE_MAILER_FLAGS, `STSGATE'),
		S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\r\n, L=0,
		T=DNS/RFC822/SMTP, r=STSGATE_MAILER_MAXRCPTS,
		A=FILE STSGATE_MAILER_SOCKET

Mstsgateprog,	P=STSGATE_MAILER_PATH, F=_MODMF_(CONCAT(`S', STSGATE_MAILER_FLAGS), `STSGATE'),
		S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\r\n, L=0,
		T=DNS/RFC822/SMTP, r=STSGATE_MAILER_MAXRCPTS, U=STSGATE_MAILER_USER,
		A=stsgate-deliver -s STSGATE_MAILER_SOCKET --lmtp
