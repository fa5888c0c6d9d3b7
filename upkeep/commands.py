"""`python main.py move-files URL`, `backup FILE`, `restore FILE`."""

from pathlib import Path

from postgres.location import DatabaseLocation
from settings import Settings
from upkeep.backup import back_up
from upkeep.moving import move_files
from upkeep.restore import restore

COMMANDS = {"move-files": "URL", "backup": "FILE", "restore": "FILE"}


async def run_command(
    settings: Settings, location: DatabaseLocation, *, version: str, command: str, argument: str
) -> str:
    """Carry it out; return what was done.

    Raises:
        StartupError, PagewireError: why not; after the reason is mended, the same command goes on where it was.
    """
    if command == "move-files":
        return await move_files(settings, location, url=argument)
    if command == "backup":
        return await back_up(settings, location, version=version, file=Path(argument))
    return await restore(settings, location, file=Path(argument))
