"""Prints signals of org.peripety1, one JSON object on a line, as jeepney gets them."""

import json
import sys

from jeepney import DBusAddress, MatchRule, MessageType, message_bus, new_method_call
from jeepney.io.blocking import Proxy, open_dbus_connection

NAME = "org.peripety1"
connection = open_dbus_connection(bus="SYSTEM")
Proxy(message_bus, connection).AddMatch(MatchRule(type="signal", sender=NAME))
root = DBusAddress("/org/peripety1", bus_name=NAME, interface="org.freedesktop.DBus.ObjectManager")
reply = connection.send_and_get_reply(new_method_call(root, "GetManagedObjects"))
assert reply.header.message_type == MessageType.method_return, reply.body
print(json.dumps({"objects": sorted(reply.body[0])}), flush=True)


def plain(value):
    """A variant is its signature and its value."""
    if isinstance(value, dict):
        return {key: plain(one[1] if isinstance(one, tuple) else one) for key, one in value.items()}
    return value


while True:
    message = connection.receive()
    fields = {field.name: value for field, value in message.header.fields.items()}
    if message.header.message_type != MessageType.signal or fields.get("interface", "").startswith("org.freedesktop.DBus.Properties"):
        continue
    print(json.dumps({"signal": fields["member"], "body": [plain(one) for one in message.body]}), flush=True)
