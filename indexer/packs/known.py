"""The packs of freely licensed music that `indexer.packs.fetch` fetches: where each lies, how much it is, its licence.

Licences are those of the music, as the package's ``copyright`` file gives them. Track counts and sizes are those of
Debian 12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class MusicFolder:
    """Where a package keeps its music: what matches `pattern` under `path`, inside the zip `archive` if named."""

    package: str
    path: str
    pattern: str = "**/*.ogg"
    archive: str = ""


@dataclass(frozen=True)
class Wheel:
    """A Python wheel, pinned: `requirement` is ``name==version``."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class Pack:
    """Music under one name; its folders' packages are Debian's unless a wheel is given. Sizes are approximate."""

    name: str
    description: str
    licence: str
    track_count: int
    download_mb: int
    folders: tuple[MusicFolder, ...]
    wheel: Wheel | None = None


# Weather, wind and jingles under half a minute that lie among the music, and the faster takes that a last lap is given.
NOT_MUSIC = re.compile(
    r"boss-\d|bonuscave|dynamictest-normal.*|forestmap|glory|intro_music|invincible|landing_sinister|launch\d.*|leveldone|"
    r"liftoff|lose_theme|lostrace-ks|options1-jt|race_summary|race_win_theme|raceintro-ks|thunder|voc-boss|voc-dark|"
    r"wind_ambient|wonrace1-jt|kufrik|rybky11|track(12|17|28)|"
    r"(celtic|cocoa_river|jumping_to_the_stars_remake|landing_in_gran_paradiso|ravenbridge_mansion|theGreatFair)_fast|farm_f"
)
WARZONE = MusicFolder("warzone2100-music", "usr/share/games/warzone2100/music", "**/*.opus")
UFOAI = MusicFolder("ufoai-music", "music", archive="usr/share/games/ufoai/base/0music.pk3")
NEXUIZ = MusicFolder("nexuiz-music", "sound/cdtracks", archive="usr/share/games/nexuiz/data/music.pk3")
SUPERTUX = MusicFolder("supertux-data", "usr/share/games/supertux2/music")
NAEV = MusicFolder("naev-data", "usr/share/naev/dat/snd/music")
PLANETBLUPI = MusicFolder("planetblupi-music-ogg", "usr/share/planetblupi/music")
WIZZNIC = MusicFolder("wizznic-data", "usr/share/games/wizznic/packs/000_wizznic/music")
BTANKS = MusicFolder("btanks-data", "usr/share/games/btanks/data/tunes")
HEDGEWARS = MusicFolder("hedgewars-data", "usr/share/games/hedgewars/Data/Music")
FLARE = MusicFolder("flare-game", "usr/share/games/flare/mods/fantasycore/music")
OPENCLONK = MusicFolder("openclonk-data", "usr/share/games/openclonk/Music.ocg")
ETR = MusicFolder("extremetuxracer-data", "usr/share/games/etr/music")
LINCITY = MusicFolder("lincity-ng-data", "usr/share/games/lincity-ng/music")
ASC = MusicFolder("asc-music", "usr/share/games/asc/music", "*.mp3")
ZAZ = MusicFolder("zaz-data", "usr/share/games/zaz", "mus*.ogg")
SUPERTUXKART = MusicFolder("supertuxkart-data", "usr/share/games/supertuxkart/data/music")
# Its menu.ogg is its ingame_14.ogg.
WIDELANDS = MusicFolder("widelands-data", "usr/share/games/widelands/data/music", "in*.ogg")
UNKNOWN_HORIZONS = MusicFolder("unknown-horizons", "usr/share/unknown-horizons/content/audio/music")
REDECLIPSE = MusicFolder("redeclipse-data", "usr/share/games/redeclipse/data/sounds/music")
MEGAGLEST = MusicFolder("megaglest-data", "usr/share/games/megaglest", "**/music/*.ogg")
ZERO_AD = MusicFolder("0ad-data", "audio/music", archive="usr/share/games/0ad/mods/public/public.zip")
# Beside each song.ogg lies its guitar alone, as guitar.ogg.
MULDJORD = MusicFolder("fretsonfire-songs-muldjord", "usr/share/games/fretsonfire/data/songs/muldjord", "*/song.ogg")
SECTOID = MusicFolder("fretsonfire-songs-sectoid", "usr/share/games/fretsonfire/data/songs/sectoid", "*/song.ogg")
# Nothing of ours was ever trained or chosen on these two.
FILLETS = MusicFolder("fillets-ng-data", "usr/share/games/fillets-ng/music")
DRASCULA = MusicFolder("drascula-music", "usr/share/scummvm/drascula/audio")
IMMICH = MusicFolder("immich-memories-music", "immich_memories_music/tracks", "**/*.opus")
IMMICH_WHEEL = Wheel("immich-memories-music==0.1.0", "1b702f617250ed8ffe3dc2bba4d2105f842b6d5da08e8ff9a10110f54b7bd06a")

_ALL_PACKS = (
    Pack("sampler", "Four small games by several artists", "GPL, CC-BY-SA-3.0", 23, 103, (WIZZNIC, ZAZ, BTANKS, ETR)),
    Pack("immich", "Generated pieces of 30 s in five moods", "MIT", 28, 16, (IMMICH,), IMMICH_WHEEL),
    Pack("warzone2100-music", "Strategy game, long tracks", "GPL-2+, CC-BY-SA-3.0", 30, 86, (WARZONE,)),
    Pack("ufoai-music", "Tactics game, many artists", "GPL-2+, CC-BY-3.0, CC-BY-SA-3.0", 63, 210, (UFOAI,)),
    Pack("nexuiz-music", "Arena shooter, electronic", "GPL-2+", 17, 84, (NEXUIZ,)),
    Pack("supertux-data", "Jump-and-run, six worlds", "GPL-2+", 45, 162, (SUPERTUX,)),
    Pack("naev-data", "Space trading, several artists", "GPL, CC-BY-3.0, CC-BY-SA-3.0", 50, 350, (NAEV,)),
    Pack("planetblupi-music-ogg", "Puzzle game, tracks of 10 to 30 min", "GPL-3+", 10, 60, (PLANETBLUPI,)),
    Pack("wizznic-data", "Puzzle game, one artist", "GPL-3", 8, 17, (WIZZNIC,)),
    Pack("btanks-data", "Toy tank battles", "GPL-2+ with an exception", 5, 26, (BTANKS,)),
    Pack("hedgewars-data", "Artillery game, a theme for every place", "GPL-2", 26, 145, (HEDGEWARS,)),
    Pack("flare-game", "Fantasy role-playing", "CC-BY-SA-3.0+", 11, 123, (FLARE,)),
    Pack("openclonk-data", "Mining and building, one artist", "ISC, CC-BY-3.0, CC0", 8, 112, (OPENCLONK,)),
    Pack("extremetuxracer-data", "Downhill racing", "GPL-2+", 6, 41, (ETR,)),
    Pack("lincity-ng-data", "City building", "GPL-2+", 3, 45, (LINCITY,)),
    Pack("asc-music", "Turn-based strategy, long tracks", "GPL-2+", 3, 10, (ASC,)),
    Pack("zaz-data", "Puzzle game, one artist", "CC-BY-SA-3.0", 4, 20, (ZAZ,)),
    Pack("supertuxkart-data", "Kart racing", "GPL-3+, CC-BY-SA-3.0, CC-BY-SA-4.0", 28, 628, (SUPERTUXKART,)),
    Pack("widelands-data", "Settlement building, several artists", "GPL-2+, CC-BY-SA-3.0", 30, 381, (WIDELANDS,)),
    Pack("unknown-horizons", "City building at sea, several artists", "CC-BY-SA-3.0", 15, 248, (UNKNOWN_HORIZONS,)),
    Pack("redeclipse-data", "Arena shooter, one artist", "CC-BY-SA-3.0", 12, 862, (REDECLIPSE,)),
    Pack("megaglest-data", "Strategy game, a theme for every people", "CC-BY-SA-3.0", 8, 242, (MEGAGLEST,)),
    Pack("0ad-data", "Strategy game in antiquity; takes 5 GB while unpacking", "CC-BY-SA-3.0", 61, 1378, (ZERO_AD,)),
    Pack("fretsonfire-songs-muldjord", "Metal without its lead guitar, one artist", "CC-BY-SA-3.0", 4, 29, (MULDJORD,)),
    Pack("fretsonfire-songs-sectoid", "Metal without its lead guitar, one artist", "MIT", 4, 29, (SECTOID,)),
    Pack("fillets-ng-data", "Puzzle game under water", "GPL-2", 13, 36, (FILLETS,)),
    Pack("drascula-music", "Adventure, orchestral", "free to share, the game not to be sold", 28, 37, (DRASCULA,)),
)
PACKS: dict[str, Pack] = {pack.name: pack for pack in _ALL_PACKS}
