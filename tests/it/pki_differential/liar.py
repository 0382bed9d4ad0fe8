"""liar.py LIE CUSTOS ARGUMENT…: custos, whose answer is changed.

yes      everything is usable           no      nothing is
short    the chain is the leaf alone    long    the chain has one more certificate
other    the file that it writes is not the chain that it reports"""

import json
import pathlib
import re
import subprocess
import sys

lie, *command = sys.argv[1:]
report = json.loads(subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout)
written = pathlib.Path(command[command.index("-o") + 1])
certificates = re.findall(r"-----BEGIN[^-]*-----[^-]*-----END[^-]*-----\n", written.read_text(encoding="ascii") if written.exists() else "")
if lie == "short":
    report["chain"], certificates = report["chain"][:1], certificates[:1]
elif lie == "long":
    report["chain"], certificates = report["chain"] + report["chain"][-1:], certificates + certificates[-1:]
elif lie == "other":
    certificates = certificates[::-1] if len(certificates) > 1 else certificates * 2
else:
    report["usable"] = lie == "yes"
if certificates:
    written.write_text("".join(certificates), encoding="ascii")
print(json.dumps(report))
sys.exit(0 if report["usable"] else 6)
