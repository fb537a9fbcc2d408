"""Errors of the Hugging Face Hub as one-line messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Literal, TypeAlias

from huggingface_hub import HfApi, constants, errors, get_token, try_to_load_from_cache

from ..errors import HubError, OVPartsError
from .files import first_line

RepositoryType: TypeAlias = Literal["model", "dataset", "space"]

_LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"


def format_hub_error(error: BaseException, repo_id: str, repo_type: RepositoryType = "model") -> str | None:
    """Explains an exception, or what caused it, in one line; None if it has nothing to do with the Hub."""
    repository = f"{repo_type} repository {repo_id!r}"
    messages = (_message(cause, repository) for cause in _causes(error))
    return next((" ".join(message.split()) for message in messages if message), None)


@contextmanager
def hub_errors(repo_id: str, repo_type: RepositoryType) -> Iterator[None]:
    """Turns every error of the calls to the Hub inside the block into a `HubError` of one line."""
    try:
        yield
    except OVPartsError:
        raise
    except JSONDecodeError as error:
        advice = "Check HF_ENDPOINT, and whether the network requires a login."
        raise HubError(f"{constants.ENDPOINT} is not a Hub. {advice}") from error
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:
        raise HubError(format_hub_error(error, repo_id, repo_type) or f"{repo_id!r}: {first_line(error)}") from error


def check_readable(repo_id: str, repo_type: RepositoryType, filename: str) -> None:
    """Raises a `HubError` if a repository cannot be read and `filename` of it is not in the cache.

    Libraries that load from the Hub retry for half a minute when it does not respond, with a warning each time.
    """
    with hub_errors(repo_id, repo_type):
        if try_to_load_from_cache(repo_id, filename, repo_type=repo_type) is None:
            HfApi().repo_info(repo_id, repo_type=repo_type)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and its causes; those that only say that a file is not in the cache come last."""
    vague = []
    while error is not None:
        if isinstance(error, errors.LocalEntryNotFoundError):
            vague.append(error)
        else:
            yield error
        error = error.__cause__ or error.__context__
    yield from vague


def _message(error: BaseException, repository: str) -> str | None:
    match error:
        case errors.OfflineModeIsEnabled() | errors.LocalEntryNotFoundError() if constants.HF_HUB_OFFLINE:
            return f"There is no {repository} in the cache, and HF_HUB_OFFLINE forbids downloads."
        case errors.LocalTokenNotFoundError():
            return f"You are not logged in to the Hub: {_LOG_IN}."
        case errors.GatedRepoError():
            page = error.response.url.path.split("/resolve/")[0].replace("/api/models", "")
            return f"The {repository} is gated: ask for access at {constants.ENDPOINT}{page}, and log in."
        case errors.DisabledRepoError():
            return f"The {repository} is disabled by the Hub."
        case errors.RepositoryNotFoundError() if get_token() is None:
            return f"There is no {repository} at {constants.ENDPOINT}, or it is private; then {_LOG_IN}."
        case errors.RepositoryNotFoundError():
            return f"There is no {repository} at {constants.ENDPOINT} that your token may see. Check the name and type."
        case errors.RevisionNotFoundError():
            return f"The {repository} has no such revision ({error.response.url}). Give a branch, a tag or a commit."
        case errors.LocalEntryNotFoundError():
            return f"There is no {repository} in the cache, and the Hub at {constants.ENDPOINT} does not respond."
        case errors.EntryNotFoundError():
            address = error.response.url.path if isinstance(error, errors.HfHubHTTPError) else str(error)
            return f"The {repository} has no file {address.rpartition('/resolve/')[2].split('/', 1)[-1]}."
        case errors.HfHubHTTPError():
            return _status_message(error, repository)
        case errors.HFValidationError():
            return "There is no such folder, and a name on the Hub has the form owner/name."
        case errors.HTTPError():
            return f"The Hub at {constants.ENDPOINT} cannot be reached ({first_line(error)}). Check the network."
    return None


def _status_message(error: errors.HfHubHTTPError, repository: str) -> str:
    status = error.response.status_code
    reply = error.server_message or f"HTTP status {status}"
    match status:
        case 401:
            page = f"{constants.ENDPOINT}/settings/tokens"
            return f"The Hub does not accept your token; get one at {page} and {_LOG_IN}."
        case 403:
            return f"Your token may not change or read the {repository} ({reply}). Use one with that permission."
        case 412:
            return f"Somebody else changed the {repository} at the same time. Check it, then run the command again."
        case 429:
            return "The Hub limits the rate of requests (HTTP status 429). Try again in a few minutes."
    if status < 500:
        return f"The Hub rejected the request for the {repository}: {reply}"
    return f"The Hub failed on the {repository} ({reply}). Try again later."
