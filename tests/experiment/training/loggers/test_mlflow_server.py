"""Whether MLflow answers is found out before training, within seconds."""

from __future__ import annotations

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rllib_recattn.errors import SettingsError
from rllib_recattn.experiment.training.loggers.mlflow_server import check_server, impatient

WHERE = "x.yaml: memory.logging.mlflow.tracking_uri"


@pytest.fixture
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def server():
    """Serves one answer to everything; returns what sets it, and its address."""

    class Handler(BaseHTTPRequestHandler):
        answer = (404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none of this name"})

        def do_GET(self):
            status, content = self.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield Handler, f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_server_that_is_there_is_fine(server):
    pytest.importorskip("mlflow", reason="an extra of this package")
    check_server(server[1], "memory", WHERE)


def test_a_server_that_refuses_us(server):
    pytest.importorskip("mlflow", reason="an extra of this package")
    server[0].answer = (401, {"error_code": "UNAUTHENTICATED", "message": "who are you?"})
    with pytest.raises(SettingsError, match=r"x.yaml: memory.logging.mlflow.tracking_uri = 'http://127.*who are you"):
        check_server(server[1], "memory", WHERE)


def test_an_experiment_that_was_deleted(server):
    pytest.importorskip("mlflow", reason="an extra of this package")
    experiment = {"experiment_id": "1", "name": "memory", "lifecycle_stage": "deleted", "artifact_location": "x"}
    server[0].answer = (200, {"experiment": experiment})
    with pytest.raises(SettingsError, match=r"the experiment 'memory' is among its deleted ones: .*experiment_name"):
        check_server(server[1], "memory", WHERE)


def test_a_server_that_is_not_there(closed_port):
    pytest.importorskip("mlflow", reason="an extra of this package")
    with pytest.raises(SettingsError, match=r"within 5 s, or a database such as .*: ConnectionRefusedError") as error:
        check_server(f"http://me:secret@127.0.0.1:{closed_port}", "memory", "MLFLOW_TRACKING_URI")
    assert str(error.value).startswith(f"MLFLOW_TRACKING_URI = 'http://127.0.0.1:{closed_port}': should be")
    assert "secret" not in str(error.value)


def test_a_database_server_that_is_not_there(closed_port):
    with pytest.raises(SettingsError, match="nothing answers there within 5 s") as error:
        check_server(f"postgresql+psycopg2://me:secret@127.0.0.1:{closed_port}/runs", "memory", WHERE)
    assert "secret" not in str(error.value)


def test_an_address_of_no_kind():
    pytest.importorskip("mlflow", reason="an extra of this package")
    with pytest.raises(SettingsError, match=r"tracking_uri = 'foo://x': should be an MLflow server .*unsupported URI"):
        check_server("foo://x", "memory", WHERE)


def test_database_files(tmp_path):
    check_server(f"sqlite:///{tmp_path}/new/mlflow.db", "memory", WHERE)
    assert not list(tmp_path.iterdir()), "looking makes nothing"
    (tmp_path / "text.db").write_text("no database " * 100)
    for wrong in ("text.db", "text.db/below.db", ""):
        with pytest.raises(SettingsError, match=r"should be a file with a database, or one that can be made: "):
            check_server(f"sqlite:///{tmp_path}/{wrong}", "memory", WHERE)


def test_patience_is_what_the_environment_says(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with impatient():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ
