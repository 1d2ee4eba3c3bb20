-- SPDX-FileCopyrightText: The stsgate authors
-- SPDX-License-Identifier: ISC
--
-- A message to `domain` leaves with our header of the value `value`, and not with a forged one.

local conn = session()
mail(conn)
same("RCPT", rcpt(conn, domain), "continue")
message(conn, {{"Subject", "hello"}, {HEADER, "use; domain=forged.example"}})
same("the forged header removed", mt.eom_check(conn, MT_HDRDELETE, HEADER), true)
same("our header added", mt.eom_check(conn, MT_HDRADD, HEADER, value), true)
same("Subject removed", mt.eom_check(conn, MT_HDRDELETE, "Subject"), false)

mail(conn)
same("RCPT", rcpt(conn, domain), "continue")
message(conn, {{"Subject", "hello"}})
same("a header of the second message removed", mt.eom_check(conn, MT_HDRDELETE, HEADER), false)
same("our header added again", mt.eom_check(conn, MT_HDRADD, HEADER, value), true)
done(mt.disconnect(conn))
