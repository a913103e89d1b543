"""A catalogue and its indexes that an earlier version made open here, and answer as they did there."""

import gzip
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from api.http.app import create_app
from api.networks import LoadedEncoders
from api.settings import Settings
from api.wiring import Soundalike, open_soundalike
from encoders.checkpoints.files import save_weights
from encoders.media.decode import decode
from encoders.media.segments import pool, segment
from encoders.registry import encoder_spec
from retrieval.errors import IndexMismatchError, IndexMissingError
from retrieval.index.snapshots import open_snapshot
from retrieval.index.view import LocalView
from retrieval.search.query import Query, similar
from tests.api.conftest import whole_is_its_parts
from tests.conftest import tone

KEPT = Path(__file__).parents[1] / "fixtures" / "before_rooms"
GOLDEN: dict[str, Any] = json.loads(gzip.decompress((KEPT / "answers.json.gz").read_bytes()))


@pytest.fixture
def before(empty_database_url: str, tmp_path: Path, weights_dir: Path) -> Iterator[Soundalike]:
    dump = gzip.decompress((KEPT / "catalogue.sql.gz").read_bytes()).decode()
    statements = "\n".join(line for line in dump.splitlines() if not line.startswith(("\\", "--")))
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(statements)
    with engine.begin() as connection:  # what the dump set for its session has gone with it
        assert connection.execute(text("SELECT version_num FROM public.alembic_version")).scalar() == "0003"
    engine.dispose()
    with tarfile.open(KEPT / "index.tar.xz") as index:
        index.extractall(tmp_path / "home", filter="data")
    settings = Settings(home=tmp_path / "home", weights_dir=weights_dir, database_url=empty_database_url)
    with open_soundalike(settings, create=True) as soundalike:
        yield soundalike


@pytest.fixture
def client(before: Soundalike) -> FlaskClient:
    client: FlaskClient = create_app(before).test_client()
    return client


def test_queries_are_answered_as_before(client: FlaskClient) -> None:
    for golden in GOLDEN["queries"]:
        answer = client.post("/v1/query", json=golden["body"])
        assert answer.status_code == 200, (golden["body"], answer.json)
        shown = {name: value for name, value in (answer.json or {}).items() if name != "timing_ms"}
        reason = shown["stats"]["reason"]  # which counts the examples in since
        shown["stats"]["reason"] = reason and re.sub(r" beside the (example|\d+ examples)", "", reason)
        assert as_shown_then(shown) == rounded(renamed(as_counted_now(golden["answer"]))), golden["body"]


def test_who_says_clmr_means_timbre(client: FlaskClient, before: Soundalike) -> None:
    index_root = before.settings.index_root
    assert {path.name for path in index_root.iterdir() if path.is_dir()} == {"soundalike", "timbre"}
    key = "music/A/01.wav"
    called = [
        (
            client.post("/v1/query", json={"query": {"track": key}, "space": space}).json,
            client.get(f"/v1/tracks/{key}/similar", query_string={"space": space}).json,
            client.get(f"/v1/tracks/{key}/embedding", query_string={"space": space}).json,
        )
        for space in ("clmr", "timbre")
    ]
    for old, new in zip(*called, strict=True):
        assert old is not None
        assert new is not None
        assert old["space"] == new["space"] == "timbre"
        assert old.keys() == new.keys()
        assert all(old[name] == new[name] for name in old if name != "timing_ms")
    with open_soundalike(replace(before.settings, space="clmr")) as meant:
        assert meant.search.answer(similar(key)).space == "timbre"
        version = before.catalog.encoder_version("timbre")
        assert meant.encoder(meant.settings.space, version).version == version
        ready = create_app(meant).test_client().get("/readyz").json
        assert ready is not None
        assert ready["space"] == "timbre"
    own = replace(before.settings, encoders={"clmr": "tests.conftest:BANDS"})
    with open_soundalike(own) as theirs, pytest.raises(IndexMissingError, match="space 'clmr' holds no track"):
        theirs.search.space("clmr")


def test_audio_is_heard_as_the_catalogue_was(
    client: FlaskClient, before: Soundalike, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    """Not at one loudness, as today: two vectors would not be comparable."""
    heard = 0.05 * tone(330.0, 10.0, sample_rate=22_050)
    clip = write_wav(tmp_path / "quiet.wav", heard, sample_rate=22_050)
    with clip.open("rb") as file:
        answer = client.post("/v1/query/audio", data={"file": file, "body": '{"limit": 3}'})
    assert answer.status_code == 200, answer.json
    assert answer.json is not None
    assert list(answer.json["timing_ms"]) == ["decode", "encode", "resolve", "filter", "search", "rank", "total"]
    assert answer.json["timing_ms"]["encode"] > answer.json["timing_ms"]["filter"]
    whole_is_its_parts(answer.json["timing_ms"])
    version = before.catalog.encoder_version("soundalike")
    assert answer.json["model_version"] == version
    encoder = before.encoder("soundalike")
    assert encoder.version != version
    waveform = decode(clip, sample_rates=[22_050]).waveforms[22_050]
    windows = segment(waveform, sample_rate=22_050, window_length=encoder.spec.window_length).windows
    seed = before.seed_of(clip)
    assert seed.vector is not None
    np.testing.assert_array_equal(seed.vector, pool(encoder.encode(windows).embeddings))
    assert seed.vector @ pool(encoder.encode(encoder.segment(waveform).windows).embeddings) < 0.999


def test_audio_of_other_weights_is_refused(before: Soundalike, tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    spec = encoder_spec("timbre")
    save_weights(spec.weights_in(tmp_path), spec.build().state_dict(), {})
    other = replace(before, encoder=LoadedEncoders(tmp_path, {}))
    clip = write_wav(tmp_path / "clip.wav", tone(330.0, 10.0))
    seed = other.seed_of(clip, "timbre")
    refused = r"encoded by timbre-\w{12}-l15, the index holds timbre-\w{12}: index the catalogue again"
    with pytest.raises(IndexMismatchError, match=refused):
        before.search.answer(Query([seed], space="timbre"))


def test_listings_tracks_and_tags_are_as_before(client: FlaskClient) -> None:
    for golden in GOLDEN["listings"]:
        page = client.get("/v1/tracks", query_string={"filter": json.dumps(golden["filter"])})
        assert page.json is not None
        assert [track["track"] for track in page.json["tracks"]] == golden["tracks"], golden["filter"]
    page = client.get("/v1/tracks")
    assert page.json is not None
    assert as_shown_then(page.json["tracks"]) == GOLDEN["tracks"]
    for track, tags in GOLDEN["tags"].items():
        answer = client.get(f"/v1/tracks/{track}/tags")
        assert answer.json == {"track": track, "tags": tags}


def test_an_index_of_inverted_lists_finds_what_it_found(tmp_path: Path) -> None:
    with tarfile.open(KEPT / "ann.tar.xz") as index:
        index.extractall(tmp_path, filter="data")
    snapshot = open_snapshot(tmp_path / "large" / "ann" / "track", space="ann")
    view = LocalView("ann-1", 8, 1, snapshot)
    with np.load(BytesIO((KEPT / "ann_answers.npz").read_bytes())) as golden:
        queries = golden["queries"]
        found, exact = view.search(queries, 20), view.search(queries, 20, exact=True)
        filtered = view.search(queries, 20, selection=view.select(np.arange(3, 20_400, 7)))
        assert found.path == "ivf"
        for name, answer in (("", found), ("filtered_", filtered), ("exact_", exact)):
            assert np.array_equal(answer.track_ids, golden[f"{name}ids"])
            assert np.allclose(answer.cosines, golden[f"{name}cosines"], atol=1e-6)


def renamed(value: Any) -> Any:
    """What was called clmr then is timbre now."""
    if isinstance(value, dict):
        return {name: renamed(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner) for inner in value]
    return re.sub(r"^clmr(?=$|-[0-9a-f]{12}$)", "timbre", value) if isinstance(value, str) else value


VOICES = {"vocal_ratio", "speech_ratio", "languages", "shared_languages", "vocal_delta"}
MUSIC = {"tempo", "meter", "key", "mode", "key_relation", "section"}
FILES = {"partial", "notes", "missing_since", "artists", "genres"}
STATS = {"earlier", "remaining", "unknown"}


def as_shown_then(value: Any) -> Any:
    """What was said then: what PostgreSQL held of voices, tempi, keys, sections and files was not shown yet."""
    if isinstance(value, dict):
        return {
            name: as_shown_then(inner) for name, inner in value.items() if name not in VOICES | MUSIC | FILES | STATS
        }
    return [as_shown_then(inner) for inner in value] if isinstance(value, list) else value


def as_counted_now(answer: dict[str, Any]) -> dict[str, Any]:
    """What is excluded counts among what matches, so that the numbers add up; one track is no longer "1 tracks"."""
    stats = answer["stats"]
    reason = stats["reason"] and stats["reason"].replace("only 1 tracks match", "only 1 track matches")
    matching = stats["matching"] + stats["dropped"].get("exclude", 0)
    return answer | {"stats": stats | {"matching": matching, "reason": reason}}


def rounded(value: Any) -> Any:
    """Numbers to six digits: another machine's sums may differ in the seventh."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return pytest.approx(value, abs=2e-6) if isinstance(value, float) else value
