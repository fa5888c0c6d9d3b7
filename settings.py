"""Every setting of an installation: one frozen object, read from the environment and `.env`."""

import re
from email.utils import parseaddr
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from limits import parse
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from errors import StartupError

MINIMUM_SECRET_KEY_BYTES = 32  # RFC 7518, section 3.2: an HS256 key is at least as long as its hash
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^\s/?#@*:\[\]]+|\[[0-9a-f:.]+\])(?::\d{1,5})?")  # RFC 6454, section 6.2
REDIS_URL = re.compile(r"rediss?://(?:[^@/\s]*@)?[^@/\s]+(?:/\d*)?(?:\?\S*)?\Z|unix://\S+\Z")
BROKER_URL = re.compile(r"(?:rediss?|amqps?)://\S+\Z")
HOST_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?")
SAMPLE_SECRET_KEYS = (
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's tutorial
    "your-secret-key",
    "your_secret_key",
    "change-me",
    "changeme",
    "change-this",
    "dev-secret-key",
    "super-secret",
    "supersecret",
    "secret-key",
    "secretkey",
)


RATES = (
    "login_rate_limit",
    "register_rate_limit",
    "reset_rate_limit",
    "message_rate_limit",
    "notification_rate_limit",
    "upload_rate_limit",
    "request_rate_limit",
)


BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
PREFIX = re.compile(r"(?:[A-Za-z0-9!_*'()-][A-Za-z0-9!_.*'()-]*(?:/(?!$)|$))*")


class S3Location(NamedTuple):
    """Where in an S3 store the files are; without *endpoint*, at AWS."""

    bucket: str
    prefix: str
    endpoint: str | None
    region: str | None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}" + (f" at {self.endpoint}" if self.endpoint else "")


def parse_storage_url(url: str, *, upload_dir: Path) -> S3Location | Path:
    """`s3://bucket/prefix?endpoint=http://host:9000&region=name`, `file:///folder`, or `file:` for *upload_dir*.

    Raises:
        ValueError: if it is something else.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and not (parts.netloc or parts.query or parts.fragment):
        return Path(unquote(parts.path)) if parts.path else upload_dir
    query = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(query)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    if parts.scheme != "s3" or not BUCKET.fullmatch(bucket) or not PREFIX.fullmatch(prefix) or parts.fragment:
        raise ValueError("write s3://bucket/prefix?endpoint=https://host, or file:///folder")
    if not set(options) <= {"endpoint", "region"} or len(options) < len(query):
        raise ValueError("after the ? there may be endpoint=https://host and region=name")
    endpoint = options.get("endpoint")
    if endpoint is not None and not re.fullmatch(r"https?://[^\s/?#@]+/?", endpoint):
        raise ValueError("write the endpoint as https://host or http://host:9000")
    return S3Location(bucket, prefix, endpoint and endpoint.rstrip("/"), options.get("region"))


def _rate(value: str) -> str:
    if value != "off" and parse(value).amount < 1:
        raise ValueError("must allow at least one")
    return value


class Settings(BaseSettings):
    """One installation's settings; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    # The server
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0 picks a free port
    data_dir: Path = Path("data")
    upload_dir: Path = Path("uploads")
    storage_url: str | None = None  # s3://bucket/prefix?endpoint=...; if unset, the files are in upload_dir
    storage_cache_mb: Annotated[int, Field(ge=16, le=1_000_000)] = 1024  # of files in S3, in data_dir/cache
    aws_access_key_id: str | None = None  # these as AWS names them; without a key, as the machine's own role
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    aws_region: str = "us-east-1"
    public_url: str | None = None  # as people reach this server; links in e-mails begin with it
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ("http://localhost:3000", "http://localhost:5173")
    allowed_hosts: Annotated[
        tuple[str, ...], NoDecode
    ] = ()  # names that it answers to, besides loopback's and addresses
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    connections_per_network: Annotated[int, Field(ge=1)] = 1000  # open at once; IPv6 by /64, trusted proxies excepted
    metrics_token: Annotated[SecretStr, Field(min_length=16)] | None = None  # for /metrics from other machines

    # The database: DATABASE_URL, else DB_*, else the embedded server
    database_url: SecretStr | None = None
    db_host: str | None = None
    db_port: Annotated[int, Field(ge=1, le=65535)] = 5432
    db_name: str = "pagewire"
    db_user: str | None = None
    db_password: SecretStr | None = None
    db_pool_size: Annotated[int, Field(ge=2, le=100)] = 8

    # More than one machine; without it nodes hear each other by the database
    redis_url: SecretStr | None = None  # redis://, rediss:// or unix://, as redis-py has them; Valkey works
    celery_broker_url: SecretStr | None = None  # redis:// or amqp://; workers extract documents and send e-mails

    # Accounts
    secret_key: SecretStr | None = None  # if unset, generated once and kept in data_dir
    access_token_expire_minutes: Annotated[int, Field(ge=1, le=525_600)] = 30
    session_days: Annotated[int, Field(ge=1, le=365)] = 30  # of a browser that is kept signed in; of a program, unused
    registration: Literal["open", "closed"] = "open"
    audit_days: Annotated[int, Field(ge=1, le=3650)] = 365  # how long it is kept who did what
    bcrypt_rounds: Annotated[int, Field(ge=4, le=16)] = 12
    login_rate_limit: str = "10/minute"  # per e-mail address; six times as many per IP
    register_rate_limit: str = "30/hour"  # per IP
    message_rate_limit: str = "30/10 second"  # per user
    request_rate_limit: str = "1000/10 second"  # per user, of any kind; in each process
    reset_rate_limit: str = "5/hour"  # per e-mail address; six times as many per IP
    notification_rate_limit: str = "60/hour"  # per user

    # PDFs
    max_upload_mb: Annotated[int, Field(ge=1, le=4096)] = 50
    upload_rate_limit: str = "1000/hour"  # per user
    user_quota_mb: Annotated[int, Field(ge=0, le=1_000_000_000)] = 10_000  # of all one user's documents; 0: no limit
    min_free_disk_mb: Annotated[int, Field(ge=0, le=1_000_000_000)] = 500  # below that no uploads are taken
    pdf_workers: Annotated[int, Field(ge=1, le=64)] = 2
    pdf_deadline_seconds: Annotated[int, Field(ge=1, le=3600)] = 60  # to extract one file
    pdf_cpu_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 60  # of processor time, to extract one file
    pdf_opening_seconds: Annotated[float, Field(ge=0.1, le=3600)] = 10  # of these, before it earns more by its pages
    pdf_memory_mb: Annotated[int, Field(ge=128, le=65536)] = 600
    pdf_max_pages: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000

    # E-mail; without SMTP_HOST nothing is sent, and the log says so
    smtp_host: str | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str = "pagewire@localhost"
    smtp_retry_seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0  # before the first retry; doubles each time

    @field_validator("public_url")
    @classmethod
    def _check_public_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in value:
            raise ValueError("write an address like https://pagewire.example.com")
        return value.rstrip("/")

    @field_validator("storage_url")
    @classmethod
    def _check_storage_url(cls, value: str | None) -> str | None:
        if value is not None:
            parse_storage_url(value, upload_dir=Path())
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or REDIS_URL.match(value.get_secret_value()):
            return value
        raise ValueError("write an address like redis://:password@host:6379/0")

    @field_validator("celery_broker_url")
    @classmethod
    def _check_broker_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or BROKER_URL.match(value.get_secret_value()):
            return value
        raise ValueError("write an address like redis://host:6379/1 or amqp://user:password@host:5672//")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(origin.strip().rstrip("/").lower() for origin in value.split(",") if origin.strip())
        return value

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(host.strip().lower() for host in value.split(",") if host.strip())
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            if not HOST_NAME.fullmatch(host):
                raise ValueError(f"name each host, like pagewire.example.com, without a port; {host[:100]!r} is none")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not ORIGIN.fullmatch(origin):  # "*" would let every page act as its visitor, and "null" any sandbox
                raise ValueError(f"name each origin, like https://app.example.com; {origin[:100]!r} is none")
        return value

    @field_validator(*RATES)
    @classmethod
    def _check_rate(cls, value: str) -> str:
        try:
            return _rate(value.strip().lower())
        except ValueError as error:
            raise ValueError('write a rate like "10/minute", or "off"') from error

    @field_validator("secret_key")
    @classmethod
    def _check_secret_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return value
        secret = value.get_secret_value()
        if len(secret.encode()) < MINIMUM_SECRET_KEY_BYTES:
            raise ValueError(f"shorter than {MINIMUM_SECRET_KEY_BYTES} bytes; leave it unset and one is generated")
        if any(sample in secret.lower() for sample in SAMPLE_SECRET_KEYS) or len(set(secret)) < 8:
            raise ValueError("a well-known sample; leave it unset and one is generated")
        return value

    @field_validator("smtp_from")
    @classmethod
    def _check_sender(cls, value: str) -> str:
        if not value.isprintable() or "@" not in parseaddr(value)[1]:
            raise ValueError("write an address, or Name <address>")  # a malformed sender would hold up every e-mail
        return value

    @model_validator(mode="after")
    def _check_smtp_login(self) -> Self:
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("set both SMTP_USER and SMTP_PASSWORD, or neither")
        return self

    @property
    def storage(self) -> S3Location | Path:
        """Where the files are: in an S3 store, or in a folder."""
        return parse_storage_url(self.storage_url or "file:", upload_dir=self.upload_dir)

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * 1024 * 1024

    @property
    def user_quota_bytes(self) -> int | None:
        return self.user_quota_mb * 1024 * 1024 or None


def readable_by_others(path: Path) -> Path | None:
    """*path*, absolute, if it is a file that other users may read."""
    try:
        return path.absolute() if path.stat().st_mode & 0o044 else None
    except OSError:
        return None


def load_settings() -> Settings:
    """Read the environment and `.env`; an invalid value raises a one-line StartupError that names the variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        variable = str(first["loc"][0]).upper() if first["loc"] else ""
        reason = first["msg"].removeprefix("Value error, ")
        raise StartupError(f"{variable}: {reason}" if variable else reason) from None
    except UnicodeDecodeError:
        raise StartupError(".env: not UTF-8 (PowerShell's > writes UTF-16); save it as UTF-8") from None


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
