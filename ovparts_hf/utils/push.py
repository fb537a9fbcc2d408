"""Pushes a folder to a Hub repository in one commit, so that its main revision is always a complete one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import filter_repo_objects, validate_repo_id

from ..errors import ConfigurationError, HubError
from .files import read_json, user_path
from .hub import RepositoryType, hub_errors

logger = logging.getLogger(__name__)

_DRAWN_DATASETS = ("toy-world", "toy-garden")  # taxonomies of datasets without photographs


def _anywhere(*names: str) -> list[str]:
    """Patterns of the files and folders of these names, at any depth, and of what such folders hold."""
    return [pattern for name in names for pattern in (name, f"*/{name}", f"{name}/*", f"*/{name}/*")]


_DATASET_FILES = ["README.md", "taxonomy.json", "eval.yaml", "split.json", "data/*.parquet"]
_MODEL_RESULTS = [".eval_results/*.yaml"]
_LEADERBOARD_FILES = ["eval.yaml", *_MODEL_RESULTS]
_HIDDEN = _anywhere(".*", "__pycache__")
_EXCLUDED = _HIDDEN + _anywhere(
    *("*.pyc", "*.incomplete", "*.lock", "*.log", "*.jsonl", "runs", "wandb"),
    *("checkpoints", "states", "step-*", "checkpoint-*", "trainer_state.json", "optimizer.*", "scheduler.*"),
    *("*.pt", "*.pth", "*.pkl", "*.bin", "*.ckpt", "*.distcp", "*.key", "*.pem", "*token", "*.env"),
)
"""What is never pushed: hidden files, caches, training states (and all pickles), secrets."""

_REPLACED = ["data/*.parquet", "*.safetensors", "*.safetensors.index.json"]
"""Files of an earlier push to delete if the folder lacks them: shards of other data would be read as well."""

_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{30,}")
_TEXT_SUFFIXES = ("", ".json", ".md", ".py", ".txt", ".yaml", ".yml", ".toml", ".cfg", ".ini")


@dataclass(frozen=True)
class Destination:
    """A repository to push to, created if it does not exist; i_have_the_rights: to show photographs to everybody."""

    repo_id: str
    repo_type: RepositoryType
    public: bool = False
    i_have_the_rights: bool = False

    def check(self, photographs: bool) -> str | None:
        """Raises what would make a push fail; returns the newest commit, or None if there is no repository yet."""
        _check_name(self.repo_id)
        if constants.HF_HUB_OFFLINE:
            raise HubError("HF_HUB_OFFLINE forbids uploads; unset it to push.")
        if self.public:
            self._check_rights(photographs, "created by --public")
        api = HfApi(token=get_token())
        with hub_errors(self.repo_id, self.repo_type):
            try:
                found = api.repo_info(self.repo_id, repo_type=self.repo_type)
            except RepositoryNotFoundError:
                found = None
            _check_token(api, self.repo_id)
        if found is None:
            return None
        if not found.private:
            self._check_rights(photographs, "there already")
        elif self.public:
            advice = "Make it public in its settings, or push without --public."
            raise ConfigurationError(f"{self.repo_id!r} exists and is private. {advice}")
        return found.sha

    def _check_rights(self, photographs: bool, reason: str) -> None:
        if photographs and not self.i_have_the_rights:
            raise ConfigurationError(
                f"This dataset holds photographs of others, and the public repository {self.repo_id!r} ({reason}) "
                "would show them to everybody. Push to a private one, or add --i-have-the-rights if you may republish "
                "them."
            )


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    public: bool = False,
    i_have_the_rights: bool = False,
    message: str = "Upload with ovparts_hf",
) -> str:
    """Makes a folder (model, prepared dataset or Space) the content of a repository; returns the address of the commit.

    Everything is uploaded first and then put into one commit: an interrupted push leaves the main revision as it was,
    and the next one does not send again what has arrived. The same commit deletes weights and shards of an earlier push
    that the folder lacks; other files of the repository stay.
    """
    folder = user_path(folder)
    destination = Destination(repo_id, _repository_type(folder), public, i_have_the_rights)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    included = _DATASET_FILES if destination.repo_type == "dataset" else None
    chosen = list(filter_repo_objects(files, allow_patterns=included, ignore_patterns=_EXCLUDED))
    if destination.repo_type == "model":
        chosen += filter_repo_objects(files, allow_patterns=_MODEL_RESULTS)
    _check_secrets(folder, chosen)
    parent = destination.check(_holds_photographs(folder))
    left_out = [path for path in filter_repo_objects(files, ignore_patterns=_HIDDEN) if path not in chosen]
    if left_out:
        logger.info("Left out: %s", ", ".join(left_out))
    try:
        with hub_errors(repo_id, destination.repo_type):
            return _commit(folder, chosen, destination, parent, message)
    except KeyboardInterrupt:
        logger.warning("Interrupted; %s has all of this push or nothing of it. The same command pushes it.", repo_id)
        raise


def _repository_type(folder: Path) -> RepositoryType:
    """What kind of repository a folder is to become; a `ConfigurationError` if it is of no known kind."""
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder}.")
    if _space_sdk(folder):
        return "space"
    if _is_dataset(folder):
        return "dataset"
    if (folder / "config.json").is_file():
        return "model"
    inside = next((f" Did you mean {path.parent}?" for path in sorted(folder.glob("*/config.json"))), "")
    raise ConfigurationError(
        f"{folder} is neither a model (config.json), nor a prepared dataset (taxonomy.json and data/), nor a Space "
        f"(sdk in the header of README.md).{inside}"
    )


def _is_dataset(folder: Path) -> bool:
    return (folder / "taxonomy.json").is_file() and (folder / "data").is_dir()


def _holds_photographs(folder: Path) -> bool:
    """Whether a folder is a prepared dataset whose images are not drawn by this library."""
    if not _is_dataset(folder):
        return False
    taxonomy = read_json(folder / "taxonomy.json", ConfigurationError, "Prepare the dataset again.")
    return not (isinstance(taxonomy, dict) and taxonomy.get("name") in _DRAWN_DATASETS)


def _space_sdk(folder: Path) -> str | None:
    readme = folder / "README.md"
    try:
        text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        header = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
        metadata = yaml.safe_load(header[1]) if header else None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The header of {readme} is not YAML in UTF-8.") from error
    return metadata.get("sdk") if isinstance(metadata, dict) else None


def _check_name(repo_id: str) -> None:
    try:
        validate_repo_id(repo_id)
        valid = "/" in repo_id and repo_id.isascii()  # which older versions do not look at
    except HFValidationError:
        valid = False
    if not valid:
        form = "the form owner/name, in A-Z, a-z, 0-9, '-', '_', '.'"
        raise ConfigurationError(f"{repo_id!r} is not a name on the Hub, which has {form}.")


def _check_token(api: HfApi, repo_id: str) -> None:
    """As far as the Hub says beforehand; what a fine-grained token may write it does not."""
    identity = api.whoami()
    role = identity.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise HubError("Your token may only read. Create one that may write, and log in with `hf auth login`.")
    owners = [identity["name"], *(org["name"] for org in identity.get("orgs", []))]
    if role == "write" and repo_id.split("/")[0] not in owners:
        raise HubError(f"You may not push to {repo_id!r}: your token is for {owners}.")


def _check_secrets(folder: Path, paths: Iterable[str]) -> None:
    for path in paths:
        if Path(path).suffix in _TEXT_SUFFIXES and _TOKEN.search((folder / path).read_bytes()):
            raise ConfigurationError(f"{folder / path} holds what looks like an access token. Take it out first.")


def _commit(folder: Path, paths: list[str], destination: Destination, parent: str | None, message: str) -> str:
    """One commit with all files; `HfApi.upload_folder` may split a large folder into several."""
    api, repo_id, repo_type = HfApi(token=get_token()), destination.repo_id, destination.repo_type
    if parent is None:
        api.create_repo(repo_id, repo_type=repo_type, private=not destination.public, space_sdk=_space_sdk(folder))
        parent = api.repo_info(repo_id, repo_type=repo_type).sha
    present = api.list_repo_files(repo_id, repo_type=repo_type, revision=parent)
    stale = [path for path in filter_repo_objects(present, allow_patterns=_REPLACED) if path not in paths]
    facts = {"commit_message": message, "repo_type": repo_type, "parent_commit": parent}
    removed = [*map(CommitOperationDelete, stale)]
    added = [CommitOperationAdd(path, folder / path) for path in paths]
    try:
        return api.create_commit(repo_id, [*added, *removed], **facts).commit_url
    except HfHubHTTPError as error:
        refused = {*filter_repo_objects(paths, allow_patterns=_LEADERBOARD_FILES)}
        if not refused or not _is_about_leaderboards(error):
            raise
        logger.warning(
            "The Hub does not take %s: %s. Pushed without.", ", ".join(sorted(refused)), error.server_message
        )
        kept = [operation for operation in added if operation.path_in_repo not in refused]
        return api.create_commit(repo_id, [*kept, *removed], **facts).commit_url


def _is_about_leaderboards(error: HfHubHTTPError) -> bool:
    """Whether the Hub refused the content of `_LEADERBOARD_FILES`, whose format it may change."""
    return error.response.status_code in (400, 422) and "eval" in (error.server_message or "").lower()
