"""The needed parts of the Hugging Face Hub's and of Zenodo's interfaces, in memory; both can refuse and break off."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler


class Handler(BaseHTTPRequestHandler):
    """Routes by method and path; ``server.token`` is the only one that may write, ``server.budget`` the bytes it takes."""

    def log_message(self, *_):
        pass

    def answer(self, value=None, code=200):
        body = value if isinstance(value, bytes) else json.dumps(value if value is not None else {}).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def route(self):
        size = int(self.headers.get("Content-Length") or 0)
        server = self.server
        if server.budget is not None and self.command == "PUT" and self.is_file():
            if size > server.budget:
                self.rfile.read(server.budget)
                self.close_connection = True
                return  # without an answer: the connection breaks
            server.budget -= size
        body = self.rfile.read(size)
        server.requests.append((self.command, self.path.split("?")[0], self.headers.get("Authorization")))
        if not self.open() and self.headers.get("Authorization") != f"Bearer {server.token}":
            return self.answer({"error": "Forbidden"}, 403)
        self.handle_request(self.path.split("?")[0].strip("/").split("/"), body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = route


class HubHandler(Handler):
    """State: ``server.objects`` by oid, ``server.files`` of the branch, ``server.tags``."""

    def is_file(self):
        return self.path.startswith("/lfs/")

    def open(self):
        return self.path.startswith("/lfs/")

    def handle_request(self, parts, body):
        server = self.server
        match parts:
            case ["api", "repos", "create"]:
                return self.answer({"url": f"{server.url}/datasets/me/pairs", "name": "me/pairs", "id": "1"})
            case ["api", "validate-yaml"]:
                return self.answer({"errors": [], "warnings": []})
            case ["api", "datasets", "me", "pairs", "refs"]:
                tags = [{"name": t, "ref": f"refs/tags/{t}", "targetCommit": "0" * 40} for t in server.tags]
                return self.answer({"branches": [], "converts": [], "tags": tags})
            case ["api", "datasets", "me", "pairs", "preupload", _]:
                mode = lambda name: "lfs" if name.endswith((".tar", ".parquet", ".png")) else "regular"  # noqa: E731
                files = [file["path"] for file in json.loads(body)["files"]]
                rows = [{"path": f, "uploadMode": mode(f), "shouldIgnore": False, "oid": None} for f in files]
                return self.answer({"files": rows})
            case ["datasets", "me", "pairs.git", "info", "lfs", "objects", "batch"]:
                rows = []
                for one in json.loads(body)["objects"]:
                    actions = (
                        {} if one["oid"] in server.objects else {"upload": {"href": f"{server.url}/lfs/{one['oid']}"}}
                    )
                    rows.append({**one, **({"actions": actions} if actions else {})})
                return self.answer({"transfer": "basic", "objects": rows})
            case ["lfs", oid]:
                assert hashlib.sha256(body).hexdigest() == oid
                server.objects[oid] = body
                return self.answer()
            case ["api", "datasets", "me", "pairs", "tree", *_]:
                rows = [{"type": "file", "path": p, "size": len(d), "oid": "0" * 40} for p, d in server.files.items()]
                return self.answer(rows)
            case ["api", "datasets", "me", "pairs", "commit", _]:
                self.commit([json.loads(line) for line in body.splitlines()])
                return self.answer(
                    {"commitUrl": f"{server.url}/datasets/me/pairs/commit/{'1' * 40}", "commitOid": "1" * 40}
                )
            case ["api", "datasets", "me", "pairs", "tag", _]:
                server.tags[json.loads(body)["tag"]] = dict(server.files)
                return self.answer()
            case ["datasets", "me", "pairs", "resolve", tag, name]:
                return self.answer(server.tags[tag][name]) if name in server.tags.get(tag, {}) else self.answer({}, 404)
        self.answer({"error": f"no route for {self.command} {self.path}"}, 404)

    def commit(self, lines):
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.server.files[value["path"]] = self.server.objects[value["oid"]]
            elif line["key"] == "deletedFile":
                del self.server.files[value["path"]]


class ZenodoHandler(Handler):
    """State: ``server.deposits`` by number: metadata, submitted, files by name."""

    def is_file(self):
        return self.path.startswith("/api/files/")

    def open(self):
        return False

    def shown(self, number):
        deposit, url = self.server.deposits[number], self.server.url
        links = {"bucket": f"{url}/api/files/{number}", "html": f"{url}/deposit/{number}"}
        links["latest_draft"] = f"{url}/api/deposit/depositions/{deposit.get('draft', number)}"
        return {"id": number, "metadata": deposit["metadata"], "submitted": deposit["submitted"], "links": links}

    def handle_request(self, parts, body):
        deposits = self.server.deposits
        match (self.command, *parts):
            case ("GET", "api", "deposit", "depositions"):
                return self.answer([self.shown(number) for number in deposits])
            case ("POST", "api", "deposit", "depositions"):
                return self.answer(self.shown(self.made()), 201)
            case ("POST", "api", "deposit", "depositions", number, "actions", "newversion"):
                if int(number) not in deposits:
                    return self.answer({}, 404)
                deposits[int(number)]["draft"] = self.made(dict(deposits[int(number)]["files"]))
                return self.answer(self.shown(int(number)), 201)
            case ("GET", "api", "deposit", "depositions", number):
                return self.answer(self.shown(int(number)))
            case ("PUT", "api", "deposit", "depositions", number):
                deposits[int(number)]["metadata"] = json.loads(body)["metadata"]
                return self.answer(self.shown(int(number)))
            case ("GET", "api", "deposit", "depositions", number, "files"):
                files = deposits[int(number)]["files"]
                return self.answer(
                    [{"id": n, "filename": n, "checksum": hashlib.md5(d).hexdigest()} for n, d in files.items()]
                )
            case ("DELETE", "api", "deposit", "depositions", number, "files", name):
                del deposits[int(number)]["files"][name]
                return self.answer(code=204)
            case ("PUT", "api", "files", number, name):
                deposits[int(number)]["files"][name] = body
                return self.answer({"checksum": f"md5:{hashlib.md5(body).hexdigest()}"}, 201)
        self.answer({}, 404)

    def made(self, files=None):
        number = len(self.server.deposits) + 1
        self.server.deposits[number] = {"metadata": {}, "submitted": False, "files": files or {}}
        return number
