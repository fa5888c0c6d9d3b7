"""Everything Pagewire refuses or cannot do; the first line of each docstring is what the user reads."""

from typing import ClassVar


class PagewireError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(self, detail: str | None = None, *, retry_after: int | None = None) -> None:
        """*detail* replaces the docstring's first line; *retry_after* is in seconds."""
        self.detail = detail or (type(self).__doc__ or "").splitlines()[0]
        self.retry_after = retry_after
        super().__init__(self.detail)


class StartupError(PagewireError):
    """The server cannot start."""


# Who is asking


class NotAuthenticatedError(PagewireError):
    """Not authenticated"""

    status = 401
    code = "not_authenticated"


class InvalidTokenError(PagewireError):
    """Invalid token"""

    status = 401
    code = "invalid_token"


class TokenExpiredError(PagewireError):
    """Token expired"""

    status = 401
    code = "token_expired"


class InvalidCredentialsError(PagewireError):
    """Invalid credentials"""

    status = 401
    code = "invalid_credentials"


class ForbiddenError(PagewireError):
    """You are not allowed to do that."""

    status = 403
    code = "forbidden"


class AdminRequiredError(PagewireError):
    """Admin access required"""

    status = 403
    code = "admin_required"


class CrossSiteError(ForbiddenError):
    """Only pages of this server itself may do that."""

    code = "cross_site"


class KeyNotAllowedError(ForbiddenError):
    """An API key may not do that; sign in."""

    code = "key_not_allowed"


class ReadOnlyKeyError(ForbiddenError):
    """This API key may only read."""

    code = "read_only_key"


class FirstAccountError(ForbiddenError):
    """The first account is made on the server's own machine, or with the code in the server's log (`setup_code`)."""

    code = "setup_code_required"


class RegistrationClosedError(PagewireError):
    """Registration is closed; ask an administrator for an account."""

    status = 403
    code = "registration_closed"


class EmailTakenError(PagewireError):
    """Email already registered"""

    status = 400
    code = "email_taken"


# Requests


class LinkExpiredError(PagewireError):
    """This link is not valid any more; ask for a new one."""

    status = 400
    code = "link_expired"


class BadRequestError(PagewireError):
    """The request could not be parsed."""

    status = 400
    code = "bad_request"


class NotFoundError(PagewireError):
    """Not Found"""

    status = 404
    code = "not_found"


class UserNotFoundError(NotFoundError):
    """User not found"""

    code = "user_not_found"


class SessionNotFoundError(NotFoundError):
    """Session not found"""

    code = "session_not_found"


class MessageNotFoundError(NotFoundError):
    """Message not found"""

    code = "message_not_found"


class DocumentNotFoundError(NotFoundError):
    """Document not found"""

    code = "document_not_found"


class DocumentFileMissingError(DocumentNotFoundError):
    """The file of this document is missing."""


class PageNotFoundError(NotFoundError):
    """The document has no such page."""

    code = "page_not_found"


class TableNotFoundError(NotFoundError):
    """The document has no such table."""

    code = "table_not_found"


class ConflictError(PagewireError):
    """The request conflicts with an earlier one."""

    status = 409
    code = "conflict"


class ClientIdReusedError(ConflictError):
    """This client_id was already used for something else."""

    code = "client_id_reused"


class LastAdminError(ConflictError):
    """This is the last admin; make somebody else one first."""

    code = "last_admin"


class DocumentNotReadyError(ConflictError):
    """The document is still being processed."""

    code = "document_not_ready"


class RequestedRangeError(PagewireError):
    """The file does not contain the requested range."""

    status = 416
    code = "range_not_satisfiable"


class UnstorableTextError(PagewireError):
    """The text contains characters that cannot be stored (NUL or lone surrogates)."""

    status = 422
    code = "unstorable_text"


class PayloadTooLargeError(PagewireError):
    """The request is larger than this server accepts."""

    status = 413
    code = "payload_too_large"


class CompressedBodyError(PagewireError):
    """Compressed request bodies are not supported; send the body without Content-Encoding."""

    status = 415
    code = "unsupported_media_type"


class MisdirectedError(PagewireError):
    """This server does not answer to the name in Host: set PUBLIC_URL, or add the name to ALLOWED_HOSTS."""

    status = 421
    code = "misdirected_request"


class UpgradeRequiredError(PagewireError):
    """This is a WebSocket: connect with `Upgrade: websocket`, as docs/protocol.md describes."""

    status = 426
    code = "upgrade_required"


class ClientGoneError(PagewireError):
    """The client hung up."""

    status = 499  # as nginx logs it; nobody is there to be answered
    code = "client_gone"


class RequestTimeoutError(PagewireError):
    """The rest of the request did not arrive in time."""

    status = 408
    code = "request_timeout"


# PDFs


class NotPdfError(PagewireError):
    """Only PDF files are allowed"""

    status = 400
    code = "not_pdf"


class BadPdfError(PagewireError):
    """Error processing PDF: the file is not a readable PDF."""

    status = 400
    code = "bad_pdf"


class PasswordRequiredError(PagewireError):
    """Error processing PDF: the file is protected by a password."""

    status = 400
    code = "password_required"


class ExtractionLimitError(PagewireError):
    """The PDF needs more time, memory or pages than this server allows."""

    status = 422
    code = "extraction_limit"


# Load and outages


class RateLimitedError(PagewireError):
    """Too many requests; slow down."""

    status = 429
    code = "rate_limited"


class BusyError(PagewireError):
    """The server is busy; try again in a moment."""

    status = 503
    code = "busy"


class DatabaseUnavailableError(PagewireError):
    """The database is unavailable; try again in a moment."""

    status = 503
    code = "database_error"


class SearchTimeoutError(PagewireError):
    """This search takes too long; use rarer words, or search one document."""

    status = 503
    code = "search_timeout"


class StorageFullError(PagewireError):
    """The server has no room left to store the file."""

    status = 507
    code = "storage_full"


class QuotaExceededError(PagewireError):
    """Your documents take all the room that you have; delete some to make room."""

    status = 507
    code = "quota_exceeded"


class StorageUnavailableError(PagewireError):
    """The server's file storage is unavailable; try again in a moment."""

    status = 503
    code = "storage_error"
