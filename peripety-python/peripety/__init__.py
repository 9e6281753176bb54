"""Block devices and storage failures of Linux.

What a name of a block device means, and what fails in this machine's storage, as peripetyd reports it:

>>> import peripety
>>> for device in peripety.block_devices():
...     assert peripety.block_info(device.dev).blk_path == device.blk_path
>>> peripety.block_info("no-such-disk")
Traceback (most recent call last):
    ...
peripety.UnknownDevice: no block device is called 'no-such-disk' ...

Events are for root and for members of the group systemd-journal.
"""

import asyncio
import json
from typing import Any, AsyncIterator, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from . import _peripety
from ._peripety import (
    AmbiguousDevice,
    NotABlockDevice,
    PeripetyError,
    RawStream,
    UnknownDevice,
    __version__,
)

__all__ = [
    "AmbiguousDevice",
    "BlockDevice",
    "Event",
    "Incident",
    "NotABlockDevice",
    "PeripetyError",
    "Stream",
    "UnknownDevice",
    "__version__",
    "block_devices",
    "block_info",
    "follow",
    "status",
]

Names = Union[str, Sequence[str]]


class _Document(Mapping[str, Any]):
    """An object of JSON: keys as items, and as attributes.

    >>> document = _Document({"kdev": "sda", "io": {"sector": 8}})
    >>> document.kdev, document["io"]["sector"], document.get("block")
    ('sda', 8, None)
    """

    def __init__(self, data: Dict[str, Any]) -> None:
        self._data = data

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __getattr__(self, name: str) -> Any:
        if name != "_data" and name in self._data:
            return self._data[name]
        raise AttributeError(f"{type(self).__name__} has no '{name}'")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._data!r})"


class BlockDevice(_Document):
    """A block device: `block` in event.schema.json. Keys without a value may be absent from the mapping; the attributes
    here are always there."""

    @property
    def blk_path(self) -> str:
        """The kernel's node: /dev/dm-0."""
        return str(self._data.get("blk_path", ""))

    @property
    def dev(self) -> str:
        """Major and minor number: 8:0."""
        return str(self._data.get("dev", ""))

    @property
    def name(self) -> str:
        """The path that people use."""
        return str(self._data.get("preferred_blk_path") or self.blk_path or self.dev)

    @property
    def wwid(self) -> str:
        """World wide id; for a loop device the file behind it."""
        return str(self._data.get("wwid", ""))

    @property
    def mount_points(self) -> List[str]:
        """Where its filesystem is mounted."""
        return list(self._data.get("mount_points", []))

    @property
    def transport(self) -> Optional[Dict[str, Any]]:
        """How it is reached."""
        return self._data.get("transport")

    @property
    def owners(self) -> List["BlockDevice"]:
        """What it is made of, nearest first."""
        return [BlockDevice(device) for device in self._data.get("owners", [])]

    @property
    def holders(self) -> List["BlockDevice"]:
        """What is made of it, nearest first."""
        return [BlockDevice(device) for device in self._data.get("holders", [])]


class _Revision(_Document):
    def __init__(self, data: Dict[str, Any], cursor: Optional[str], dropped: int, missed: int) -> None:
        super().__init__(data)
        #: The place after it, for `after` of a later stream.
        self.cursor = cursor
        #: Revisions so far that were left out because this program was too slow.
        self.dropped = dropped
        #: Revisions so far that were due and are no longer to be had.
        self.missed = missed

    @property
    def revision(self) -> int:
        """0 for the first writing, then one more for each."""
        return int(self._data["revision"])

    @property
    def severity(self) -> str:
        """emergency, alert, critical, error, warning, notice, info or debug."""
        return str(self._data["severity"])


class Event(_Revision):
    """A revision of an event: event.schema.json."""

    @property
    def event_id(self) -> str:
        """The same for every revision."""
        return str(self._data["event_id"])

    @property
    def event_type(self) -> str:
        """What happened."""
        return str(self._data["event_type"])

    @property
    def msg(self) -> str:
        """One line for people."""
        return str(self._data["msg"])

    @property
    def block(self) -> Optional[BlockDevice]:
        """The device at fault."""
        block = self._data.get("block")
        return BlockDevice(block) if block else None


class Incident(_Revision):
    """A revision of an incident: incident.schema.json."""

    @property
    def incident_id(self) -> str:
        """The same for every revision."""
        return str(self._data["incident_id"])

    @property
    def title(self) -> str:
        """One line for people."""
        return str(self._data["title"])

    @property
    def state(self) -> str:
        """open, recovering, resolved or superseded."""
        return str(self._data["state"])


def block_info(name: str, *, root: Optional[str] = None) -> BlockDevice:
    """The block device that a name leads to: sda1, /dev/mapper/mpatha, 8:1, 4:0:0:1, UUID=…, a world wide id in any spelling,
    a serial number, a mount point, a file, the file behind a loop device. `root` is a directory with a copy of another
    machine's sys, proc, dev and run.

    >>> block_info("/dev/null")
    Traceback (most recent call last):
        ...
    peripety.NotABlockDevice: '/dev/null' is a character device, not a block device
    """
    return BlockDevice(json.loads(_peripety.block_info(name, root)))


def block_devices(*, root: Optional[str] = None) -> List[BlockDevice]:
    """All block devices that are there."""
    return [BlockDevice(device) for device in json.loads(_peripety.block_devices(root))]


def status(*, socket: Optional[str] = None) -> Dict[str, Any]:
    """What is wrong now: `incidents`, `conditions`, and what cannot be known."""
    answer: Dict[str, Any] = json.loads(_peripety.request("status", None, None, socket))
    return answer


class Stream:
    """Revisions as they come, for `for` and for `async for`. :func:`follow` makes one. It is for the thread
    that made it."""

    def __init__(self, raw: RawStream) -> None:
        self._raw = raw
        #: What became of the stream last: "", "live", "disconnected", or why something may be missing.
        self.note: str = ""

    def fileno(self) -> int:
        """A descriptor for select and poll; after it was readable, call :meth:`poll` until that gives None."""
        return self._raw.fileno()

    def poll(self, timeout: Optional[float] = 0) -> Union[Event, Incident, None]:
        """The next revision; None where none comes within `timeout` seconds (None waits for ever). Raises StopIteration
        when none comes, ever."""
        while True:
            given = self._raw.next(timeout)
            if given is None:
                return None
            kind, text, cursor, _sequence, dropped, missed = given
            if kind == "event":
                return Event(json.loads(text), cursor, dropped, missed)
            if kind == "incident":
                return Incident(json.loads(text), cursor, dropped, missed)
            self.note = text or kind

    def __iter__(self) -> Iterator[Union[Event, Incident]]:
        return self

    def __next__(self) -> Union[Event, Incident]:
        while True:
            item = self.poll(None)
            if item is not None:
                return item

    def __aiter__(self) -> AsyncIterator[Union[Event, Incident]]:
        return self

    async def __anext__(self) -> Union[Event, Incident]:
        loop = asyncio.get_running_loop()
        while True:
            try:
                item = self.poll(0)
            except StopIteration:
                raise StopAsyncIteration from None
            if item is not None:
                return item
            readable = asyncio.Event()
            loop.add_reader(self.fileno(), readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(self.fileno())


def _names(names: Names) -> List[str]:
    return [names] if isinstance(names, str) else list(names)


def follow(
    *,
    severity: Optional[str] = None,
    types: Names = (),
    sub_systems: Names = (),
    devices: Names = (),
    mount_points: Names = (),
    hosts: Names = (),
    impact: Names = (),
    events: bool = True,
    incidents: bool = False,
    source: str = "auto",
    start: str = "now",
    after: Optional[str] = None,
    follow: bool = True,
    socket: Optional[str] = None,
    journal: Optional[str] = None,
    daemons: Names = (),
) -> Stream:
    """Storage failures as they happen: ``for event in peripety.follow(severity="error"): ...``

    All that is given must hold; in names `*` stands for anything. `source` is "auto" (the daemon, and from the journal what
    it no longer has), "socket" or "journal". `start` is "now" or "stored"; `after` is the cursor of an earlier revision.
    Without `follow` the stream is over after what is stored. The stream outlives the daemon.

    >>> follow(socket="/nowhere/peripety.sock")
    Traceback (most recent call last):
        ...
    ConnectionError: no peripetyd listens at /nowhere/peripety.sock; ...
    >>> follow(severity="bad")
    Traceback (most recent call last):
        ...
    ValueError: filter: 'bad' is no severity; ...
    """
    wanted: Dict[str, Any] = {
        "types": _names(types),
        "sub_systems": _names(sub_systems),
        "devices": _names(devices),
        "mount_points": _names(mount_points),
        "hosts": _names(hosts),
        "impact": _names(impact),
    }
    if severity is not None:
        wanted["severity"] = severity
    raw = RawStream(
        json.dumps(wanted), events, incidents, source, start, after, follow, socket, journal, _names(daemons)
    )
    return Stream(raw)
