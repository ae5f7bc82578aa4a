import itertools
import logging
import os
import urllib.request
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

os.environ["SIGFORGE_TRACKING"] = "off"
# Processes that tests start in other folders find the flows, which no wheel holds.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
# Read by Hugging Face's libraries when they are imported: no test asks the network.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    # Images and networks are small: a second thread gains little, and on a busy machine costs many times as much.
    torch.set_num_threads(1)


class S3Server:
    """moto's server; it can be stopped and started again, and then still knows what it held."""

    def __init__(self):
        self.port, self.names = 0, itertools.count()
        self.start()

    def start(self):
        from moto.server import ThreadedMotoServer

        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self.server.start()
        self.port = self.server.get_host_and_port()[1]

    def stop(self):
        if self.server:
            self.server.stop()
        self.server = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def requests_before_keys_are_checked(self, count):
        """``inf`` at the start."""
        kind = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", data=count, headers=kind)
        urllib.request.urlopen(request).close()


@pytest.fixture(scope="session")
def _s3_server():
    pytest.importorskip("moto", reason="moto[server] is not installed: extra 'test'")
    pytest.importorskip("s3fs", reason="s3fs is not installed: extra 's3'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(_s3_server, monkeypatch):
    """The server, up; ``s3.folder`` lies in a bucket of this test's own."""
    from sigforge.core.storage import _s3, place

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    settings = {
        "ACCESS_KEY_ID": "key",
        "SECRET_ACCESS_KEY": "secret",
        "DEFAULT_REGION": "us-east-1",
        "MAX_ATTEMPTS": "1",
    }
    settings |= {"ENDPOINT_URL": _s3_server.url, "EC2_METADATA_DISABLED": "true"}
    settings |= {"CONFIG_FILE": os.devnull, "SHARED_CREDENTIALS_FILE": os.devnull}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = f"bucket-{next(_s3_server.names)}"
    _s3().mkdir(bucket)
    _s3_server.folder = place(f"s3://{bucket}/shards/vif")
    yield _s3_server
    if _s3_server.server is None:
        _s3_server.start()
