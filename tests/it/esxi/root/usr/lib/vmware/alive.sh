# alive PID: a process that still runs (PID 1 fetches the dead once a second, so kill -0 also finds corpses). Sourced.
alive() { grep -q . "/proc/${1:-none}/cmdline" 2> /dev/null; }
