"""A client of Varlink that knows nothing of peripety: subscribes, and prints the id and revision of each event."""

import json
import socket
import sys

client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
call = {"method": "io.peripety.Events.Subscribe", "more": True}
client.sendall(json.dumps(call).encode() + b"\0")
buffer = b""
while piece := client.recv(65536):
    *replies, buffer = (buffer + piece).split(b"\0")
    for reply in map(json.loads, replies):
        given = reply["parameters"]
        if given.get("live"):
            print("live", flush=True)
        if event := given.get("event"):
            print(event["event_type"], event["event_id"], "revision", event["revision"], given["dropped"], flush=True)
