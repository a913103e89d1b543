"""The public package, as a program uses it that has read nothing but README."""

import re
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import soundalike
from tests.conftest import Run, loaded

ROOT = Path(__file__).parents[3]
KEY = "music/low/tone03.wav"


@pytest.fixture
def opened(
    run: Run, indexed_tones: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> soundalike.Catalogue:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return soundalike.open()


def test_it_answers_as_the_command_does(opened: soundalike.Catalogue, run: Run, music: Path) -> None:
    with opened as catalogue:
        assert len(catalogue) == 12
        answer = catalogue.similar(KEY, limit=3)
        keys = [result.track.key for result in answer.results]
        by_file = catalogue.similar(music / "low" / "tone03.wav", limit=3)
        by_body = catalogue.query({"query": {"track": KEY}, "limit": 3})
        by_query = catalogue.query(soundalike.Query([soundalike.Seed(KEY)], limit=3))
        assert [[one.track.key for one in other.results] for other in (by_file, by_body, by_query)] == [keys] * 3
        told = loaded(run("similar", KEY, "--no-fold-duplicates", "-n", "3", "--json"))
        assert [result["track"] for result in told["results"]] == keys
        assert catalogue.track(KEY) == catalogue.track(music / "low" / ".." / "low" / "tone03.wav")


def test_files_playlists_paths_and_filters(opened: soundalike.Catalogue, music: Path, tmp_path: Path) -> None:
    with opened as catalogue:
        outside = tmp_path / "outside.wav"
        (music / "low" / "tone03.wav").rename(outside)
        found = catalogue.similar(outside, unlike=["music/high/tone11.wav"], limit=1)
        assert found.results[0].track.key in {"music/low/tone02.wav", "music/low/tone03.wav", "music/low/tone04.wav"}
        short = {"must": [{"key": "duration_s", "range": {"lt": 3.35}}]}
        assert [track.key for track in catalogue.tracks(short)] == [f"music/low/tone0{n}.wav" for n in range(4)]
        filtered = catalogue.similar("music/high/tone11.wav", filter=soundalike.filter(short))
        assert filtered.stats.matching == 4
        on = catalogue.continued(["music/low/tone00.wav", "music/low/tone01.wav"], limit=12)
        assert len(on.results) == 10
        assert not {"music/low/tone00.wav", "music/low/tone01.wav"} & {result.track.key for result in on.results}
        way = catalogue.path("music/low/tone00.wav", "music/high/tone11.wav", steps=4)
        assert [way.tracks[0].key, way.tracks[-1].key] == ["music/low/tone00.wav", "music/high/tone11.wav"]


def test_settings_are_given_or_of_the_environment(
    environment: dict[str, str], tmp_path: Path, music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(soundalike.DatabaseUnavailableError):
        soundalike.open()
    cache = Path(environment["SOUNDALIKE_CACHE"])
    with soundalike.open(
        tmp_path / "its home", database_url=environment["DATABASE_URL"], cache=cache, space="musicnn"
    ) as catalogue:
        assert catalogue.parts.settings.home == tmp_path / "its home"
        report = catalogue.index(music / "low")
        assert report.counts["indexed"] == 6
        assert catalogue.failures(report) == []
        (music / "high" / "broken.mp3").write_bytes(b"ID3" + bytes(range(256)) * 40)
        report = catalogue.index(music / "high")
        assert [(Path(one.uri).name, one.stage) for one in catalogue.failures(report)] == [("broken.mp3", "decode")]
        assert catalogue.failures(report) == catalogue.failures()
        assert catalogue.failures()[0].reason
        assert catalogue.index(music / "low").counts["unchanged"] == 6
        assert catalogue.similar("low/tone00.wav", limit=1).space == "musicnn"


def test_errors_say_what_is_wrong(opened: soundalike.Catalogue) -> None:
    with opened as catalogue:
        for wrong, error, says in (
            (lambda: catalogue.similar("nothing"), soundalike.UnknownTrackError, "no track with key 'nothing'"),
            (lambda: catalogue.similar(KEY, limit=0), soundalike.QueryError, "limit"),
            (lambda: catalogue.similar(KEY, filter={"mist": []}), soundalike.FilterError, "mist"),
            (lambda: catalogue.similar(KEY, space="none"), soundalike.IndexMissingError, "'none'"),
            (lambda: catalogue.similar(ROOT / "README.md"), soundalike.MediaError, "README.md"),
            (lambda: catalogue.query({"query": {"track": KEY}, "limt": 3}), soundalike.DocumentError, "limt"),
            (lambda: catalogue.index(ROOT / "no such folder"), soundalike.IndexerError, "no such folder"),
            (lambda: catalogue.similar(KEY, limit="5"), soundalike.QueryError, "limit: is '5'; accepted: a whole"),
            (lambda: catalogue.similar(KEY, limit=2.5), soundalike.QueryError, "limit: is 2.5"),
            (lambda: catalogue.similar(KEY, exclude=KEY), soundalike.QueryError, "exclude: is .*accepted: a list"),
            (lambda: catalogue.similar(KEY, unlike=KEY), soundalike.QueryError, "unlike: is .*accepted: a list"),
            (lambda: catalogue.similar(KEY, granularity="song"), soundalike.QueryError, "accepted: track, segment"),
            (lambda: catalogue.similar(KEY, diversity={"mmr": 1}), soundalike.QueryError, "accepted: Diversity"),
            (lambda: catalogue.similar(None), soundalike.QueryError, "example: is None"),  # type: ignore[arg-type]
            (lambda: catalogue.similar(""), soundalike.QueryError, "example: is ''"),
            (lambda: catalogue.track(" "), soundalike.QueryError, "name: is ' '; accepted: a key, or a file"),
            (lambda: catalogue.index(""), soundalike.QueryError, "path: is ''; accepted: a folder, or a file"),
            (lambda: catalogue.index(None), soundalike.QueryError, "path: is None"),  # type: ignore[arg-type]
            (
                lambda: catalogue.index(ROOT, spaces="ear"),
                soundalike.QueryError,
                "spaces: is .ear.; accepted: a list",
            ),
            (lambda: catalogue.similar(), soundalike.QueryError, "examples: is empty; accepted: keys or files"),
            (lambda: catalogue.continued([]), soundalike.QueryError, "playlist: is empty; accepted: keys or files"),
            (lambda: catalogue.continued(5), soundalike.QueryError, "playlist: is 5; accepted: a list"),  # type: ignore[arg-type]
            (
                lambda: catalogue.continued([KEY], half_life="x"),  # type: ignore[arg-type]
                soundalike.QueryError,
                "half_life: is 'x'; accepted: a number",
            ),
            (
                lambda: catalogue.path(KEY, KEY, steps="5"),  # type: ignore[arg-type]
                soundalike.QueryError,
                "steps: is '5'; accepted: a whole number",
            ),
            (lambda: catalogue.path(KEY, KEY, steps=1), soundalike.QueryError, "steps: is 1; accepted: 2 to"),
            (lambda: catalogue.tracks(limit="5"), soundalike.QueryError, "limit: is '5'"),  # type: ignore[arg-type]
            (lambda: catalogue.tracks(limit=-1), soundalike.QueryError, "limit: is -1; accepted: 1 or more"),
            (lambda: catalogue.tracks(after_id=2.5), soundalike.QueryError, "after_id: is 2.5"),  # type: ignore[arg-type]
            (lambda: catalogue.similar(KEY, exclude=5), soundalike.QueryError, "exclude: is 5; accepted: a list"),
            (
                lambda: catalogue.query(soundalike.Query([soundalike.Seed(KEY, weight="2")])),  # type: ignore[arg-type]
                soundalike.QueryError,
                r"positive\[0\]\.weight: is '2'; accepted: a number",
            ),
            (
                lambda: catalogue.query(soundalike.Query([soundalike.Seed(KEY, "1", "2")])),  # type: ignore[arg-type]
                soundalike.QueryError,
                r"positive\[0\]\.start_s: is '1'; accepted: a number",
            ),
            (lambda: catalogue.continued(KEY), soundalike.QueryError, "playlist: is .*accepted: a list"),
            (lambda: catalogue.query(soundalike.Query([KEY])), soundalike.QueryError, "accepted: a list of Seed"),
            (lambda: catalogue.tracks("rock"), soundalike.FilterError, "accepted: must"),
            (lambda: soundalike.open("postgresql://u@h/x"), soundalike.SettingsError, "an address is database_url"),
            (lambda: soundalike.open(""), soundalike.SettingsError, "accepted: a folder"),
            (
                lambda: soundalike.open(database_url="postgresql://u@h:port/x"),
                soundalike.DatabaseUnavailableError,
                "is not an address",
            ),
        ):
            with pytest.raises(error, match=says) as raised:
                wrong()
            assert isinstance(raised.value, soundalike.Error)
    with pytest.raises(soundalike.RetrievalError, match="is closed"):
        catalogue.similar(KEY)


def test_threads_open_what_they_like(tmp_path: Path, weights_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def counted(number: int) -> int:
        with soundalike.open(tmp_path / f"home{number % 2}", cache=weights_dir.parent) as catalogue:
            return len(catalogue)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(counted, range(4))) == [0, 0, 0, 0]


def test_the_import_waits_for_nothing() -> None:
    listed = "import soundalike, sys; print([one for one in ('torch', 'sqlalchemy', 'faiss') if one in sys.modules])"
    assert subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True).stdout == "[]\n"


def python_in(page: Path) -> list[str]:
    """The indented blocks of a page that begin with an import of the package."""
    blocks = re.findall(r"(?:^(?: {4}.*)?\n)+", page.read_text(encoding="utf-8"), re.MULTILINE)
    stripped = [textwrap.dedent(block).strip() for block in blocks]
    return [block for block in stripped if block.startswith("import soundalike\n")]


def test_the_examples_run(environment: dict[str, str], music: Path, tmp_path: Path) -> None:
    (of_readme,) = python_in(ROOT / "README.md")
    first, second = python_in(ROOT / "docs" / "python.md")
    assert first == of_readme
    assert len(first.splitlines()) == 5
    folder = tmp_path / "Music" / "Artist"
    folder.mkdir(parents=True)
    for path, name in zip(sorted(music.rglob("*.wav")), ("Song.mp3", "1", "2", "3", "4"), strict=False):
        path.rename(folder / name)
    for path, name in zip(sorted(music.rglob("*.wav")), ("A.mp3", "B.mp3", "C.mp3"), strict=False):
        path.rename(tmp_path / name)
    home = environment | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def run(code: str) -> str:
        done = subprocess.run([sys.executable, "-c", code], env=home, cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), code
        return done.stdout

    assert len(run(first).splitlines()) == 4
    run("import soundalike\nwith soundalike.open() as m:\n for n in 'ABC': m.index(f'~/{n}.mp3', key_prefix='')")
    said = run(second.replace('"B.mp3", 30, 45', '"B.mp3", 0, 2')).splitlines()
    assert said[0].startswith("5 [")
    assert "no track with key 'nowhere.mp3'" in said[-1]
