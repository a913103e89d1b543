"""Every setting, read once from the environment; nothing else reads it."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from encoders import registry
from encoders.media.decoded import MediaLimits
from retrieval.index.ann.stopping import RECALL_TARGET

_LEAST_RECALL, _MOST_RECALL = 0.8, 0.999
_MOST_THREADS, _MOST_BYTES = 256, 2**40


class SettingsError(Exception):
    """A setting that cannot be used; names the variable and what would be accepted."""


@dataclass(frozen=True)
class Settings:
    """Where things lie, and the limits on what comes in.

    Attributes
    ----------
    home : the catalogue's folder: embedded database, index, packs, uploads
    weights_dir : the encoders' weights
    database_url : a PostgreSQL of your own; none for the embedded one
    space : the space that is indexed unless another is named; the newest default, unless it was set
    defaults : the default spaces, newest first; they mean nothing where `space` is another
    encoders : encoders of your own, name of the space → ``module:attribute``
    index_recall : recall@10 that a large index is tuned to when it is built
    decode_threads : threads that decode ahead of the encoder
    max_upload_bytes : the largest request body
    """

    home: Path
    weights_dir: Path
    database_url: str | None = None
    space: str = registry.DEFAULTS[0]
    defaults: tuple[str, ...] = registry.DEFAULTS
    encoders: Mapping[str, str] = field(default_factory=dict)
    index_recall: float = RECALL_TARGET
    decode_threads: int = 2
    max_upload_bytes: int = 200 * 2**20
    media_limits: MediaLimits = field(default_factory=MediaLimits)

    @property
    def succession(self) -> tuple[str, ...]:
        """The spaces that stand in for each other where none is named, newest first; one where it was set."""
        return self.defaults if self.space == self.defaults[0] else (self.space,)

    @property
    def index_root(self) -> Path:
        """Snapshots of every space."""
        return self.home / "index"

    @property
    def postgres_dir(self) -> Path:
        """Data of the embedded server."""
        return self.home / "postgres"

    @property
    def packs_dir(self) -> Path:
        """Fetched music packs."""
        return self.home / "packs"

    @property
    def uploads_dir(self) -> Path:
        """Audio that came in by HTTP."""
        return self.home / "uploads"


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    SettingsError
        If a number is not one or out of range, or an encoder is not given as ``name=module:attribute``.
    """
    user_home = Path(environment.get("HOME", "/"))
    data_home = Path(environment.get("XDG_DATA_HOME") or user_home / ".local/share")
    cache_home = Path(environment.get("XDG_CACHE_HOME") or user_home / ".cache")
    # The embedded server, started by root, runs as a user of its own, who must not need root's private home.
    default_home = Path("/var/lib") if os.geteuid() == 0 else data_home
    limits = MediaLimits()
    space = environment.get("SOUNDALIKE_SPACE")
    defaults = (space,) if space else registry.DEFAULTS
    return Settings(
        home=_folder(environment, "SOUNDALIKE_HOME", default_home / "soundalike"),
        weights_dir=_cache(environment, cache_home / "soundalike") / "weights",
        database_url=environment.get("DATABASE_URL") or None,
        space=defaults[0],
        defaults=defaults,
        encoders=_named(environment, "SOUNDALIKE_ENCODERS"),
        index_recall=_recall(environment, "SOUNDALIKE_INDEX_RECALL"),
        decode_threads=_whole(environment, "SOUNDALIKE_DECODE_THREADS", Settings.decode_threads, _MOST_THREADS),
        max_upload_bytes=_whole(environment, "SOUNDALIKE_MAX_UPLOAD_BYTES", Settings.max_upload_bytes, _MOST_BYTES),
        media_limits=MediaLimits(
            max_duration_s=_positive(environment, "SOUNDALIKE_MAX_DURATION_S", limits.max_duration_s),
        ),
    )


def _named(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """Read ``name=module:attribute`` pairs, separated by commas."""
    pairs = [pair.partition("=")[::2] for pair in environment.get(name, "").split(",") if pair.strip()]
    named = {space.strip(): where.strip() for space, where in pairs}
    if not all(space and all(where.partition(":")[::2]) for space, where in named.items()):
        raise SettingsError(f"{name} is {environment[name]!r}; accepted: name=module:attribute, separated by commas")
    return named


def _folder(environment: Mapping[str, str], name: str, default: Path) -> Path:
    """A folder's absolute path; ``~`` is one's home also where no shell has seen it."""
    raw = environment.get(name)
    if not raw:
        return default.absolute()
    try:
        return Path(raw).expanduser().absolute()
    except RuntimeError:
        raise SettingsError(f"{name} is {raw!r}; accepted: a folder, and nobody here is called so") from None


def _cache(environment: Mapping[str, str], default: Path) -> Path:
    cache = _folder(environment, "SOUNDALIKE_CACHE", default)
    there = next(path for path in (cache, *cache.parents) if os.path.exists(path))
    if not there.is_dir():
        raise SettingsError(f"SOUNDALIKE_CACHE: {there} is no folder; accepted: a folder, or where one can be made")
    return cache


def _whole(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    def suits(value: float) -> bool:
        return value % 1 == 0 and 1 <= value <= most

    return int(_number(environment, name, default, suits, f"a whole number from 1 to {most}"))


def _positive(environment: Mapping[str, str], name: str, default: float) -> float:
    return _number(environment, name, default, lambda value: value > 0, "a number above zero")


def _recall(environment: Mapping[str, str], name: str) -> float:
    accepted = f"a number from {_LEAST_RECALL} to {_MOST_RECALL}"
    return _number(environment, name, RECALL_TARGET, lambda value: _LEAST_RECALL <= value <= _MOST_RECALL, accepted)


def _number(
    environment: Mapping[str, str], name: str, default: float, suits: Callable[[float], bool], accepted: str
) -> float:
    raw = environment.get(name)
    try:
        value = float(raw) if raw else default
    except ValueError:
        value = math.nan
    if not suits(value):
        raise SettingsError(f"{name} is {raw!r}; accepted: {accepted}")
    return value
