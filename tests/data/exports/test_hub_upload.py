"""An export is pushed as a data set, and a hub that fails is one line."""

from pathlib import Path
from typing import Any

import pytest

from critic_engine.data.exports.hub_upload import push_folder
from critic_engine.errors import HubError


class Hub:
    """Remembers the calls it got."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._error = error

    def create_repo(self, repo_id: str, *, repo_type: str, private: bool, exist_ok: bool) -> None:
        self.calls.append((repo_id, repo_type, private, exist_ok))

    def upload_folder(self, *, folder_path: Path, repo_id: str, repo_type: str, commit_message: str) -> None:
        if self._error:
            raise self._error
        self.calls.append((folder_path, repo_id, repo_type))


def test_folder_is_pushed_as_a_data_set(tmp_path: Path) -> None:
    hub = Hub()
    push_folder(tmp_path, "me/pairs", is_private=True, client=hub)
    assert hub.calls == [("me/pairs", "dataset", True, True), (tmp_path, "me/pairs", "dataset")]


def test_hub_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="not pushed to me/pairs: 401 who are you") as caught:
        push_folder(tmp_path, "me/pairs", is_private=False, client=Hub(RuntimeError("401\nwho are you")))
    assert "\n" not in str(caught.value)
