"""terminal.py SEEN [TEXT KEYS]… -- COMMAND…: a person at a terminal. COMMAND runs with a terminal of its own as /dev/tty; its standard output and error stay what they are.

Each time TEXT has come up on that terminal, behind what was there before, KEYS are typed (as in a Python string: \\n is Enter, \\x03 Ctrl-C). What an Enter was for is
sometimes asked before it is listened to, and what was typed too early is thrown away: so an Enter alone is pressed again until something happens, as a person would.
SEEN gets all that was ever shown. Ends as COMMAND does, with 99 when TEXT did not come within a minute."""
import fcntl
import os
import pty
import select
import signal
import sys
import termios
import time

PATIENCE_S, AGAIN_S = 60, 0.5


def start(command):
    person, terminal = pty.openpty()
    pid = os.fork()
    if pid == 0:
        os.close(person)
        os.setsid()
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        os.dup2(terminal, 0)
        os.close(terminal)
        os.execvp(command[0], command)
    os.close(terminal)
    return pid, person


class Screen:
    def __init__(self, pid, person):
        self.pid, self.person, self.shown, self.read, self.status = pid, person, b"", 0, None

    def look(self, seconds):
        """True when something new has come up."""
        if self.status is not None or not select.select([self.person], [], [], seconds)[0]:
            return False
        try:
            new = os.read(self.person, 65536)
        except OSError:
            new = b""
        if not new:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.shown += new
        return bool(new)

    def find(self, text):
        at = self.shown.find(text, self.read)
        if at >= 0:
            self.read = at + len(text)
        return at >= 0

    def until(self, done, keys):
        """Waits for done(), with `keys` still to take effect."""
        start_s = pressed_s = time.monotonic()
        shown = len(self.shown)
        while not done():
            now = time.monotonic()
            if self.status is not None or now - start_s > PATIENCE_S:
                return False
            if keys == b"\n" and len(self.shown) == shown and now - pressed_s > AGAIN_S:
                os.write(self.person, keys)
                pressed_s = now
            self.look(0.05)
        return True


def main():
    seen, *rest = sys.argv[1:]
    cut = rest.index("--")
    steps, command = rest[:cut], rest[cut + 1:]
    screen = Screen(*start(command))
    keys, missed = b"", False
    for text, then in zip(steps[::2], steps[1::2]):
        missed = not screen.until(lambda text=text: screen.find(text.encode()), keys)
        if missed:
            break
        keys = then.encode().decode("unicode_escape").encode("latin-1")
        os.write(screen.person, keys)
    if not missed:
        missed = not screen.until(lambda: screen.status is not None, keys)
    with open(seen, "wb") as f:
        f.write(screen.shown)
    if screen.status is None:
        os.kill(screen.pid, signal.SIGKILL)
        os.waitpid(screen.pid, 0)
    if missed:
        print(f"waited in vain; the terminal shows: {screen.shown[-2000:]!r}", file=sys.stderr)
        return 99
    return screen.status if screen.status >= 0 else 128 - screen.status


sys.exit(main())
