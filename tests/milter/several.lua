-- SPDX-FileCopyrightText: The stsgate authors
-- SPDX-License-Identifier: ISC
--
-- One message for `one`, `two` and `bad`: the last is refused, the others go on, and no header
-- tells one of the other; a forged one is removed all the same. A message for `one` and `bad`
-- has one domain left, and its header.

local conn = session()
local forged = {{HEADER, "use; domain=forged.example"}}

mail(conn)
same(one, rcpt(conn, one), "continue")
same(bad, rcpt(conn, bad), "reply")
same(two, rcpt(conn, two), "continue")
message(conn, forged)
same("the forged header removed", mt.eom_check(conn, MT_HDRDELETE, HEADER), true)
same("a header added", mt.eom_check(conn, MT_HDRADD), false)

mail(conn)
same(one, rcpt(conn, one), "continue")
same(bad, rcpt(conn, bad), "reply")
message(conn, forged)
same("the forged header removed", mt.eom_check(conn, MT_HDRDELETE, HEADER), true)
same("our header added", mt.eom_check(conn, MT_HDRADD, HEADER, value), true)
done(mt.disconnect(conn))
