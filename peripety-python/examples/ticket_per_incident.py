"""Opens a ticket for each incident and closes it when that is over: a file in a directory stands for the ticket.

    ticket_per_incident.py /var/lib/tickets
"""

import pathlib
import sys

import peripety


def main() -> None:
    tickets = pathlib.Path(sys.argv[1])
    place = tickets / "cursor"
    after = place.read_text() if place.exists() else None
    for incident in peripety.follow(events=False, incidents=True, start="stored", after=after):
        if not isinstance(incident, peripety.Incident):
            continue
        ticket = tickets / f"{incident.incident_id}.txt"
        lines = [f"{incident.state} {incident.severity}: {incident.title}", *incident.get("actions", [])]
        ticket.write_text("\n".join(lines) + "\n")
        if incident.cursor:
            # After the ticket: who is killed in between writes it twice, and loses none.
            place.write_text(incident.cursor)


if __name__ == "__main__":
    main()
