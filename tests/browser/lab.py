"""Lab: a real JupyterLab (and Notebook 7) server for the tests, its own settings folder, notebooks made from texts."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat

NO_NEWS = '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}'  # else a pop-up lies over the page
CURRENT = ".jp-NotebookPanel:not(.lm-mod-hidden) "  # other notebooks stay in the DOM
OPEN = """async path => {
    const app = window.jupyterapp;
    const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'});
    await panel.context.ready;
    await panel.sessionContext.ready;
    await app.commands.execute('notebook:run-all-cells');
}"""
CLOSE = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.save();
    await panel.sessionContext.shutdown();
    panel.dispose();
}"""


class Lab:
    """`url` is where it listens; `notebook(name, *cells)` writes a notebook into its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        names = ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR",
                 "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR")  # fmt: skip
        own = {name: str(folder / ".jupyter" / name.lower()) for name in names}
        overrides = folder / ".jupyter" / "settings"
        overrides.mkdir(parents=True)
        (overrides / "overrides.json").write_text(NO_NEWS)
        self._log = (folder / "lab.log").open("w")
        command = [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser",
            "--JupyterNotebookApp.expose_app_in_browser=True", "--IdentityProvider.token=", f"--port={port}",
            "--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={folder}",
            f"--LabServerApp.app_settings_dir={overrides}", "--LabApp.news_url=None",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        ]  # fmt: skip
        environment = {**os.environ, **own, "PYTHONWARNINGS": ""}
        self._process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/api/status", timeout=2).close()
                return
            except OSError:
                time.sleep(0.2)
        self.stop()
        raise TimeoutError(f"JupyterLab did not answer; its log: {(self.folder / 'lab.log').read_text()[-2000:]}")

    def notebook(self, name: str, *cells: str) -> str:
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, self.folder / name)
        return name

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._log.close()
