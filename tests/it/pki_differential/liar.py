"""liar.py yes|no|short CUSTOS ARGUMENT…: custos, whose report is changed: everything is usable, nothing is, or the chain is the leaf alone."""

import json
import subprocess
import sys

lie, *command = sys.argv[1:]
report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout)
if lie == "short":
    report["chain"] = report["chain"][:1]
else:
    report["usable"] = lie == "yes"
print(json.dumps(report))
sys.exit(0 if report["usable"] else 6)
