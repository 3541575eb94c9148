"""Runs a command to its end and prints its wall seconds and peak memory; started as a file, it stays small.

Linux counts the memory of the process that starts a command towards that command's peak.
"""

import json
import os
import subprocess
import sys
import time

started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - started
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({"seconds": seconds, "bytes": usage.ru_maxrss * unit, "exit": os.waitstatus_to_exitcode(status)}))
