-- SPDX-FileCopyrightText: The stsgate authors
-- SPDX-License-Identifier: ISC
--
-- Mail to `domain` goes through untouched, twice over one connection.

local conn = session()
for _ = 1, 2 do
	mail(conn)
	same("RCPT", rcpt(conn, domain), "continue")
	message(conn, {{"Subject", "hello"}})
	same("a header added", mt.eom_check(conn, MT_HDRADD), false)
	same("a header changed", mt.eom_check(conn, MT_HDRCHANGE), false)
	same("a recipient removed", mt.eom_check(conn, MT_RCPTDELETE, "<someone@" .. domain .. ">"), false)
end
done(mt.disconnect(conn))
