"""Pushing a folder to a Hub repository in one commit, so that its main revision is always a complete one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from ..data.preparation.repository import is_repository
from ..errors import ConfigurationError, HubError
from ..taxonomy import PartTaxonomy
from .hub import RepositoryType, explained, has_accounts

logger = logging.getLogger(__name__)

_FREE_DATASETS = ("toy-world",)
"""Taxonomies of datasets without photographs."""

_FILES: dict[RepositoryType, tuple[str, ...]] = {
    "dataset": ("README.md", "taxonomy.json", "data/*.parquet"),
    "model": ("*",),
    "space": ("*",),
}
_NEVER = (
    *(".*", "__pycache__", "*.pyc", "*.incomplete", "*.lock", "*.log", "*.jsonl", "runs", "wandb"),
    *("states", "step-*", "checkpoint-*", "trainer_state.json", "optimizer.*", "scheduler.*"),
    *("*.pt", "*.pth", "*.pkl", "*.bin", "*.ckpt", "*.distcp", "*.key", "*.pem", "*token", "*.env"),
)
"""Names of files and folders that stay here: hidden ones, caches, training states (and all pickles), secrets."""

_REPLACED = ("data/*.parquet", "*.safetensors", "*.safetensors.index.json")
"""What an earlier push left and this one has no more: as shards of other data, it would be read along."""

_TOKEN = re.compile(rb"\bhf_[A-Za-z0-9]{30,}")
_TEXT_SUFFIXES = ("", ".json", ".md", ".py", ".txt", ".yaml", ".yml", ".toml", ".cfg", ".ini")


@dataclass(frozen=True)
class Destination:
    """A repository to push to.

    Attributes:
        repo_id: "owner/name". It is made if it does not exist.
        repo_type: What kind of repository.
        public: Whether everybody may see it, if it has to be made.
        i_have_the_rights: Whether the photographs of a dataset may be shown to everybody.
    """

    repo_id: str
    repo_type: RepositoryType
    public: bool = False
    i_have_the_rights: bool = False

    def check(self, photographs: bool) -> str | None:
        """Finds out, without changing anything, whether a push can succeed.

        Args:
            photographs: Whether images of a release are to be pushed.

        Returns:
            The commit that its main revision points to, or None if it has to be made.

        Raises:
            HubError: The Hub cannot be reached, the token is missing, wrong, or may not write there.
            ConfigurationError: The name is not one, or the photographs would be public.
        """
        _check_name(self.repo_id)
        if constants.HF_HUB_OFFLINE:
            raise HubError("HF_HUB_OFFLINE forbids to ask the Hub; unset it to push.")
        if self.public:
            self._check_rights(photographs, "asked for")
        api = HfApi(token=get_token())
        with explained(self.repo_id, self.repo_type):
            _check_token(api, self.repo_id)
            try:
                found = api.repo_info(self.repo_id, repo_type=self.repo_type)
            except RepositoryNotFoundError:
                return None
            shown = photographs and not found.private and has_accounts()
        if shown:
            self._check_rights(photographs, "there already")
        if found.private and self.public:
            raise ConfigurationError(
                f"{self.repo_id!r} exists and is private. Make it public in its settings, or push without --public."
            )
        return found.sha

    def _check_rights(self, photographs: bool, why: str) -> None:
        if photographs and not self.i_have_the_rights:
            raise ConfigurationError(
                f"This dataset holds photographs of others, and the public repository {self.repo_id!r} ({why}) would "
                "show them to everybody. Push to a private one, or add --i-have-the-rights if you may republish them."
            )


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    public: bool = False,
    i_have_the_rights: bool = False,
    message: str = "Upload with ovparts_hf",
) -> str:
    """Makes the files of a folder the content of a repository on the Hub.

    A model (config.json), a prepared dataset (taxonomy.json and data/) and a Space (`sdk` in the header of README.md)
    are recognised. Everything is uploaded first and then put into one commit: an interrupted push leaves the main
    revision as it was, and the next one does not send again what has arrived. The same commit deletes weights and
    shards of an earlier push that the folder lacks; other files of the repository stay.

    Args:
        folder: What to push. Hidden files, caches, training states and pickles are left out.
        repo_id: "owner/name"; a repository that does not exist is made, a private one by default.
        public: Whether a repository that is made is public.
        i_have_the_rights: Needed to show photographs of a prepared dataset to everybody; the toy world is drawn.
        message: Title of the commit.

    Returns:
        The address of the commit.

    Raises:
        ConfigurationError: The folder is of no known kind, holds an access token, or photographs would be public.
        HubError: The Hub cannot be reached or refuses; one sentence says why.
    """
    folder = Path(folder).expanduser()
    destination = Destination(repo_id, repository_type(folder), public, i_have_the_rights)
    paths, left_out = _sort_files(folder, destination.repo_type)
    _check_secrets(folder, paths)
    parent = destination.check(holds_photographs(folder))
    if left_out:
        logger.info("Left out: %s", ", ".join(left_out))
    try:
        with explained(repo_id, destination.repo_type):
            return _commit(folder, paths, destination, parent, message)
    except KeyboardInterrupt:
        logger.warning("Interrupted; %s is as it was. The same command sends only what is missing.", repo_id)
        raise


def repository_type(folder: Path) -> RepositoryType:
    """What kind of repository a folder is to become.

    Raises:
        ConfigurationError: None that is known.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder}.")
    if _space_sdk(folder):
        return "space"
    if is_repository(folder):
        return "dataset"
    if (folder / "config.json").is_file():
        return "model"
    inside = next((f" Did you mean {path.parent}?" for path in sorted(folder.glob("*/config.json"))), "")
    raise ConfigurationError(
        f"{folder} is neither a model (config.json), nor a prepared dataset (taxonomy.json and data/), nor a Space "
        f"(sdk in the header of README.md).{inside}"
    )


def holds_photographs(folder: Path) -> bool:
    """Whether a folder is a prepared dataset whose images are not drawn by this library."""
    return is_repository(folder) and PartTaxonomy.from_json(folder / "taxonomy.json").name not in _FREE_DATASETS


def _check_name(repo_id: str) -> None:
    try:
        validate_repo_id(repo_id)
        known = "/" in repo_id
    except HFValidationError:
        known = False
    if not known:
        raise ConfigurationError(
            f"{repo_id!r} is not a name on the Hub, which has the form owner/name, in A-Z, a-z, 0-9, '-', '_', '.'."
        )


def _check_token(api: HfApi, repo_id: str) -> None:
    """As far as the Hub tells beforehand; the groups of fine-grained tokens it may not tell."""
    if get_token() is None and not has_accounts():
        return
    identity = api.whoami()
    role = identity.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read":
        raise HubError("Your token may only read. Make one that may write, and log in with `hf auth login`.")
    owners = [identity["name"], *(org["name"] for org in identity.get("orgs", []))]
    if role == "write" and repo_id.split("/")[0] not in owners and has_accounts():
        raise HubError(f"You may not push to {repo_id!r}: your token is for {owners}.")


def _space_sdk(folder: Path) -> str | None:
    readme = folder / "README.md"
    try:
        text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        header = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
        metadata = yaml.safe_load(header[1]) if header else None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"The header of {readme} is not YAML in UTF-8.") from error
    return metadata.get("sdk") if isinstance(metadata, dict) else None


def _sort_files(folder: Path, repo_type: RepositoryType) -> tuple[list[str], list[str]]:
    """The files that belong to the repository and the others that are not hidden, as relative paths with slashes."""
    belongs, left_out = [], []
    for path in sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()):
        refused = any(_matches(part, _NEVER) for part in path.parts)
        if not refused and _matches(path.as_posix(), _FILES[repo_type]):
            belongs.append(path.as_posix())
        elif not any(part.startswith(".") or part == "__pycache__" for part in path.parts):
            left_out.append(path.as_posix())
    return belongs, left_out


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _check_secrets(folder: Path, paths: Iterable[str]) -> None:
    for path in paths:
        if Path(path).suffix in _TEXT_SUFFIXES and _TOKEN.search((folder / path).read_bytes()):
            raise ConfigurationError(f"{folder / path} holds what looks like an access token. Take it out first.")


def _commit(folder: Path, paths: list[str], destination: Destination, parent: str | None, message: str) -> str:
    api, repo_id, repo_type = HfApi(token=get_token()), destination.repo_id, destination.repo_type
    if parent is None:
        api.create_repo(repo_id, repo_type=repo_type, private=not destination.public, space_sdk=_space_sdk(folder))
        parent = api.repo_info(repo_id, repo_type=repo_type).sha
    there = api.list_repo_files(repo_id, repo_type=repo_type, revision=parent)
    added = [CommitOperationAdd(path, folder / path) for path in paths]
    commit = api.create_commit(
        repo_id,
        [*added, *_deletions(there, paths)],
        commit_message=message,
        repo_type=repo_type,
        parent_commit=parent,
    )
    return commit.commit_url


def _deletions(there: Iterable[str], paths: list[str]) -> Iterator[CommitOperationDelete]:
    for path in there:
        if path not in paths and _matches(path, _REPLACED):
            yield CommitOperationDelete(path)
