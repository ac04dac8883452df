"""Collections that Snakemake fetches: an archive by http, a folder and a CSV file from S3, checksums and all."""

import functools
import hashlib
import http.server
import io
import json
import os
import socketserver
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import boto3
import polars as pl
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

ROOT = Path(__file__).parents[2]
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


def jpeg(number: int) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").rotate(number * 20).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def portraits(folder: Path, source: dict, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs the workflow up to the portraits, with images of a folder kind; the exit code and what it says."""
    (folder / "labelled").mkdir(exist_ok=True)
    config = {"source": source | {"labelled": "labelled"}, "portraits": {"size": 64, "shards": 2}}
    config |= {"unet": {"versions": {"v1": {"downscale": 2}}}}
    (folder / "config.json").write_text(json.dumps(config))
    files = [str(ROOT / "config/folder.yaml"), "config.json"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", *files]
    options = ["--workflow-profile", str(ROOT / "profiles/default"), "--cores", "2", "--", "portraits"]
    done = subprocess.run(
        command + options,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | (environment or {}),
    )
    return done.returncode, done.stdout


def made(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "results/folder/portraits/shard-*.parquet")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address under which it is served by http."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_archive_by_http_is_checked_and_read_in_place(tmp_path: Path, served):
    folder, address = served
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for number in range(6):
            archive.writestr(f"deep/{number}.jpg", jpeg(number))
    found = hashlib.sha256((folder / "images.zip").read_bytes()).hexdigest()
    source = {"images": f"{address}/images.zip", "sha256": {f"{address}/images.zip": "0" * 64}}
    code, said = portraits(tmp_path, source)
    assert code == 1 and "Traceback" not in said
    assert f"ingest_posts.py: source.images: {address}/images.zip has sha256 {found}; accepted: 000" in said
    code, said = portraits(tmp_path, source | {"sha256": {f"{address}/images.zip": found}})
    assert code == 0, said
    assert sorted(made(tmp_path)["id"]) == [str(number) for number in range(6)]


def test_a_folder_and_tags_from_s3(tmp_path: Path):
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        s3 = boto3.client("s3", endpoint_url=address, aws_access_key_id="test", aws_secret_access_key="test")
        s3.create_bucket(Bucket="portraits")
        for number in range(4):
            s3.put_object(Bucket="portraits", Key=f"set/{number % 2:04}/{number}.jpg", Body=jpeg(number))
        s3.put_object(Bucket="portraits", Key="tags.csv", Body=b"0,1girl blue_hair\n3,solo\n")
        source = {"images": "s3://portraits/set", "tags": "s3://portraits/tags.csv"}
        code, said = portraits(tmp_path, source, KEYS | {"SNAKEMAKE_STORAGE_S3_ENDPOINT_URL": address} | {
            "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "test", "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "test",
        })  # fmt: skip
    finally:
        server.stop()
    assert code == 0, said
    tags = dict(made(tmp_path).select("id", "tags").rows())
    assert tags == {"0": ["1girl", "blue_hair"], "1": [], "2": [], "3": ["solo"]}
