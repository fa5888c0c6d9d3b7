"""Where the fonts are that pages use without bringing them along: on this system, and in a package."""

from importlib.util import find_spec
from pathlib import Path

_CHINESE_JAPANESE_KOREAN = "noto_cjk_sans_jp_regular"  # for systems that have no such font, as most servers


def _list_folders() -> tuple[str, ...]:
    spec = find_spec(_CHINESE_JAPANESE_KOREAN)
    packaged = [] if spec is None or spec.origin is None else [str(Path(spec.origin).parent)]
    return ("/usr/share/fonts", "/usr/share/X11/fonts", "/usr/local/share/fonts", *packaged)


FONT_FOLDERS = _list_folders()
