# SPDX-FileCopyrightText: The stsgate authors
# SPDX-License-Identifier: ISC
"""What a sanitizer had to say about one of our programs, on its stderr.

ThreadSanitizer goes on after a report and a leak shows at the end only, so
that the exit status is not enough: it is lost with whoever kills the program.
"""

import re

_MARKS = re.compile(rb"WARNING: ThreadSanitizer|ERROR: (?:Address|Leak)Sanitizer|runtime error:"
                    rb"|(?:Address|Thread)Sanitizer:DEADLYSIGNAL")


def complaint(text):
    """From the first report in `text`, bytes, to its end; "" where there is none."""
    mark = _MARKS.search(text)
    return text[mark.start():].decode("utf-8", "replace") if mark else ""


class Reader:
    """Reads a program's stderr from a file, each octet once."""

    def __init__(self, path):
        self.path = path
        self._read = 0

    def complaint(self):
        """What has been reported since the last call."""
        if not self.path.exists():
            return ""
        with open(self.path, "rb") as log:
            log.seek(self._read)
            text = log.read()
        self._read += len(text)
        return complaint(text)
