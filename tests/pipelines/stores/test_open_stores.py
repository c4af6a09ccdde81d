"""Opening: private folders, and a wrong root is one sentence."""

import os
import stat
import subprocess
import sys

import pytest

from data_contracts.errors import FlywheelError
from pipelines.stores import open_stores


def test_the_root_is_ours_alone(tmp_path):
    stores = open_stores(tmp_path / "deep" / "zone")
    assert stat.S_IMODE(stores.root.stat().st_mode) == 0o700
    assert open_stores(tmp_path / "deep" / "zone").root == stores.root


def test_the_catalogue_may_lie_elsewhere(tmp_path):
    open_stores(tmp_path / "zone", catalogue_url=f"sqlite:///{tmp_path / 'elsewhere.sqlite'}")
    assert (tmp_path / "elsewhere.sqlite").is_file()
    assert not (tmp_path / "zone" / "catalogue.sqlite").exists()


@pytest.mark.parametrize("below", ["file", "file/zone"])
def test_a_root_that_is_a_file_is_one_sentence(tmp_path, below):
    (tmp_path / "file").write_text("x")
    with pytest.raises(FlywheelError, match="a file where its folder should be"):
        open_stores(tmp_path / below)


@pytest.mark.parametrize("below", ["", "zone"])
def test_a_root_that_is_not_writable_is_one_sentence(tmp_path, below):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; the read-only mount below shows the same")
    (tmp_path / "shut").mkdir(mode=0o500)
    with pytest.raises(FlywheelError, match="not writable"):
        open_stores(tmp_path / "shut" / below)


def test_a_read_only_disk_is_one_sentence(tmp_path):
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=100k", "tmpfs", str(tmp_path / "disk")]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    try:
        for root in (tmp_path / "disk", tmp_path / "disk" / "zone"):
            with pytest.raises(FlywheelError, match="not writable"):
                open_stores(root)
    finally:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)


def test_importing_the_stores_pulls_in_neither_torch_nor_dagster():
    code = "import sys, pipelines.stores; print({'torch', 'dagster'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "set()"
