# SPDX-License-Identifier: MIT
"""Programs that tests start."""
import re
import threading


def first_line(process, pattern):
    """Waits for a line of standard output that has the pattern in it, and gives its first group."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        found = re.search(pattern, line)
        if found:
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return found.group(1)
    raise RuntimeError(f"{process.args[0]} ended: {''.join(seen)}")
