-- SPDX-FileCopyrightText: The stsgate authors
-- SPDX-License-Identifier: ISC
--
-- Runs a script for miltertest(8) with what all of them share, as tests/e2e/test_miltertest.py
-- does:
--
--   miltertest -D script=/path/accept.lua -D socket=/path/milter.sock -D domain=... -s session.lua

NAMES = {
	[SMFIR_CONTINUE] = "continue", [SMFIR_ACCEPT] = "accept", [SMFIR_REJECT] = "reject",
	[SMFIR_TEMPFAIL] = "tempfail", [SMFIR_REPLYCODE] = "reply",
}
SENDER = "<someone@out.stslab.example>"
HEADER = "X-STS-Verdict"

-- done(mt.something(...)): miltertest's functions give nil, or what went wrong.
function done(trouble)
	if trouble ~= nil then
		error(trouble, 2)
	end
end

function same(what, seen, wanted)
	if seen ~= wanted then
		error(what .. ": " .. tostring(seen) .. ", not " .. tostring(wanted), 2)
	end
end

function session()
	mt.set_timeout(60)
	local conn = mt.connect("unix:" .. socket)
	if conn == nil then
		error("no connection to " .. socket)
	end
	done(mt.negotiate(conn, nil, nil, nil))
	return conn
end

function answer(conn)
	return NAMES[mt.getreply(conn)]
end

function mail(conn, ...)
	done(mt.mailfrom(conn, SENDER, ...))
	same("MAIL", answer(conn), "continue")
end

-- What the milter says of a recipient that goes to another site.
function rcpt(conn, domain)
	done(mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "esmtp", "{rcpt_host}", domain))
	done(mt.rcptto(conn, "<someone@" .. domain .. ">"))
	return answer(conn)
end

-- The rest of a message; `headers` are {name, value} pairs.
function message(conn, headers)
	for _, header in ipairs(headers or {}) do
		if not mt.test_option(conn, SMFIP_NOHDRS) then
			done(mt.header(conn, header[1], header[2]))
			same("header", answer(conn), "continue")
		end
	end
	done(mt.eom(conn))
	same("end of message", answer(conn), "continue")
end

-- Has the test do something, and waits until it is done.
function please(act)
	io.stdout:write("please ", act, "\n")
	io.stdout:flush()
	same("the test", io.read(), "done")
end

-- miltertest ends with 1 after an error, but does not say which.
local fine, trouble = xpcall(function () dofile(script) end, debug.traceback)
if not fine then
	io.stdout:write(tostring(trouble), "\n")
	error(trouble)
end
