from pathlib import Path

import pytest
import yaml

from fitrec import resources
from fitrec.datasets import load_manifest, locate, names, verify
from fitrec.errors import MissingFileError, StoreError
from fitrec.stages import fetch

FILES = {"a.txt": b"hello", "sub/b.txt": b"world"}
SHA256 = {
    "a.txt": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    "sub/b.txt": "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7",
}


@pytest.fixture(params=["files", "folder"])
def mirror(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a mirror with one data set, listed file by file or by one digest."""
    manifest = {
        "name": "set", "title": "t", "version": "1", "licence": "l", "citation": "c", "notes": "n",
        "origin": [{"repository": "https://example.org/repo", "path": "data/"}, {"doi": "10.1/x"}],
    }  # fmt: skip
    if request.param == "files":
        manifest["files"] = [{"path": p, "bytes": len(b), "sha256": SHA256[p]} for p, b in FILES.items()]
    else:
        import hashlib

        lines = "".join(f"{SHA256[p]}  {p}\n" for p in sorted(FILES))
        manifest["folder"] = {"files": 2, "bytes": 10, "sha256": hashlib.sha256(lines.encode()).hexdigest()}  # type: ignore[assignment]
    (tmp_path / "checkout" / "data_manifests").mkdir(parents=True)
    (tmp_path / "checkout" / "data_manifests" / "set.yaml").write_text(yaml.safe_dump(manifest))
    monkeypatch.setattr(resources, "root", lambda: tmp_path / "checkout")
    monkeypatch.delenv("FITREC_DATA", raising=False)
    folder = tmp_path / "shared" / "data"
    for path, content in FILES.items():
        (folder / "set" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "set" / path).write_bytes(content)
    (folder / "set" / "SOURCE.txt").write_text("a note of the mirror")
    return folder


def test_found_beside_the_checkout(mirror: Path) -> None:
    assert locate("set") == verify("set") == mirror / "set"


def test_environment_comes_first(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("FITREC_DATA", str(tmp_path / "elsewhere"))
    assert verify("set") == tmp_path / "elsewhere" / "set"


def test_absent_data_say_where_to_get_them(mirror: Path) -> None:
    mirror.rename(mirror.with_name("gone"))
    with pytest.raises(MissingFileError, match=r"obtain it from https://example.org/repo \(data/\) and https://doi.org/10.1/x"):
        locate("set")
    with pytest.raises(MissingFileError, match="no data set 'sett'; did you mean set"):
        locate("sett")


def test_interrupted_download(mirror: Path) -> None:
    (mirror / "set" / "a.txt").write_bytes(b"hel")
    with pytest.raises(StoreError, match=r"data set set is not whole: .* bytes"):
        locate("set")
    (mirror / "set" / "a.txt").unlink()
    with pytest.raises(StoreError, match="data set set is not whole"):
        locate("set")


def test_changed_file(mirror: Path) -> None:
    (mirror / "set" / "a.txt").write_bytes(b"hallo")
    assert locate("set")
    with pytest.raises(StoreError, match="SHA-256 of the manifest"):
        verify("set")


def test_fetch_copies(mirror: Path, tmp_path: Path) -> None:
    folder = fetch.run("set", tmp_path / "mine")
    assert folder == tmp_path / "mine" / "set"
    assert (folder / "sub" / "b.txt").read_bytes() == b"world"
    with pytest.raises(StoreError, match="exists already"):
        fetch.run("set", tmp_path / "mine")


def test_every_manifest_is_complete() -> None:
    assert "alm_kim2023" in names()
    for name in names():
        manifest = load_manifest(name)
        assert manifest.name == name
        assert manifest.obtain.startswith("https://")
        assert all(len(file["sha256"]) == 64 and file["bytes"] >= 0 for file in manifest.files)
        assert manifest.files or manifest.folder
