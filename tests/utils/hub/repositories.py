"""What a Hub holds, in memory: repositories with commits, large files, and who may read and write them."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class Refusal(Exception):
    """A response that is not 2xx.

    Args:
        status: HTTP status.
        code: The Hub's `X-Error-Code`, from which huggingface_hub chooses the exception; empty for none.
        message: The Hub's `X-Error-Message`.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class User:
    """Whom a token stands for.

    Attributes:
        name: Namespace of the user.
        orgs: Further namespaces.
        role: What the token may do: "read" or "write".
    """

    name: str
    orgs: tuple[str, ...] = ()
    role: str = "write"

    def may_write(self, repo_id: str) -> bool:
        """Whether this user may change a repository, or make it."""
        return self.role == "write" and repo_id.split("/")[0] in (self.name, *self.orgs)


@dataclass(frozen=True)
class Commit:
    """One state of a repository.

    Attributes:
        oid: 40 hexadecimal digits.
        title: First line of the message.
        files: Content by path.
    """

    oid: str
    title: str
    files: Mapping[str, bytes]


@dataclass
class Repository:
    """A repository, of which only the branch "main" can grow.

    Attributes:
        repo_id: "owner/name".
        private: Whether only its owners see it.
        gated: Whether files need an approval that nobody has.
        commits: From the first to the one that "main" points to.
    """

    repo_id: str
    private: bool
    gated: bool = False
    commits: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.add_commit("initial commit", {".gitattributes": b"*.parquet filter=lfs\n"})

    def add_commit(self, title: str, files: Mapping[str, bytes]) -> Commit:
        """Lets "main" point to a new state."""
        oid = hashlib.sha1(f"{self.repo_id} {len(self.commits)} {title}".encode()).hexdigest()
        self.commits.append(Commit(oid, title, dict(files)))
        return self.commits[-1]

    def commit(self, revision: str = "main") -> Commit:
        """Looks a revision up: "main" or the id of a commit."""
        for commit in reversed(self.commits):
            if revision in ("main", commit.oid):
                return commit
        raise Refusal(404, "RevisionNotFound", "Invalid rev id")


class Hub:
    """All repositories, and the faults to be injected.

    Attributes:
        users: By token; anything else is an invalid token.
        large_files: Uploaded content by SHA-256, committed or not.
        uploads: SHA-256 of every large file that arrived, in order; a second upload of the same content shows.
        drop_uploads_after: Once this many large files have arrived, connections that send another one are cut.
        upload_lock: Held while a large file arrives, so that files sent at the same time are counted one by one.
        stall_uploads: Set to hold uploads, half received, until `release_uploads` is set.
        upload_began: Set as soon as a held upload has begun.
        requests: "METHOD path" of every request.
        refused_files: With which message a commit that has a file of this path is refused.
    """

    def __init__(self, users: Mapping[str, User]) -> None:
        self.users = dict(users)
        self.large_files: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.drop_uploads_after: int | None = None
        self.upload_lock = threading.Lock()
        self.stall_uploads = False
        self.upload_began, self.release_uploads = threading.Event(), threading.Event()
        self.requests: list[str] = []
        self.refused_files: dict[str, str] = {}
        self._repositories: dict[tuple[str, str], Repository] = {}

    def create(self, repo_type: str, repo_id: str, private: bool) -> Repository:
        """Makes a repository; one of this name must not exist."""
        if (repo_type, repo_id) in self._repositories:
            raise Refusal(409, "", "You already created this repo")
        repository = self._repositories[repo_type, repo_id] = Repository(repo_id, private)
        return repository

    def find(self, repo_type: str, repo_id: str) -> Repository:
        """Looks a repository up, for the tests themselves.

        Raises:
            KeyError: There is none.
        """
        return self._repositories[repo_type, repo_id]

    def user(self, token: str | None) -> User | None:
        """Whom a token stands for; None for no token."""
        if token is not None and token not in self.users:
            raise Refusal(401, "", "Invalid credentials in Authorization header")
        return None if token is None else self.users[token]

    def readable(self, repo_type: str, repo_id: str, user: User | None) -> Repository:
        """The repository, if it exists for this user. As on the real Hub, nothing tells missing from private."""
        repository = self._repositories.get((repo_type, repo_id))
        owners = user is not None and repo_id.split("/")[0] in (user.name, *user.orgs)
        if repository is not None and (owners or not repository.private):
            return repository
        if user is None:
            raise Refusal(401, "RepoNotFound", "Invalid username or password.")
        raise Refusal(404, "RepoNotFound", "Repository not found")

    def writable(self, repo_type: str, repo_id: str, user: User | None) -> Repository:
        """The same, if this user may change it."""
        repository = self.readable(repo_type, repo_id, user)
        if user is None or not user.may_write(repo_id):
            raise Refusal(403, "", "You don't have the required permissions to perform this action")
        return repository


def is_large(path: str) -> bool:
    """Whether the Hub wants a file uploaded apart from the commit."""
    return re.search(r"\.(parquet|safetensors|bin|png|jpg|npz)$", path) is not None


def blob_id(path: str, content: bytes) -> str:
    """What the Hub calls a file's content: SHA-256 of large files, git's SHA-1 of others."""
    if is_large(path):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def below(paths: Sequence[str], folder: str) -> list[str]:
    """The paths inside a folder, or all for ""."""
    return sorted(path for path in paths if not folder or path.startswith(f"{folder}/"))
