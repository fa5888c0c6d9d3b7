"""Which kind of storage a setting names."""

from pathlib import Path

from documents.folder import FolderStorage
from documents.storage import Storage
from settings import S3Location, Settings


def make_storage(location: S3Location | Path, settings: Settings, *, mark: str) -> Storage:
    """The storage at *location*, to be opened."""
    if isinstance(location, Path):
        return FolderStorage(location, mark=mark, variable="STORAGE_URL" if settings.storage_url else "UPLOAD_DIR")
    from documents.s3 import S3Storage  # here: without one, a start needs no obstore

    return S3Storage(location, settings, mark=mark)
