"""A tap on the wire to the RIS: passes bytes on unchanged and keeps the messages it saw, to show them."""

import asyncio
from contextlib import suppress

from integrations.hl7_fhir.framing import Frame, Framer

CHUNK_BYTES = 64 * 1024
LIMIT_BYTES = 32 * 1024 * 1024


class Tap:
    """Listens on a free port of 127.0.0.1 and forwards to another."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self.messages: list[bytes] = []
        self.port = 0

    async def start(self) -> int:
        """Listen and return the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        framer = Framer(
            max_message_bytes=LIMIT_BYTES, max_drained_bytes=LIMIT_BYTES, max_junk_bytes=CHUNK_BYTES
        )
        back = asyncio.create_task(self._copy(far_reader, writer))
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                self.messages.extend(item.raw for item in framer.feed(data) if isinstance(item, Frame))
                far_writer.write(data)
                await far_writer.drain()
        far_writer.close()
        back.cancel()
        writer.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
