"""What the environment says, and what it cannot say."""

from pathlib import Path
from typing import Any

import pytest

from api.settings import SettingsError, read_settings


def test_settings_name_the_variable() -> None:
    for wrong in ("many", "0", "-1", "1.5", "100000", "nan", "inf"):
        with pytest.raises(
            SettingsError, match=f"SOUNDALIKE_DECODE_THREADS is '{wrong}'; accepted: a whole number from"
        ):
            read_settings({"SOUNDALIKE_DECODE_THREADS": wrong})
    assert read_settings({"SOUNDALIKE_DECODE_THREADS": "3"}).decode_threads == 3
    with pytest.raises(SettingsError, match="SOUNDALIKE_MAX_DURATION_S"):
        read_settings({"SOUNDALIKE_MAX_DURATION_S": "-1"})


def test_a_home_is_found_where_no_shell_has_looked_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = read_settings({"SOUNDALIKE_HOME": "~/music", "SOUNDALIKE_CACHE": "~/cache"})
    assert (settings.home, settings.weights_dir) == (tmp_path / "music", tmp_path / "cache" / "weights")
    (tmp_path / "file").touch()
    for path in ("file", "file/below/it"):
        with pytest.raises(SettingsError, match=f"SOUNDALIKE_CACHE: {tmp_path / 'file'} is no folder; accepted: a"):
            read_settings({"SOUNDALIKE_CACHE": str(tmp_path / path)})
    with pytest.raises(SettingsError, match="SOUNDALIKE_HOME is '~nobody-here/x'"):
        read_settings({"SOUNDALIKE_HOME": "~nobody-here/x"})


@pytest.mark.parametrize("recall", ["most", "1", "0.5", "nan"])
def test_a_recall_that_no_index_is_tuned_to_is_refused(recall: str) -> None:
    with pytest.raises(SettingsError, match=f"SOUNDALIKE_INDEX_RECALL is '{recall}'; accepted: a number from 0.8 to"):
        read_settings({"SOUNDALIKE_INDEX_RECALL": recall})


def test_encoders_of_ones_own_are_read_from_the_environment() -> None:
    def read(raw: str) -> Any:
        return read_settings({"SOUNDALIKE_ENCODERS": raw}).encoders

    assert read_settings({}).encoders == read("") == {}
    assert read("mine=my.module:SPEC") == {"mine": "my.module:SPEC"}
    assert read(" mine = my.module:SPEC, other=o:make,") == {"mine": "my.module:SPEC", "other": "o:make"}
    for wrong in ("mine", "mine=", "mine=module", "mine=module:", "mine=:SPEC", "=module:SPEC", "a=b:c,d"):
        with pytest.raises(SettingsError, match=r"SOUNDALIKE_ENCODERS is .*; accepted: name=module:attribute, separ"):
            read(wrong)


def test_the_space_is_ours_unless_another_is_named() -> None:
    assert read_settings({}).succession == ("ear", "soundalike")
    assert read_settings({"SOUNDALIKE_SPACE": "musicnn"}).space == "musicnn"
