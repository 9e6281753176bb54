"""An HTTPS server that notes each request in a file before it answers, and answers as a file says:

    ok | status 429 RETRY_AFTER | status 500 | hang SECONDS

Arguments: directory, port (0: any), certificate, key; without the last two it speaks plain HTTP.
"""
import http.server
import json
import os
import ssl
import sys
import time

directory, port = sys.argv[1], int(sys.argv[2])
log = open(os.path.join(directory, "requests"), "a")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        with open(os.path.join(directory, "mode")) as file:
            mode = file.read().split()
        status, after = 200, None
        if mode[0] == "status":
            status, after = int(mode[1]), mode[2] if len(mode) > 2 else None
        note = {"at": time.time(), "path": self.path, "status": status, "headers": dict(self.headers), "body": body}
        if mode[0] == "hang":
            note["status"] = 0
        log.write(json.dumps(note) + "\n")
        log.flush()
        os.fsync(log.fileno())
        if mode[0] == "hang":
            time.sleep(float(mode[1]))
            self.close_connection = True
            return
        self.send_response(status)
        if after:
            self.send_header("Retry-After", after)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    do_PUT = do_POST

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
with open(os.path.join(directory, "port.new"), "w") as file:
    file.write(str(server.server_port))
os.rename(os.path.join(directory, "port.new"), os.path.join(directory, "port"))
server.serve_forever()
