"""A real SMTP server, and the settings that make Pagewire use it."""

import asyncio
import email
import email.policy
import queue
import ssl
import threading
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP
from aiosmtpd.smtp import Envelope as ReceivedMail

from support.databases import TestDatabase
from support.servers import WAIT_SECONDS, Person


class MailServer:
    """A real SMTP server that keeps what it is given; *refusals* are its next answers to RCPT, DATA or QUIT."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None, **options: Any) -> None:
        self.port = port
        self.received: queue.Queue[ReceivedMail] = queue.Queue()
        self.refusals: dict[str, list[str]] = {"RCPT": [], "DATA": [], "QUIT": []}
        self._tls = tls
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: asyncio.Server | None = None

    def start(self) -> "MailServer":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def stop(self) -> None:
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def next_text(self) -> str:
        """What its sender wrote, without the line that says who it was."""
        return str(self.next_mail().get_content()).partition("wrote to you in Pagewire:\n\n")[2]

    def next_mail(self) -> EmailMessage:
        """The next one that was accepted."""
        return read_mail(self.received.get(timeout=WAIT_SECONDS))

    async def _listen(self) -> None:
        def answer() -> SMTP:
            return SMTP(self, loop=self._loop, hostname="mail.example.com", **self._options)

        self._server = await self._loop.create_server(answer, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    # What aiosmtpd asks

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Any, envelope: ReceivedMail, address: str, options: list[str]
    ) -> str:
        if self.refusals["RCPT"]:
            return self.refusals["RCPT"].pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: ReceivedMail) -> str:  # noqa: N802
        if self.refusals["DATA"]:
            return self.refusals["DATA"].pop(0)
        self.received.put(envelope)
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Any, envelope: ReceivedMail) -> str:  # noqa: N802
        return self.refusals["QUIT"].pop(0) if self.refusals["QUIT"] else "221 Bye"


def read_mail(received: ReceivedMail) -> EmailMessage:
    assert isinstance(received.content, bytes)
    text = received.content.replace(b"\r\n", b"\n")
    return email.message_from_bytes(text, policy=email.policy.default)


def smtp(port: int, **settings: str) -> dict[str, str]:
    return {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(port),
        "SMTP_SECURITY": "none",
        "SMTP_FROM": "Pagewire <pagewire@example.com>",
        "SMTP_RETRY_SECONDS": "0.05",
        **settings,
    }


def notify(sender: Person, recipient: Person | str, message: str = "The invoice is in.") -> None:
    address = recipient if isinstance(recipient, str) else recipient.email
    answer = sender.client.post("/send-notification", json={"email": address, "message": message})
    assert (answer.status_code, answer.json()) == (200, {"message": "Notification queued"})


def status_of(database: TestDatabase, message: str) -> tuple[Any, ...]:
    """The status and the attempts of a notification, by its message."""
    (row,) = database.query("SELECT status, attempts FROM notifications WHERE message = %s", message)
    return row
