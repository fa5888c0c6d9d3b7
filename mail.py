"""Send one message by SMTP."""

import smtplib
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import NamedTuple

from settings import Settings

TIMEOUT_SECONDS = 20.0


class MailRefusedError(Exception):
    """The server refused the message for good; sending it again is no use."""


class MailDelayedError(Exception):
    """The message could not be handed over now; it is worth another try."""


class Mail(NamedTuple):
    message_id: str  # the same at every attempt, so that a repeat is recognised
    to: str
    subject: str
    text: str


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

    def send(self, mail: Mail) -> None:
        """Hand *mail* over; blocks for up to some `TIMEOUT_SECONDS`.

        Raises:
            MailRefusedError, MailDelayedError
        """
        assert self._host is not None
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = Address(addr_spec=mail.to)  # one recipient, whatever the string holds
        message["Subject"] = mail.subject
        message["Message-ID"] = mail.message_id
        message["Date"] = formatdate(usegmt=True)
        message.set_content(mail.text)
        try:
            with self._connect(self._host) as smtp:
                if self._user is not None and self._password is not None:
                    smtp.login(self._user, self._password.get_secret_value())
                smtp.send_message(message, to_addrs=[mail.to])
        except smtplib.SMTPRecipientsRefused as error:
            code, reason = next(iter(error.recipients.values()))
            raise _failure(code, reason) from error
        except smtplib.SMTPAuthenticationError as error:
            raise MailDelayedError("the SMTP server refuses SMTP_USER and SMTP_PASSWORD") from error
        except smtplib.SMTPResponseException as error:
            raise _failure(error.smtp_code, error.smtp_error) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MailDelayedError(f"{type(error).__name__}: {error}") from error

    def _connect(self, host: str) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self._security == "tls":
            return smtplib.SMTP_SSL(host, self._port, timeout=TIMEOUT_SECONDS, context=context)
        smtp = smtplib.SMTP(host, self._port, timeout=TIMEOUT_SECONDS)
        if self._security == "starttls":
            try:
                smtp.starttls(context=context)
            except BaseException:
                smtp.close()
                raise
        return smtp


def _failure(code: int, reason: bytes | str) -> MailRefusedError | MailDelayedError:
    text = f"{code} {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
    return MailRefusedError(text) if code >= 500 else MailDelayedError(text)
