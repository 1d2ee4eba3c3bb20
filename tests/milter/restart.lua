-- SPDX-FileCopyrightText: The stsgate authors
-- SPDX-License-Identifier: ISC
--
-- stsgated is killed and restarted while a session lasts, and between two recipients of one
-- message: what it cannot be asked about is let through, and what comes after is refused again.

local conn = session()
mail(conn)
same("RCPT before", rcpt(conn, first), "reply")
please("kill")
same("RCPT of the same message without stsgated", rcpt(conn, second), "continue")
message(conn, {{"Subject", "hello"}})

mail(conn)
same("RCPT without stsgated", rcpt(conn, second), "continue")
message(conn, {{"Subject", "hello"}})
please("start")

mail(conn)
same("RCPT after", rcpt(conn, first), "reply")
same("RCPT of a new domain after", rcpt(conn, third), "reply")
same("RCPT of what may be delivered", rcpt(conn, good), "continue")
message(conn, {{"Subject", "hello"}})
done(mt.disconnect(conn))
