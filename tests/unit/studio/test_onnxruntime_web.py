"""ONNX Runtime Web: from npm's registry, or in one line what is wrong."""

import pytest

from facemill.errors import UserError
from facemill.studio import onnxruntime_web as module


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("has_npm", [True, False])
def test_without_a_network_one_line_says_what_helps(tmp_path, monkeypatch, has_npm):
    refusing = "http://127.0.0.1:9"
    for name in ("npm_config_registry", "https_proxy"):
        monkeypatch.setenv(name, refusing)
    if not has_npm:
        monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "facemill/onnxruntime-web-1.30.0.tgz"
    with pytest.raises(
        UserError, match=rf"cannot be fetched from npm's registry \(.+\); accepted: .* as {path}$"
    ) as raised:
        module.onnxruntime_web()
    assert len(str(raised.value).splitlines()) == 1 and not path.exists()


def test_another_file_in_the_cache_is_refused(tmp_path):
    path = tmp_path / "facemill/onnxruntime-web-1.30.0.tgz"
    path.parent.mkdir()
    path.write_bytes(b"another file")
    with pytest.raises(UserError, match=f"{path}: .* its SHA-256 is another; accepted: "):
        module.onnxruntime_web()


def test_a_module_as_a_script():
    text = "var a=1,b$=import.meta.url;export{a as one,b$ as default};\n//# sourceMappingURL=x.map\n"
    script = module._as_script(text)
    assert "export" not in script and "import" not in script
    assert script.endswith("return { one: a, default: b$ }; })();\n")
