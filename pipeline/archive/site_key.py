"""The site's key: volume ids are keyed hashes of series, so that nobody without it can tell whose they are.

The key is 32 bytes or more in a file that only its owner reads, or a text in the environment. Where neither is named,
a key is made once and kept with the user's settings, as ssh and Ray do with theirs. It never leaves the driver.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from pipeline.errors import RefusedInputError

KEY_VARIABLE = "LIVER_ID_KEY"
"""Environment variable that may hold the key."""
NO_KEY = "none"
"""Setting for public data: ids are plain hashes, which anyone who knows a series can compute."""
_MINIMUM_BYTES = 16
_OTHERS = 0o077
"""Permissions of anyone but the owner."""
_ID_DIGITS = 20
_PART_DIGITS = 6


class SiteKey:
    """Makes ids. The key itself is not shown.

    Args:
        key: The secret; empty for plain hashes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def volume_id(self, series: str, part: str = "") -> str:
        """Return the id of a series, or of one of its parts: `ct-` and 80 bits, for a part 24 more.

        Args:
            series: Hash of its UID.
            part: What tells it from the others of its series.
        """
        whole = "ct-" + self._digest(f"volume {series}")
        return f"{whole}-{self._digest(f'part {series} {part}')[:_PART_DIGITS]}" if part else whole

    @property
    def fingerprint(self) -> str:
        """What tells two keys apart without giving either away."""
        return self._digest("fingerprint")

    def _digest(self, text: str) -> str:
        """Return the keyed hash of a text."""
        data = text.encode("utf-8", "surrogateescape")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:_ID_DIGITS]


def series_id(volume_id: str) -> str:
    """Return the id of the series that a volume is, or is a part of.

    Example:
        >>> series_id("ct-0123-45"), series_id("ct-0123")
        ('ct-0123', 'ct-0123')
    """
    return "-".join(volume_id.split("-")[:2])


def load_site_key(setting: str) -> SiteKey:
    """Return the key that a setting names.

    Args:
        setting: Path of a key file; `none`; empty for the environment's, else for the user's own key file, which is
            made if it is not there.

    Raises:
        RefusedInputError: If the file cannot be read or made, others may read or write it, or the key is too short.
    """
    if setting == NO_KEY:
        return SiteKey(b"")
    if not setting and os.environ.get(KEY_VARIABLE):
        return _checked(os.environ[KEY_VARIABLE].encode(), f"the environment's {KEY_VARIABLE}")
    path = Path(setting).expanduser() if setting else default_key_file()
    try:
        if not setting and not path.exists():
            _make(path)
        _require_private(path)
        return _checked(path.read_bytes().strip(), f"source.id_key {str(path)!r}")
    except OSError as error:
        raise RefusedInputError(f"source.id_key: {str(path)!r} cannot be read or made: {error.strerror}") from error


def default_key_file() -> Path:
    """Return where the user's own key lies."""
    settings = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(settings) / "liver-label-refinement" / "id_key"


def _checked(key: bytes, name: str) -> SiteKey:
    """Return a key that is long enough."""
    if len(key) < _MINIMUM_BYTES:
        raise RefusedInputError(f"{name}: a key of {len(key)} bytes, expected at least {_MINIMUM_BYTES}")
    return SiteKey(key)


def _require_private(path: Path) -> None:
    """Check that only its owner may read or write a key file."""
    mode = path.stat().st_mode & 0o777
    if mode & _OTHERS:
        advice = f"expected 0600; make it so, or give the key as {KEY_VARIABLE}"
        raise RefusedInputError(f"source.id_key: {str(path)!r} has mode {mode:04o}, {advice}")


def _make(path: Path) -> None:
    """Make a key file that only its owner reads, whole from the start; if two processes do, the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
