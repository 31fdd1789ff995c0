"""What people get: by pip, as charla.pyz, and as a checkout; each beside modules of their own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import DEADLINE, ROOT, LineClient, Program

NAMES = {"settings", *(path.stem for path in (*ROOT.glob("*.py"), *(ROOT / "charla").rglob("*.py")))}
"""What people call modules of theirs, too."""


@dataclass(frozen=True)
class Way:
    """A way to start the programs: what is run, in which folder, and what people are told to type."""

    client: Sequence[str]
    server: Sequence[str]
    folder: Path
    client_typed: str
    server_typed: str

    def run(self, command: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            [*command, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=DEADLINE,
        )


def write_project(folder: Path) -> None:
    """Write somebody's own modules, each of which ends a program that imports it."""
    folder.mkdir()
    for name in NAMES - sys.stdlib_module_names - {"__init__", "__main__"}:
        (folder / f"{name}.py").write_text(f"raise SystemExit('the project has a {name}.py')\n")


def pip(*arguments: str | Path) -> None:
    """Run pip, without network."""
    command = [sys.executable, "-m", "pip", *map(str, arguments), "--quiet", "--no-index", "--no-deps"]
    subprocess.run(command, check=True, timeout=6 * DEADLINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a virtual environment in which pip has installed a copy of this folder."""
    for needed in ("pip", "setuptools"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"no {needed} for this Python")
    folder = tmp_path_factory.mktemp("installed")
    made = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "charla.pyz*")
    shutil.copytree(ROOT, folder / "copy", ignore=made)  # to build it leaves files there
    pip("wheel", folder / "copy", "--no-build-isolation", "--wheel-dir", folder)
    venv.create(folder / "venv", symlinks=os.name == "posix")
    (wheel,) = folder.glob("*.whl")
    pip("--python", folder / "venv", "install", wheel)
    write_project(folder / "project")
    return folder


@pytest.fixture(scope="module")
def handed_round(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with charla.pyz, and nothing else."""
    if not shutil.which("make"):
        pytest.skip("there is no make")
    folder = tmp_path_factory.mktemp("pyz")
    make_pyz(folder / "charla.pyz")
    return folder


def make_pyz(file: Path) -> None:
    """Have make write the file."""
    without = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    command = ["make", "--silent", "pyz", f"PYZ={file}", f"PYTHON={sys.executable}"]
    subprocess.run(command, cwd=ROOT, env=without, check=True, timeout=DEADLINE)


@pytest.fixture(params=["commands", "-m charla", "-m charla.client", "charla.pyz", "another name"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Way:
    """Return each way to start the programs without a checkout."""
    if request.param == "another name":
        shutil.copy(request.getfixturevalue("handed_round") / "charla.pyz", tmp_path / "mi sala")
        called = (sys.executable, "./mi sala")
        return Way(called, (*called, "server"), tmp_path, "python3 './mi sala'", "python3 './mi sala' server")
    if request.param == "charla.pyz":
        folder: Path = request.getfixturevalue("handed_round")
        file = (sys.executable, "-I", "charla.pyz")
        return Way(file, (*file, "server"), folder, "python3 charla.pyz", "python3 charla.pyz server")
    folder = request.getfixturevalue("installed")
    programs, project = folder / "venv" / "bin", folder / "project"
    if request.param == "commands":
        client, server = [str(programs / "charla")], [str(programs / "charla-server")]
        monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
        return Way(client, server, project, "charla", "charla-server")
    python = str(programs / "python")
    if request.param == "-m charla":
        module = (python, "-m", "charla")
        return Way(module, (*module, "server"), project, f"{python} -m charla", f"{python} -m charla server")
    monkeypatch.setenv("PATH", os.pathsep.join([str(programs), os.environ["PATH"]]))
    client, server = [python, "-m", "charla.client"], [python, "-m", "charla.server"]
    return Way(client, server, project, "python3 -m charla.client", "python3 -m charla.server")


def test_pip_installs_one_package_and_two_commands(installed: Path) -> None:
    (packages,) = (installed / "venv").glob("lib/python*/site-packages")
    names = {path.name for path in packages.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"charla"}
    assert not [path for path in packages.rglob("*") if path.stem in ("tests", "bench", "docs")]
    assert (packages / "charla" / "i18n" / "languages" / "es.po").is_file()
    commands = {path.name for path in (installed / "venv" / "bin").iterdir()}
    assert {name for name in commands if "charla" in name} == {"charla", "charla-server"}


def test_a_message_goes_through_and_the_hints_name_what_was_called(way: Way) -> None:
    environment = {"PYTHONPATH": str(way.folder)}
    with Program("--port", "0", environment=environment, command=way.server, folder=way.folder) as server:
        port = server.wait_for_line(r"listening on 127\.0\.0\.1:(\d+)")[1]
        server.wait_for_line(rf"To join, in another terminal: {way.client_typed} --port {port} ")
        server.wait_for_line(rf"let others in: {way.server_typed} --port 0 --host 0\.0\.0\.0$")
        with LineClient(("127.0.0.1", int(port))) as eva:
            eva.join_plain("eva")
            done = way.run(way.client, "--port", port, "--nick", "ana", "--send", "¿qué tal?")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            eva.until("^ana: ¿qué tal\\?$")
        server.process.terminate()
        assert server.status() == 0
    done = way.run(way.client, "--port", port, "--nick", "ana", "--send", "hola")
    assert done.returncode == 3
    assert f"({way.server_typed} --port {port})" in done.stderr


def test_help_and_errors_name_it_too(way: Way) -> None:
    for command, typed, name in (
        (way.client, way.client_typed, "charla"),
        (way.server, way.server_typed, "charla-server"),
    ):
        done = way.run(command, "--help")
        assert (done.returncode, done.stderr) == (0, "")
        assert " ".join(done.stdout.split()).startswith(f"usage: {typed} [-h] ")
        assert f"\n  {typed} --" in done.stdout
        assert ".py " not in done.stdout
        done = way.run(command, "7000")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"{name}: '7000' is not an option: {typed} --help shows those there are\n"


@pytest.mark.parametrize("way", ["commands", "charla.pyz"], indirect=True)  # of folders, and of a zip file
def test_they_speak_spanish(way: Way) -> None:
    for command in (way.client, way.server):
        done = way.run(command, "--help", "--lang", "es")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("uso: ")
        assert "en, es" in done.stdout


# ---- charla.pyz ----------------------------------------------------------------------------------


def test_the_file_to_hand_round_is_small_and_has_the_package_alone(handed_round: Path) -> None:
    file = handed_round / "charla.pyz"
    assert file.stat().st_size < 300_000
    assert os.access(file, os.X_OK)
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {"__main__.py", "charla"}
    assert not [name for name in names if "__pycache__" in name]


def test_the_same_files_make_the_same_bytes(handed_round: Path, tmp_path: Path) -> None:
    make_pyz(tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == (handed_round / "charla.pyz").read_bytes()


def test_the_word_client_may_stand_in_front_of_its_options(handed_round: Path) -> None:
    command = [sys.executable, "charla.pyz", "client", "--nick", "ana", "--port", "x"]
    done = subprocess.run(
        command, cwd=handed_round, capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "charla: argument --port: 'x' is not a port: give a number from 1 to 65535\n"


# ---- from a checkout -----------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["client.py", "server.py"])
@pytest.mark.parametrize("options", [(), ("-P",), ("-I",)], ids=["as it is", "-P", "-I"])
def test_a_checkout_runs_from_any_folder_with_its_own_package(
    program: str, options: Sequence[str], tmp_path: Path
) -> None:
    if options == ("-P",) and sys.version_info < (3, 11):
        pytest.skip("Python 3.11 has brought it")
    project = tmp_path / "project"
    write_project(project)
    (project / "charla").mkdir()
    (project / "charla" / "__init__.py").write_text("raise SystemExit('another Charla')\n")
    done = subprocess.run(
        [sys.executable, *options, str(ROOT / program), "--version"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Charla ")


@pytest.mark.parametrize("program", ["client.py", "server.py"])
def test_a_program_that_was_copied_without_its_folder_says_so(program: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / program, tmp_path)
    done = subprocess.run(
        [sys.executable, "-I", "-S", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{program} needs the folder charla next to it: copy both. ")
    assert "Traceback" not in done.stderr
