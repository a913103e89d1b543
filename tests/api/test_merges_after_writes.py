"""A server merges what it has written, in the background; what it only reads it leaves as it is."""

from pathlib import Path

import pytest

from api.http.app import create_app
from api.wiring import Soundalike
from encoders.encoder import Encoder
from retrieval.index import merging
from retrieval.index.snapshots import current_name
from tests.index.test_space_index import merged


def test_a_delete_is_merged_and_a_query_merges_nothing(
    soundalike: Soundalike, music: Path, bands: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "MERGE_AFTER_SHARE", 0.01)
    soundalike.index_folder(music, [bands])
    index, client = soundalike.search.space("bands"), create_app(soundalike).test_client()
    before = index.view().version
    monkeypatch.setattr(merging, "MERGE_AFTER_ROWS", 0)
    assert (
        client.post("/v1/query", json={"query": {"track": "music/low/tone00.wav"}, "space": "bands"}).status_code == 200
    )
    merged()
    assert index.view().version == before
    assert client.delete("/v1/tracks/music/low/tone00.wav").status_code == 204
    merged()
    after = index.view()
    assert (after.count, after.changed) == (11, 0)
    assert current_name(index.directory) != before.partition("+")[0]
