"""Volume ids are keyed: the same for the same key, and silent without it."""

from __future__ import annotations

import secrets

import pytest

from pipeline.archive.site_key import KEY_VARIABLE, SiteKey, default_key_file, load_site_key, series_id
from pipeline.archive.volume_ids import is_safe_id
from pipeline.errors import RefusedInputError
from tests.dicom_archive_cases import write_key


@pytest.fixture(autouse=True)
def _own_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_ids_depend_on_key_series_and_part():
    one, other = SiteKey(b"a" * 32), SiteKey(b"b" * 32)
    ids = [one.volume_id("s"), one.volume_id("t"), one.volume_id("s", "acquisition 2"), other.volume_id("s")]
    assert len(set(ids)) == 4
    assert all(is_safe_id(item) for item in ids)
    assert ids[2].startswith(ids[0] + "-")
    assert [series_id(item) for item in ids[:3]] == [ids[0], ids[1], ids[0]]
    assert one.volume_id("s") == SiteKey(b"a" * 32).volume_id("s")
    assert one.fingerprint != other.fingerprint


def test_a_key_is_made_once_and_only_its_owner_reads_it():
    first = load_site_key("")
    assert default_key_file().stat().st_mode & 0o777 == 0o600
    assert first.fingerprint == load_site_key("").fingerprint


def test_of_two_processes_that_make_a_key_the_first_wins(monkeypatch):
    """The second comes while the first draws its key: it finds no file, or a whole one."""
    draw, others = secrets.token_hex, []

    def draw_late(size):
        monkeypatch.setattr(secrets, "token_hex", draw)
        others.append(load_site_key("").fingerprint)
        return draw(size)

    monkeypatch.setattr(secrets, "token_hex", draw_late)
    assert [load_site_key("").fingerprint] == others
    assert [path.name for path in default_key_file().parent.iterdir()] == ["id_key"]


@pytest.mark.parametrize("mode", [0o666, 0o640, 0o602])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path, mode):
    path = write_key(tmp_path, "k" * 16)
    path.chmod(mode)
    with pytest.raises(RefusedInputError, match=f"mode {mode:04o}, expected 0600"):
        load_site_key(str(path))


def test_a_key_file_and_the_environment_come_first(tmp_path, monkeypatch):
    write_key(tmp_path, "k" * 16 + "\n")
    named = load_site_key(str(tmp_path / "key"))
    assert named.fingerprint == SiteKey(b"k" * 16).fingerprint
    monkeypatch.setenv(KEY_VARIABLE, "e" * 16)
    assert load_site_key("").fingerprint == SiteKey(b"e" * 16).fingerprint
    assert load_site_key(str(tmp_path / "key")).fingerprint == named.fingerprint
    assert not default_key_file().exists()


def test_public_data_needs_no_key():
    assert load_site_key("none").volume_id("s") == SiteKey(b"").volume_id("s")


@pytest.mark.parametrize("content", ["", "hunter2"])
def test_a_short_key_is_refused_and_not_shown(tmp_path, content):
    write_key(tmp_path, content)
    with pytest.raises(RefusedInputError, match="at least 16") as caught:
        load_site_key(str(tmp_path / "key"))
    assert "hunter" not in str(caught.value)


def test_a_key_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RefusedInputError, match="cannot be read"):
        load_site_key(str(tmp_path / "nowhere"))
