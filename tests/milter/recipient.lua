-- SPDX-FileCopyrightText: The stsgate authors
-- SPDX-License-Identifier: ISC
--
-- A recipient at `domain` gets the answer `wanted`; with `parameter` that stands behind MAIL.

local conn = session()
if parameter then
	mail(conn, parameter)
else
	mail(conn)
end
same("RCPT", rcpt(conn, domain), wanted)
done(mt.disconnect(conn))
