"""Uploading an export to the Hugging Face hub, on request only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from critic_engine.errors import HubError

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def push_folder(folder: Path, repo_id: str, *, is_private: bool, client: HfApi | None = None) -> None:
    """Upload an export as a data set.

    Args:
        folder: The export.
        repo_id: The data set on the hub, such as ``me/critic-pairs``.
        is_private: Whether a repository that is new is private; one that exists stays as it is.
        client: None takes the Hugging Face hub's, with the login of this machine.

    Raises:
        HubError: the hub, the network or the login failed; or huggingface_hub is not installed.
    """
    try:
        if client is None:
            from huggingface_hub import HfApi

            client = HfApi()
        client.create_repo(repo_id, repo_type="dataset", private=is_private, exist_ok=True)
        client.upload_folder(
            folder_path=folder, repo_id=repo_id, repo_type="dataset", commit_message="Add an export of Critic Engine"
        )
    except Exception as error:  # the hub's client raises its own errors, those of its transport, and plain ValueErrors
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise HubError(f"{folder} was written but not pushed to {repo_id}: {reason}") from error
