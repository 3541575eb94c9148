"""Run a command to its end and print its wall seconds and peak memory.

Linux counts the memory of the process that starts a command towards the peak of the command. This file is therefore
run as a script, in a process that imports little.
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
