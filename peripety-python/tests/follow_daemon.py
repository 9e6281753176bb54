"""Events of a daemon that runs: follow_daemon.py SOCKET. Prints what came; the end-to-end tests make it happen."""

import asyncio
import sys

import peripety


async def main() -> None:
    stream = peripety.follow(types="FS_*", source="socket", socket=sys.argv[1])
    print("following", flush=True)
    async for event in stream:
        assert isinstance(event, peripety.Event) and event.block is not None and event.cursor
        print(event.event_type, event.event_id, event.block.blk_path, event.dropped, flush=True)
        later = peripety.follow(start="stored", follow=False, source="socket", socket=sys.argv[1])
        assert any(isinstance(e, peripety.Event) and e.event_id == event.event_id for e in later)
        assert "incidents" in peripety.status(socket=sys.argv[1])
        print("stored", event.event_id, flush=True)


asyncio.run(main())
