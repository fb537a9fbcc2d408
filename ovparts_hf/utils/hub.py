"""What goes wrong between this machine and the Hugging Face Hub, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Literal, TypeAlias

from huggingface_hub import HfApi, constants, get_session, get_token, try_to_load_from_cache
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from ..errors import HubError, OVPartsError
from .files import first_line

RepositoryType: TypeAlias = Literal["model", "dataset", "space"]

_HOW = "`hf auth login`, or set HF_TOKEN"


def explain(error: BaseException, repo_id: str, repo_type: RepositoryType = "model") -> str | None:
    """Says what an exception means for somebody who named a repository.

    Args:
        error: Raised by huggingface_hub, or by a library that calls it; its causes are looked at, too.
        repo_id: What was named.
        repo_type: What it was taken for.

    Returns:
        One line, or None if the exception has nothing to do with the Hub.
    """
    what = f"{repo_type} repository {repo_id!r}"
    sentences = (_sentence(each, what) for each in _chain(error))
    return next((" ".join(sentence.split()) for sentence in sentences if sentence), None)


@contextmanager
def explained(repo_id: str, repo_type: RepositoryType) -> Iterator[None]:
    """Turns every error of the calls to the Hub inside the block into a `HubError` of one line.

    Args:
        repo_id: The repository that the calls are about.
        repo_type: Its type.
    """
    try:
        yield
    except OVPartsError:
        raise
    except JSONDecodeError as error:
        raise HubError(
            f"{constants.ENDPOINT} is not a Hub. Check HF_ENDPOINT, and whether the network asks for a login."
        ) from error
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        reason = explain(error, repo_id, repo_type) or f"{repo_id!r}: {first_line(error)}"
        raise HubError(reason) from error


def check_readable(repo_id: str, repo_type: RepositoryType, filename: str) -> None:
    """Asks the Hub once whether a repository can be read, unless a file of it is in the cache already.

    The libraries that load from the Hub repeat a request without answer for half a minute, and warn each time.

    Args:
        repo_id: The repository.
        repo_type: Its type.
        filename: A file that it must have.

    Raises:
        HubError: It cannot; one sentence says why.
    """
    with explained(repo_id, repo_type):
        if try_to_load_from_cache(repo_id, filename, repo_type=repo_type) is None:
            HfApi().repo_info(repo_id, repo_type=repo_type)


def has_accounts() -> bool:
    """Whether the Hub tells its users apart, and so what is private from what is public.

    One that says who you are without being shown a token, such as a server for tests, lets everybody do everything.
    """
    return not get_session().get(f"{constants.ENDPOINT}/api/whoami-v2").is_success


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what led to it; what only says that a file is not in the cache comes last."""
    vague = []
    while error is not None:
        if isinstance(error, LocalEntryNotFoundError):
            vague.append(error)
        else:
            yield error
        error = error.__cause__ or error.__context__
    yield from vague


def _sentence(error: BaseException, what: str) -> str | None:
    match error:
        case OfflineModeIsEnabled() | LocalEntryNotFoundError() if constants.HF_HUB_OFFLINE:
            return f"There is no {what} in the cache, and HF_HUB_OFFLINE forbids to ask the Hub."
        case LocalTokenNotFoundError():
            return f"The Hub asks who you are; log in: {_HOW}."
        case GatedRepoError():
            return f"The {what} is gated: ask for access at {_address(error)}, and log in."
        case DisabledRepoError():
            return f"The {what} is disabled by the Hub."
        case RepositoryNotFoundError():
            return _not_found(what)
        case RevisionNotFoundError():
            return f"The {what} has no such revision ({error.response.url}). Give a branch, a tag or a commit."
        case LocalEntryNotFoundError():
            return f"There is no {what} in the cache, and the Hub at {constants.ENDPOINT} does not answer."
        case EntryNotFoundError():
            return f"The {what} has no file {_path(error)}."
        case HfHubHTTPError():
            return _refused(error, what)
        case HFValidationError():
            return "There is no such folder, and a name on the Hub has the form owner/name."
        case HTTPError():
            return f"The Hub at {constants.ENDPOINT} cannot be reached ({first_line(error)}). Check the network."
    return None


def _not_found(what: str) -> str:
    if get_token() is None:
        return f"There is no {what} at {constants.ENDPOINT}, or it is private; then log in: {_HOW}."
    return f"There is no {what} at {constants.ENDPOINT} that your token may see. Check the name and the type."


def _refused(error: HfHubHTTPError, what: str) -> str:
    status = error.response.status_code
    said = error.server_message or f"HTTP status {status}"
    if status == 401:
        site = f"{constants.ENDPOINT}/settings/tokens"
        return f"The Hub does not accept your token; get one at {site} and log in: {_HOW}."
    if status == 403:
        return f"Your token may not change or read the {what} ({said}). Use one with that permission."
    if status == 412:
        return f"Somebody else changed the {what} at the same time. Look at it, then give the same command again."
    if status == 429:
        return "The Hub asks to wait before further requests (HTTP status 429). Try again in a few minutes."
    if status < 500:
        return f"The Hub does not take this for the {what}: {said}"
    return f"The Hub failed on the {what} ({said}). Try again later."


def _path(error: EntryNotFoundError) -> str:
    address = error.response.url.path if isinstance(error, HfHubHTTPError) else str(error)
    return address.rpartition("/resolve/")[2].split("/", 1)[-1]


def _address(error: GatedRepoError) -> str:
    return f"{constants.ENDPOINT}{error.response.url.path.split('/resolve/')[0].replace('/api/models', '')}"
