"""Send one message by SMTP."""

import asyncio
import re
import smtplib
import ssl
import threading
from contextlib import suppress
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email

from edge.fields import CONTROLS
from settings import Settings

STEP_SECONDS = 60.0  # for one answer: some servers make strangers wait
SEND_SECONDS = 180.0  # for a whole message
MAX_SUBJECT_CHARACTERS = 200
MAX_REASON_CHARACTERS = 500
NOT_IN_A_LINE = re.compile(rf"[\s{CONTROLS}]+")


class MailRefusedError(Exception):
    """The server refused the message for good; a retry is pointless."""


class MailDelayedError(Exception):
    """The message could not be handed over now; it is worth another try."""


class Mail(NamedTuple):
    message_id: str  # the same at every attempt, so that a repeat is recognised
    to: str
    subject: str
    text: str
    reply_to: str | None = None


class Mailer:
    """The SMTP server of this installation; STARTTLS, TLS or neither, with or without credentials."""

    def __init__(self, settings: Settings) -> None:
        self._host = settings.smtp_host
        self._port = settings.smtp_port
        self._security = settings.smtp_security
        self._user = settings.smtp_user
        self._password = settings.smtp_password
        self._sender = settings.smtp_from

    @property
    def is_configured(self) -> bool:
        return self._host is not None

    @property
    def domain(self) -> str:
        return parseaddr(self._sender)[1].rpartition("@")[2] or "localhost"

    async def send(self, mail: Mail) -> None:
        """Hand *mail* over, in a thread that does not keep the server from stopping.

        Raises:
            MailRefusedError, MailDelayedError
        """
        loop = asyncio.get_running_loop()
        handed_over: asyncio.Future[None] = loop.create_future()

        def work() -> None:
            error: BaseException | None = None
            try:
                self._hand_over(mail)
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):  # the loop is closed: the caller is gone
                loop.call_soon_threadsafe(_settle, handed_over, error)

        threading.Thread(target=work, name="smtp", daemon=True).start()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await handed_over
        except TimeoutError as error:
            raise MailDelayedError(f"the SMTP server did not take it within {SEND_SECONDS:.0f} seconds") from error

    def _hand_over(self, mail: Mail) -> None:
        assert self._host is not None
        recipient = _with_ascii_domain(mail.to)
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = _only(recipient)
        if mail.reply_to is not None:
            with suppress(MailRefusedError):  # one that a header would change is left out
                message["Reply-To"] = _only(_with_ascii_domain(mail.reply_to))
        message["Subject"] = _one_line(mail.subject)[:MAX_SUBJECT_CHARACTERS]
        message["Message-ID"] = mail.message_id
        message["Date"] = formatdate(usegmt=True)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
        message.set_content(mail.text)
        try:
            smtp = self._connect(self._host)
            try:
                if self._user is not None and self._password is not None:
                    smtp.login(self._user, self._password.get_secret_value())
                _transmit(smtp, message, recipient)
                with suppress(OSError, smtplib.SMTPException):  # handed over, whatever QUIT answers
                    smtp.quit()
            finally:
                smtp.close()
        except smtplib.SMTPAuthenticationError as error:
            raise MailDelayedError("the SMTP server refuses SMTP_USER and SMTP_PASSWORD") from error
        except smtplib.SMTPResponseException as error:  # about us, not this message: an operator may fix it
            raise MailDelayedError(_reason(error.smtp_code, error.smtp_error)) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailDelayedError(_one_line(f"{type(error).__name__}: {error}")[:MAX_REASON_CHARACTERS]) from error

    def _connect(self, host: str) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._security == "tls":
            return smtplib.SMTP_SSL(host, self._port, timeout=STEP_SECONDS, context=context)
        smtp = smtplib.SMTP(host, self._port, timeout=STEP_SECONDS)
        if self._security == "starttls":
            try:
                smtp.starttls(context=context)
            except BaseException:
                smtp.close()
                raise
        return smtp


def _one_line(text: str) -> str:
    """*text* as a header may say it: no line ends, and nothing that EmailMessage takes for an encoded one."""
    return NOT_IN_A_LINE.sub(" ", text).strip().replace("=?", "= ?")


def _only(recipient: str) -> Address:
    """*recipient* as exactly one address, whatever the string holds.

    Raises:
        MailRefusedError: if that cannot be written.
    """
    try:
        address = Address(addr_spec=recipient)
    except (ValueError, HeaderParseError) as error:
        raise MailRefusedError("the address cannot be written in a header") from error
    if "=?" in recipient or address.addr_spec != recipient:
        raise MailRefusedError("the address would become another one in a header")
    return address


def _transmit(smtp: smtplib.SMTP, message: EmailMessage, recipient: str) -> None:
    try:
        smtp.send_message(message, to_addrs=[recipient])
    except smtplib.SMTPRecipientsRefused as error:
        code, reason = next(iter(error.recipients.values()))
        raise _failure(code, reason) from error
    except smtplib.SMTPDataError as error:
        raise _failure(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise MailRefusedError("the SMTP server takes no such address (SMTPUTF8)") from error


def _settle(future: "asyncio.Future[None]", error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _with_ascii_domain(address: str) -> str:
    """By IDNA 2008, as addresses are registered: Python's codec is of 2003, and turns straße.de into strasse.de."""
    name, _, domain = address.rpartition("@")
    if not domain.isascii():
        with suppress(EmailNotValidError):
            return f"{name}@{validate_email(address, check_deliverability=False).ascii_domain}"
    return address


def _failure(code: int, reason: bytes | str) -> MailRefusedError | MailDelayedError:
    return (MailRefusedError if code >= 500 else MailDelayedError)(_reason(code, reason))


def _reason(code: int, reason: bytes | str) -> str:
    text = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
    return f"{code} {_one_line(text)}"[:MAX_REASON_CHARACTERS]
