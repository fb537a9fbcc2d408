"""A small Hugging Face Hub on 127.0.0.1: enough of its HTTP interface for the libraries that read from and push to it.

Large files go through the basic Git LFS protocol; clients must set `HF_HUB_DISABLE_XET=1`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from .repositories import Commit, Hub, Refusal, Repository, User, below, blob_id, is_large

_TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}
_DATE = "2026-01-01T00:00:00.000Z"


class HubHandler(BaseHTTPRequestHandler):
    """Answers one connection. `routes` names the method for each address."""

    protocol_version = "HTTP/1.1"
    hub: ClassVar[Hub]
    routes: ClassVar[list[tuple[str, str]]] = [
        (r"/api/whoami-v2", "whoami"),
        (r"/api/validate-yaml", "validate_yaml"),
        (r"/api/repos/create", "create"),
        (r"/api/(models|datasets|spaces)/([^/]+/[^/]+)(?:/revision/(.+))?", "info"),
        (r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/tree/([^/]+)(?:/(.*))?", "tree"),
        (r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/paths-info/([^/]+)", "paths_info"),
        (r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/preupload/main", "preupload"),
        (r"/api/(models|datasets|spaces)/([^/]+/[^/]+)/commit/main", "commit"),
        (r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        (r"/_upload/([0-9a-f]{64})", "upload"),
        (r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    ]

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: `Hub.requests` keeps the log."""

    def do_GET(self) -> None:
        """Finds the route and turns what it raises into an answer."""
        address = urlsplit(self.path)
        path = unquote(address.path)
        self.query = parse_qs(address.query)
        self.unread = int(self.headers.get("Content-Length") or 0)
        self.hub.requests.append(f"{self.command} {path}")
        try:
            for pattern, name in self.routes:
                if match := re.fullmatch(pattern, path):
                    getattr(self, f"_{name}")(*match.groups())
                    return
            raise Refusal(404, "EntryNotFound", f"No such address: {path}")
        except Refusal as refusal:
            self._body()
            headers = {"X-Error-Message": refusal.message}
            if refusal.code:
                headers["X-Error-Code"] = refusal.code
            self._answer({"error": refusal.message}, refusal.status, headers)
        except ConnectionError:
            self.close_connection = True

    do_HEAD = do_POST = do_PUT = do_GET

    def _user(self) -> User | None:
        token = self.headers.get("Authorization")
        return self.hub.user(token and token.removeprefix("Bearer "))

    def _readable(self, kind: str | None, repo_id: str) -> Repository:
        return self.hub.readable(_TYPES[kind or "models"], repo_id, self._user())

    def _writable(self, kind: str | None, repo_id: str) -> Repository:
        return self.hub.writable(_TYPES[kind or "models"], repo_id, self._user())

    def _body(self) -> bytes:
        length, self.unread = self.unread, 0
        return self.rfile.read(length)

    def _answer(self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _whoami(self) -> None:
        user = self._user()
        if user is None:
            raise Refusal(401, "", "Invalid username or password.")
        orgs = [{"name": name} for name in user.orgs]
        token = {"accessToken": {"role": user.role}}
        self._answer({"name": user.name, "type": "user", "orgs": orgs, "auth": token})

    def _validate_yaml(self) -> None:
        header = re.match(r"---\n(.*?)---\n", json.loads(self._body())["content"], re.DOTALL)
        if header and not isinstance(yaml.safe_load(header[1]).get("license", ""), str):
            answer = {"errors": [{"message": '"license" must be a string'}], "warnings": []}
            self._answer(answer, 400)
        else:
            self._answer({"warnings": [], "errors": []})

    def _create(self) -> None:
        request = json.loads(self._body())
        user = self._user()
        repo_id = f"{request['organization'] or getattr(user, 'name', '')}/{request['name']}"
        repo_type = request.get("type", "model")
        if user is None:
            raise Refusal(401, "", "Invalid username or password.")
        if not user.may_write(repo_id):
            owner = repo_id.split("/")[0]
            raise Refusal(403, "", f'You don\'t have the rights to create a {repo_type} under the namespace "{owner}"')
        self.hub.create(repo_type, repo_id, request.get("visibility") == "private" or request.get("private", False))
        prefix = "" if repo_type == "model" else f"{repo_type}s/"
        self._answer({"url": f"http://{self.headers['Host']}/{prefix}{repo_id}", "name": repo_id, "id": repo_id})

    def _info(self, kind: str, repo_id: str, revision: str | None) -> None:
        repository = self._readable(kind, repo_id)
        commit = repository.commit(revision or "main")
        info = {"id": repo_id, "modelId": repo_id, "author": repo_id.split("/")[0], "sha": commit.oid}
        info |= {"private": repository.private, "gated": "manual" if repository.gated else False, "disabled": False}
        info |= {"downloads": 0, "likes": 0, "tags": [], "lastModified": _DATE, "createdAt": _DATE}
        self._answer({**info, "siblings": [{"rfilename": path} for path in sorted(commit.files)]})

    def _tree(self, kind: str, repo_id: str, revision: str, folder: str | None) -> None:
        commit = self._readable(kind, repo_id).commit(revision)
        folder = (folder or "").strip("/")
        paths = below(list(commit.files), folder)
        if folder and not paths:
            raise Refusal(404, "EntryNotFound", f"{folder} does not exist on {revision}")
        depth = len(folder.split("/")) if folder else 0
        folders = {"/".join(path.split("/")[:n]) for path in paths for n in range(depth + 1, path.count("/") + 1)}
        entries = [_folder(path) for path in sorted(folders)] + [_file(path, commit) for path in paths]
        if self.query.get("recursive", ["false"])[0].lower() != "true":
            entries = [entry for entry in entries if entry["path"].count("/") == depth]
        self._answer(entries)

    def _paths_info(self, kind: str, repo_id: str, revision: str) -> None:
        commit = self._readable(kind, repo_id).commit(revision)
        body = self._body()
        request = json.loads(body) if body.startswith(b"{") else parse_qs(body.decode())
        paths = [path.strip("/") for path in request["paths"]]
        folders = [_folder(path) for path in paths if path not in commit.files and below(list(commit.files), path)]
        self._answer([_file(path, commit) for path in paths if path in commit.files] + folders)

    def _preupload(self, kind: str, repo_id: str) -> None:
        files = self._writable(kind, repo_id).commit().files
        answer = []
        for file in json.loads(self._body())["files"]:
            path = file["path"]
            mode = "lfs" if is_large(path) else "regular"
            oid = blob_id(path, files[path]) if path in files else None
            answer.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self._answer({"files": answer})

    def _batch(self, kind: str | None, repo_id: str) -> None:
        self._writable(kind, repo_id)
        objects = []
        for file in json.loads(self._body())["objects"]:
            upload = {"upload": {"href": f"http://{self.headers['Host']}/_upload/{file['oid']}"}}
            actions = {} if file["oid"] in self.hub.large_files else {"actions": upload}
            objects.append({"oid": file["oid"], "size": file["size"], "authenticated": True, **actions})
        self._answer({"transfer": "basic", "objects": objects})

    def _upload(self, oid: str) -> None:
        if self.hub.stall_uploads:
            self.rfile.read(self.unread // 2)
            self.hub.upload_began.set()
            self.hub.release_uploads.wait()
            raise ConnectionError("The test cuts this connection")
        with self.hub.upload_lock:
            limit = self.hub.drop_uploads_after
            if limit is not None and len(self.hub.uploads) >= limit:
                raise ConnectionError("The test cuts this connection")
            content = self._body()
            if hashlib.sha256(content).hexdigest() != oid:
                raise Refusal(400, "", "The content does not have this SHA-256")
            self.hub.large_files[oid] = content
            self.hub.uploads.append(oid)
        self._answer({})

    def _commit(self, kind: str, repo_id: str) -> None:
        repository = self._writable(kind, repo_id)
        files, header = dict(repository.commit().files), {}
        for line in self._body().decode().splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "header":
                    header = value
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.large_files[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        for path, message in self.hub.refused_files.items():
            if path in files:
                raise Refusal(400, "", message)
        if header.get("parentCommit") not in (None, repository.commit().oid):
            raise Refusal(412, "", "A commit has happened since. Please refresh and try again.")
        commit = repository.add_commit(header["summary"], files)
        url = f"http://{self.headers['Host']}/{'' if kind == 'models' else kind + '/'}{repo_id}/commit/{commit.oid}"
        self._answer({"success": True, "commitUrl": url, "commitOid": commit.oid, "hookOutput": ""})

    def _resolve(self, kind: str | None, repo_id: str, revision: str, path: str) -> None:
        repository = self._readable(kind, repo_id)
        commit = repository.commit(revision)
        if repository.gated:
            raise Refusal(403, "GatedRepo", f"Access to {repo_id} is restricted and you are not in the list.")
        if path not in commit.files:
            raise Refusal(404, "EntryNotFound", "Entry not found")
        content = commit.files[path]
        headers = {"ETag": f'"{blob_id(path, content)}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if not span:
            self._answer(content, 200, headers)
            return
        first = int(span[1]) if span[1] else max(0, len(content) - int(span[2]))
        last = min(int(span[2]), len(content) - 1) if span[1] and span[2] else len(content) - 1
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._answer(content[first : last + 1], 206, headers)


def _file(path: str, commit: Commit) -> dict[str, Any]:
    content = commit.files[path]
    entry = {"type": "file", "oid": blob_id(path, content), "size": len(content), "path": path}
    if is_large(path):
        entry["lfs"] = {"oid": blob_id(path, content), "size": len(content), "pointerSize": 130}
    return entry


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}


@contextmanager
def serve(hub: Hub) -> Iterator[str]:
    """Runs a Hub in a thread.

    Args:
        hub: What it holds; may be looked at and changed meanwhile.

    Yields:
        Its address, for `HF_ENDPOINT`.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (HubHandler,), {"hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        hub.release_uploads.set()
        server.shutdown()
        server.server_close()
