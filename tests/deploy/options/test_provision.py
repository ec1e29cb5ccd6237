"""What functions are given where they run: variables, secrets, room and folders, on every target."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nbgraph import Graph
from nbgraph.deploy.options.resources import Resources
from nbgraph.errors import DeployError, ExportError, NbgraphError
from nbgraph.steps import Queue
from tests.lab.notebook import Notebook

CANARY = f"canary-{os.urandom(8).hex()}"  # this file goes along, as a module of the user's own
RESOURCES = {"tail": {"cpus": 1.5, "memory": "512m", "gpus": 1, "tmp": "128m"}}
VOLUMES = {"tail": {"models": "/models:ro", "scratch": "/scratch"}}


class Ask:
    """Answers with what it finds where it runs."""

    def __init__(self, context: Any) -> None:
        self.context = context

    def do(self, body: Any) -> Any:
        return [self.context.secret("SHOP_KEY"), os.environ.get("LEVEL"), os.environ.get("SHOP_KEY")]


def begin(body: Any) -> Any:
    return body


def shop() -> Graph:
    graph = Graph("shop")
    graph.to(begin).to(Queue("orders")).to(Ask, "ask", function="tail").respond()
    return graph


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text("latin-1") for path in folder.rglob("*") if path.is_file()}


def test_processes_are_given_variables_and_secrets_of_their_function() -> None:
    env = {"LEVEL": "info", "tail": {"LEVEL": "debug"}}
    with shop().deploy("process", env=env, secrets={"tail": {"SHOP_KEY": CANARY}}, progress=False) as deployment:
        folder = deployment._hosted._folder  # type: ignore[attr-defined]
        found = [name for name, text in texts(folder).items() if CANARY in text]
        assert (deployment.invoke(1), found, CANARY in deployment.logs()) == ([CANARY, "debug", CANARY], [], False)


def test_an_update_changes_what_is_given_and_leaves_what_is_not_said() -> None:
    secrets = {"tail": {"SHOP_KEY": CANARY}}
    with shop().deploy("process", env={"LEVEL": "info"}, secrets=secrets, progress=False) as deployment:
        changed = [
            deployment.update(env={"tail": {"LEVEL": "debug"}}, progress=False),
            deployment.update(secrets={"tail": {"SHOP_KEY": "other"}}, threads={"tail": 2}, progress=False),
        ]
        for wrong in ({"env": {"shop_key": "x"}}, {"secrets": {}}, {"resources": {"cpus": 2}}):
            with pytest.raises(DeployError):
                deployment.update(progress=False, **wrong)
        changed.append(deployment.update(progress=False))
        told = changed, deployment.invoke(1), deployment.recipe.threads
    assert told == ([["shop", "tail"], ["tail"], []], ["other", "debug", "other"], {"tail": 2})


def test_a_secret_is_taken_from_here_from_a_file_or_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", CANARY)
    (tmp_path / "key").write_text(CANARY + "\n")
    (tmp_path / "secrets.env").write_text(f"# ours\nexport SHOP_KEY='{CANARY}'\n")
    given: list[Any] = [{"SHOP_KEY": None}, ["SHOP_KEY"], {"SHOP_KEY": tmp_path / "key"}, tmp_path / "secrets.env"]
    from nbgraph.deploy.options.provision import provisions_of
    from nbgraph.graph.deploy_options import FunctionOptions

    found = [provisions_of(["tail"], FunctionOptions(secrets=one))["tail"].secrets for one in given]
    assert found == [{"SHOP_KEY": CANARY}] * 4


@pytest.mark.parametrize("target", ["process", "docker", "swarm"])
def test_a_step_that_asks_for_what_is_not_given_is_refused_before_anything_starts(target: str) -> None:
    with pytest.raises(DeployError) as refused:
        shop().deploy(target, secrets={"shop": {"SHOP_KEY": "x"}}, progress=False)
    assert str(refused.value) == (
        'Step "ask" asks for context.secret("SHOP_KEY"), which function "tail" is not given: '
        'secrets={"SHOP_KEY": None} takes it from the environment here, secrets={"SHOP_KEY": Path("FILE")} from a file.'
    )


CELLS = {
    "in a constructor": "class Step:\n    def __init__(self, context):\n        self.db = context.secret('db')\n"
    "    def do(self, body):\n        return body",
    "in post_init": "class Step:\n    def __init__(self, context):\n        self.context = context\n"
    "    def post_init(self):\n        self.db = self.context.secret('db')\n"
    "    def do(self, body):\n        return body",
    "in a handler": "def Step(body, context):\n    return context.secret('db')",
    "by keyword": "def Step(body, context):\n    return context.secret(name='db')",
    "as a constant": "NAME = 'db'\ndef Step(body, context):\n    return context.secret(NAME)",
    "in a closure": "def make(name):\n    def step(body, context):\n        return context.secret(name)\n"
    "    return step\nStep = make('db')",
    "in a function that it calls": "def connect(context):\n    return context.secret('db')\n"
    "def Step(body, context):\n    return connect(context)",
    "in a base class": "class Base:\n    def __init__(self, context):\n        self.db = context.secret('db')\n"
    "class Step(Base):\n    def do(self, body):\n        return body",
    "in a lambda": "Step = lambda body, context: context.secret('db')",
    "in a partial": "import functools\ndef ask(body, context, more):\n    return context.secret('db')\n"
    "Step = functools.partial(ask, more=1)",
    "in a function within": "def Step(body, context):\n    def inner():\n        return context.secret('db')\n"
    "    return inner()",
    "behind a decorator": "import functools\ndef logged(f):\n    @functools.wraps(f)\n    def call(body, context):\n"
    "        return f(body, context)\n    return call\n"
    "@logged\ndef Step(body, context):\n    return context.secret('db')",
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_what_a_step_asks_for_is_found_in_its_code(cell: str) -> None:
    from nbgraph.deploy.options.secrets import asked_in

    notebook = Notebook()
    notebook.cell("from nbgraph import Graph\n" + cell)
    notebook.cell("g = Graph('g')\n_ = g.to(Step, 'ask').respond()")
    assert asked_in(notebook["g"]) == [("ask", "db")]


def test_what_routes_and_modules_of_ones_own_ask_for_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nbgraph.deploy.options.secrets import asked_in

    (tmp_path / "bank.py").write_text("def connect(context):\n    return context.secret('bank')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    notebook = Notebook()
    notebook.cell(
        "import bank\nfrom nbgraph import Graph\nclass Model:\n    def __init__(self, context):\n"
        "        self.key = bank.connect(context)\n    def do(self, body):\n        return body"
    )
    notebook.cell(
        "g = Graph('g')\nref = g.to('ModelRouter', 'router')\n_ = ref.add_route('m', Model)\n_ = ref.respond()"
    )
    sys.modules.pop("bank", None)
    assert asked_in(notebook["g"]) == [("router", "bank")]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no function": ({"env": {"tial": {"A": "1"}}}, 'env names "tial"; functions: shop, tail.'),
    "no variable": ({"env": {"A-B": "1"}}, 'env has "A-B", which names no variable; expected letters, digits and _.'),
    "missing here": ({"env": {"NOT_SET": None}}, "NOT_SET is to be taken from here, but the environment has none"),
    "a secret in env": ({"env": {"DB_PASSWORD": "x"}}, "env: DB_PASSWORD looks like a secret"),
    "a key in env": ({"env": {"shop_key": "x"}}, 'give it by secrets={"shop_key": None}, which takes it from here'),
    "a key of one": ({"env": {"tail": {"apikey": "x"}}}, 'env of "tail": apikey looks like a secret'),
    "twice": ({"env": {"SHOP": "x"}, "secrets": {"SHOP": "y"}}, '"SHOP" is given by env and by secrets'),
    "ours": ({"secrets": {"api_key": "x"}}, 'secrets has "api_key", which is a secret of nbgraph\'s own'),
    "a path": ({"secrets": {"../x": "x"}}, "secrets has '../x', which names no secret"),
    "no file": ({"env": "no-such.env"}, "env: the file no-such.env can't be read: No such file or directory."),
    "a word": ({"resources": {"tail": {"cpu": 1}}}, 'resources of "tail" has "cpu"; expected some of cpus, memory'),
    "no size": ({"resources": {"memory": "much"}}, "resources: memory is 'much'; expected a size such as \"512m\""),
    "no cpus": ({"resources": {"tail": {"cpus": 0}}}, "cpus is 0; expected a number such as 1.5"),
    "no path": ({"volumes": {"models": "models"}}, "'models' leads to 'models'; expected a path in the container"),
    "relative": ({"volumes": {"./models": "/m"}}, "'./models' depends on where it is read; write the whole path"),
    "taken": ({"volumes": {"models": "/graph/m"}}, "leads to /graph/m, but /graph is the container's own"),
    "two at one": ({"volumes": {"a1": "/m", "b1": "/m:ro"}}, "two volumes lead to /m"),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_what_can_not_be_given_is_refused_by_name(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    for refusing in (
        lambda: shop().deploy("docker", progress=False, **given),
        lambda: shop().export(tmp_path / "x", **given),
    ):
        with pytest.raises(NbgraphError) as refused:
            refusing()
        assert said in str(refused.value)


def test_a_file_that_is_no_list_of_variables_is_refused_without_telling_its_text(tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text(f"A=1\n{CANARY} !\n")
    with pytest.raises(DeployError) as refused:
        shop().deploy("process", secrets=tmp_path / "x.env", progress=False)
    assert str(refused.value) == f"secrets: line 2 of {tmp_path / 'x.env'} is not NAME=VALUE."


def test_processes_are_held_to_their_memory_and_refuse_what_only_containers_have() -> None:
    def much(body: int) -> int:
        return len(bytearray(body))

    graph = Graph("much")
    graph.to(much).respond()
    refused = []
    for given in ({"resources": {"much": {"cpus": 1}}}, {"volumes": {"models": "/models"}}):
        with pytest.raises(DeployError) as error:
            graph.deploy("process", progress=False, **given)  # type: ignore[arg-type]
        refused.append(str(error.value).partition(",")[0])
    with graph.deploy("process", resources={"much": {"memory": "1g"}}, progress=False) as deployment:
        small = deployment.invoke(1000)
        with pytest.raises(NbgraphError, match="MemoryError"):
            deployment.invoke(2 * 2**30)
    assert (small, refused) == (1000, ['"much" is given resources cpus', '"much" is given volumes'])


# --- exports ---


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same graph for every target, with everything that can be given."""
    room = tmp_path_factory.mktemp("exports")
    return {
        target: shop()
        .export(
            room / target, target, env={"LEVEL": "in$fo"}, secrets={"ALSO_KEY": CANARY}, resources=RESOURCES,
            volumes=VOLUMES, api_key=CANARY, capture=0.5, durability="fast", requirements=["six==1.16.0"],
            name="corner",
        )
        .folder
        for target in ("compose", "swarm", "kubernetes", "nuclio")
    }  # fmt: skip


def test_no_export_holds_a_secret(exports: dict[str, Path]) -> None:
    found = {f"{target}/{name}" for target, folder in exports.items() for name, text in texts(folder).items()
             if CANARY in text}  # fmt: skip
    assert found == set()


def test_compose_gives_a_service_what_its_function_is_given(exports: dict[str, Path]) -> None:
    document = yaml.safe_load((exports["compose"] / "compose.yaml").read_text())
    tail = document["services"]["tail"]
    words = ["environment", "secrets", "cpus", "mem_limit", "memswap_limit", "tmpfs", "volumes", "deploy"]
    assert {word: tail[word] for word in words} == {
        "environment": {"LEVEL": "in$$fo"},
        "secrets": ["broker_token", "ALSO_KEY", "SHOP_KEY"],
        "cpus": 1.5,
        "mem_limit": "512m",
        "memswap_limit": "512m",
        "tmpfs": ["/tmp:noexec,nosuid,nodev,size=128m"],
        "volumes": [
            {"type": "volume", "source": "models", "target": "/models", "read_only": True},
            {"type": "volume", "source": "scratch", "target": "/scratch"},
        ],
        "deploy": {
            "replicas": 1,
            "resources": {"reservations": {"devices": [{"capabilities": ["gpu"], "count": 1}]}},
        },
    }
    assert (document["volumes"]["models"], document["services"]["shop"]["secrets"]) == (
        {"name": "models"},
        ["api_key", "broker_token", "ALSO_KEY"],
    )


def test_a_swarm_stack_gives_a_service_what_its_function_is_given(exports: dict[str, Path]) -> None:
    tail = yaml.safe_load((exports["swarm"] / "stack.yaml").read_text())["services"]["tail"]
    assert (tail["environment"], tail["deploy"]["resources"], tail["volumes"]) == (
        {"LEVEL": "in$$fo"},
        {
            "limits": {"memory": str(512 * 2**20), "pids": 256, "cpus": "1.5"},
            "reservations": {"generic_resources": [{"discrete_resource_spec": {"kind": "NVIDIA-GPU", "value": 1}}]},
        },
        [
            {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 128 * 2**20}},
            {"type": "volume", "source": "models", "target": "/models", "read_only": True},
            {"type": "volume", "source": "scratch", "target": "/scratch", "read_only": False},
        ],
    )


def test_kubernetes_gives_a_pod_what_its_function_is_given(exports: dict[str, Path]) -> None:
    text = (exports["kubernetes"] / "manifests" / "functions" / "tail.yaml").read_text()
    pod = next(one for one in yaml.safe_load_all(text) if one["kind"] == "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    secrets = next(one for one in pod["volumes"] if one["name"] == "secrets")["secret"]["items"]
    assert (container["env"], container["resources"], [item["key"] for item in secrets], pod["volumes"][:3]) == (
        [{"name": "LEVEL", "value": "in$fo"}],
        {
            "requests": {"cpu": "250m", "memory": "256Mi"},
            "limits": {"memory": "512Mi", "cpu": "1500m", "nvidia.com/gpu": 1},
        },
        ["broker_token", "ALSO_KEY", "SHOP_KEY"],
        [
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
            {"name": "own-0", "persistentVolumeClaim": {"claimName": "models"}},
            {"name": "own-1", "persistentVolumeClaim": {"claimName": "scratch"}},
        ],
    )


def test_a_nuclio_function_is_given_the_same(exports: dict[str, Path]) -> None:
    spec = yaml.safe_load((exports["nuclio"] / "tail" / "function.yaml").read_text())["spec"]
    assert (spec["env"][1:], spec["resources"]["limits"], [one["volumeMount"] for one in spec["volumes"][1:]]) == (
        [{"name": "LEVEL", "value": "in$fo"}],
        {"memory": "560Mi", "cpu": "1500m", "nvidia.com/gpu": 1},
        [
            {"name": "own-0", "mountPath": "/models", "readOnly": True},
            {"name": "own-1", "mountPath": "/scratch"},
        ],
    )


def test_an_export_takes_the_options_of_a_deployment(exports: dict[str, Path]) -> None:
    folder = exports["compose"]
    assert (
        (folder / "tail" / "capture.json").read_text(),
        "six==1.16.0" in (folder / "tail" / "requirements.txt").read_text(),
        "sync_interval" in (folder / "broker" / "server.conf").read_text(),
        (folder / ".env").read_text(),
    ) == ('{"sample": 0.5, "redacted": []}\n', True, False, "COMPOSE_PROJECT_NAME=corner\n")


def test_the_secrets_of_an_export_are_asked_of_whoever_runs_it(exports: dict[str, Path], tmp_path: Path) -> None:
    clean = {name: text for name, text in os.environ.items() if name not in ("SHOP_KEY", "ALSO_KEY")}
    home = {**clean, "NBGRAPH_SECRETS": str(tmp_path)}
    script = ["sh", str(exports["compose"] / "secrets.sh")]
    without = subprocess.run(script, env=home, capture_output=True, text=True, check=False)
    given = {**home, "SHOP_KEY": CANARY, "ALSO_KEY": "$(touch x) 'q\"\nline"}
    done = subprocess.run(script, env=given, capture_output=True, text=True, check=True)
    again = subprocess.run(script, env=home, capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert (without.returncode, without.stderr) == (
        1,
        f"The secret ALSO_KEY is missing: set the variable ALSO_KEY, or write it into {folder}/ALSO_KEY, and run "
        "this again.\n",
    )
    assert ((folder / "SHOP_KEY").read_text(), (folder / "ALSO_KEY").read_text(), again.returncode) == (
        CANARY,
        "$(touch x) 'q\"\nline",
        0,
    )


def test_what_a_target_has_no_word_for_is_refused(tmp_path: Path) -> None:
    refused = []
    for target, given in [
        ("kubernetes", {"volumes": {"/data": "/data"}}),
        ("kubernetes", {"port": 8000}),
        ("compose", {"secrets": {"shop": {"k": "1"}, "tail": {"k": "2"}}}),
        ("compose", {"host": "0.0.0.0"}),
    ]:
        with pytest.raises((ExportError, DeployError)) as error:
            shop().export(tmp_path / "x", target, **given)  # type: ignore[arg-type]
        refused.append(str(error.value))
    assert [text.partition(":")[0] for text in refused] == [
        '"shop" is given the volume /data, and on Kubernetes a volume is a PersistentVolumeClaim, which no folder of a '
        "node is",
        'Where callers reach target "kubernetes" is its own matter; leave `host` and `port` out.',
        'secrets gives "k" to two functions with two values, and an export asks for one of each name; give them two '
        "names.",
        'host="0.0.0.0" opens the graph to everyone who reaches this machine; give an api_key as well, or leave `host` '
        "out to keep it to this machine.",
    ]


def test_sizes_are_read_as_docker_reads_them() -> None:
    found = [
        Resources.of({"memory": text}, "m").memory for text in ("64m", "1g", "1.5GiB", "100000k", 2**30, "9999999")
    ]
    assert found == [64 * 2**20, 2**30, 3 * 2**29, 102_400_000, 2**30, 9_999_999]
