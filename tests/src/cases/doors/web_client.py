"""Prints what a websocket of peripety-notify sends: web_client.py URL SUBSCRIPTION [FILE-TO-WAIT-FOR-AFTER-LIVE]."""

import asyncio
import os
import sys

import websockets


async def main(url, subscription, pause):
    async with websockets.connect(url, ping_interval=None, max_size=None) as stream:
        await stream.send(subscription)
        async for message in stream:
            print(message, flush=True)
            while pause and '"live"' in message and not os.path.exists(pause):
                await asyncio.sleep(0.05)


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
