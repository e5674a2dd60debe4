"""Refusing requests that are too large, before they are read into memory, or that never come to their end."""

from __future__ import annotations

import asyncio

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Answers 413 to a request whose body is longer than allowed, whatever its header says.

    To one whose body has not come when the server ends, it answers 503.

    Args:
        app: What answers the others.
        largest: Bytes of a body at most.
    """

    def __init__(self, app: ASGIApp, largest: int):
        self._app, self._largest = app, largest
        self._too_long = f"body: is longer than {largest:,} bytes, the most that this server takes"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if said.isdigit() and int(said) > self._largest:
            await self._refuse(scope, receive, send, 413, self._too_long)
            return
        content = bytearray()
        more = True
        while more:
            try:
                message = await receive()
            except asyncio.CancelledError:  # the server's patience has an end
                await self._refuse(scope, receive, send, 503, "body: did not come to its end before the server did")
                return
            if message["type"] != "http.request":  # the client has gone
                return
            content += message.get("body", b"")
            if len(content) > self._largest:
                await self._refuse(scope, receive, send, 413, self._too_long)
                return
            more = message.get("more_body", False)
        whole: list[Message] = [{"type": "http.request", "body": bytes(content), "more_body": False}]

        async def read() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, read, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, detail: str) -> None:
        response = JSONResponse({"detail": detail}, status, headers={"connection": "close"})
        await response(scope, receive, send)
