"""The parser of what a NATS server sends: whole messages with little work, all else as the client's own parser."""

from __future__ import annotations

import re

from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

# Subject, subscription, where to reply, bytes of the headers (with H only), bytes of headers and body.
_MESSAGE = re.compile(rb"(?:HMSG (\S+) (\d+) (?:(\S+) )?(\d+)|MSG (\S+) (\d+)(?: (\S+))?) (\d+)\r\n")
_WORDS = (b"HMSG ", b"MSG ")
JOINED_BYTES = 1 << 16  # of a message that came in parts, up to which it is put together here


class MessageParser(Parser):
    """The client's parser looks for every kind of line at each message, and moves all that stands behind it."""

    async def parse(self, data: bytes = b"") -> None:
        if self.state == AWAITING_CONTROL_LINE:
            if self.buf:
                data = bytes(self.buf) + data
                self.buf.clear()
            data = data[await self._messages(data) :]
            if data.startswith(_WORDS) and len(data) < JOINED_BYTES:
                self.buf.extend(data)
                return
        await super().parse(data)

    async def _messages(self, data: bytes) -> int:
        """Tell of the whole messages at the beginning; where the rest begins."""
        begin = 0
        while (line := _MESSAGE.match(data, begin)) is not None:
            subject, number, reply, headers, plain_subject, plain_number, plain_reply, size = line.groups()
            body = line.end() + int(headers or 0)
            end = line.end() + int(size)
            if end + 2 > len(data):
                break
            begin = end + 2
            block = data[line.end() : body]
            await self.nc._process_msg(
                int(number or plain_number),
                subject or plain_subject,
                reply or plain_reply or b"",
                data[body:end],
                block,
            )
        return begin
