"""Keeps a listening socket and hands it to a server, as systemd does with a socket unit: keeper.py SOCKET COMMAND...

Starts or stops the server for each such word on standard input, and answers with a line.
"""

import os
import socket
import subprocess
import sys

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
START = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'

path, command = sys.argv[1], sys.argv[2:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
os.chmod(path, 0o666)
listener.listen(16)
if listener.fileno() != FIRST_DESCRIPTOR:
    os.dup2(listener.fileno(), FIRST_DESCRIPTOR)
print("done", flush=True)
log = open("/mnt/log", "a")
server = None
for line in sys.stdin:
    if line.strip() == "start":
        server = subprocess.Popen(["sh", "-c", START, "sh", *command], pass_fds=[FIRST_DESCRIPTOR], stdout=log, stderr=log)
    else:
        server.kill()
        server.wait()
        server = None
    print("done", flush=True)
if server:
    server.kill()
    server.wait()
