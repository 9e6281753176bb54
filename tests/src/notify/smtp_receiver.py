"""An SMTP server with STARTTLS, which it requires, and AUTH, which it requires too; notes each mail in a file.

Arguments: directory, certificate, key, user, password.
"""
import json
import os
import ssl
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

directory, certificate, key, user, password = sys.argv[1:6]
log = open(os.path.join(directory, "mails"), "a")


class Handler:
    async def handle_DATA(self, server, session, envelope):
        note = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "data": envelope.content.decode()}
        note["tls"] = session.ssl is not None
        note["authenticated"] = bool(session.authenticated)
        log.write(json.dumps(note) + "\n")
        log.flush()
        return "250 OK: queued as 4711"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    # Not handled: the server is to say so.
    return AuthResult(success=right, handled=False)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
controller = Controller(
    Handler(),
    hostname="127.0.0.1",
    port=0,
    tls_context=context,
    require_starttls=True,
    auth_required=True,
    authenticator=authenticate,
)
# Controller connects to itself to see that it runs, for which it wants to know the port.
import socket

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    controller.port = free.getsockname()[1]
controller.start()
with open(os.path.join(directory, "port.new"), "w") as file:
    file.write(str(controller.port))
os.rename(os.path.join(directory, "port.new"), os.path.join(directory, "port"))
while True:
    time.sleep(3600)
