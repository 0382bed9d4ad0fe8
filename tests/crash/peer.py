"""Somebody who accepts connections and does not behave: peer.py MODE prints its address and goes on until it is killed.

silent: says nothing. drip: a byte now and then. hangup: closes at once. garbage: bytes that are no SSH. banner-garbage: an SSH banner, then the same.
"""
import socket
import sys
import threading

mode = sys.argv[1]
noise = bytes(range(256)) * 400
says = {"garbage": noise, "banner-garbage": b"SSH-2.0-OpenSSH_9.2\r\n" + noise}.get(mode, b"")
never = threading.Event()


def serve(connection):
    try:
        connection.sendall(says)
        while mode == "drip":
            connection.sendall(b"x")
            never.wait(0.5)
        if mode == "hangup":
            connection.close()
        never.wait()
    except OSError:
        pass


listener = socket.create_server(("127.0.0.1", 0), backlog=16)
print("%s:%d" % listener.getsockname(), flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
