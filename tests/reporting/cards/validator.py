"""The Hub's check of a card's header, as far as its documentation states it, on 127.0.0.1."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

LICENCES = {"apache-2.0", "mit", "cc-by-4.0", "other"}
TYPES = {
    "model": {"library_name": str, "pipeline_tag": str, "base_model": list, "datasets": list, "metrics": list},
    "dataset": {"pretty_name": str, "task_categories": list, "size_categories": list},
}


def problem(content, repo_type):
    """What is wrong with a card, or None."""
    if not content.startswith("---\n"):
        return "there is no header"
    try:
        header = yaml.safe_load(content.split("---\n")[1])
    except yaml.YAMLError as error:
        return str(error)
    if header.get("license") not in LICENCES:
        return f"license {header.get('license')!r}"
    if header["license"] == "other" and not header.get("license_name"):
        return "license_name is missing"
    if not str(header.get("license_link", "https://")).startswith(("https://", "http://")):
        return "license_link is no link"
    for key, kind in {**TYPES[repo_type], "tags": list}.items():
        if key in header and not isinstance(header[key], kind):
            return f"{key} is {header[key]!r}"
    for model in header.get("model-index", []):
        for result in model["results"]:
            if {"type", "name"} - result["dataset"].keys() or "type" not in result["task"]:
                return f"model-index: {result}"
            if any(not isinstance(each["value"], float) or "type" not in each for each in result["metrics"]):
                return f"model-index: {result['metrics']}"
    return None


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = problem(body["content"], body["repoType"]) if self.path == "/api/validate-yaml" else "unknown path"
        answer = (found or "{}").encode()
        self.send_response(200 if found is None else 400)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        """Keeps quiet."""


@contextmanager
def serving():
    """Yields the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
