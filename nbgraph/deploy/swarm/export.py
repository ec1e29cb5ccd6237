"""Swarm export: the stack file of a graph, beside what its images are built from."""

from __future__ import annotations

from nbgraph.contract import KEY_SECRET, PORT
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.readme import readme
from nbgraph.deploy.project.secret_files import SCRIPT, secrets_script
from nbgraph.deploy.swarm.stack_file import BROKER_LABEL, stack_file

PLACE = "${SECRETS:?is not set, see README.md}"  # `docker stack deploy` takes no ~
_RUN = """\
Build the images, and {where}:

```
{builds}
```

{node}Make the secrets, which stand in no file here, and start; ask it something on the node that `docker stack ps`
names for the gateway; stop it:

```
{label}SECRETS="$(sh {script})" docker stack deploy {options}-c stack.yaml {name}
KEY=$(cat "$(sh {script})/{key}")
curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{{}}' http://NODE:{port}/
docker stack rm {name}
```
"""
_NODE = "Choose the node whose disk keeps what is on its way between the functions.\n"
_PUSHED = "bring them to the registry that all nodes pull from"
_LOADED = "bring them to all nodes (`docker save`, `docker load`; or export with `registry=`)"


def swarm_files(order: ExportSpec) -> dict[str, bytes]:
    """The folder: a project for each function, the stack file, how to begin."""
    files = {**order.folders(), SCRIPT: secrets_script(order)}
    files["stack.yaml"] = stack_file(order.name, order.graph, order.services, secrets=PLACE).encode()
    files["README.md"] = readme(order, _run(order), files).encode()
    return files


def _run(order: ExportSpec) -> str:
    has_broker = order.broker is not None
    return _RUN.format(
        builds=order.builds(), where=_PUSHED if order.is_pushed else _LOADED, node=_NODE if has_broker else "",
        label=f"docker node update --label-add {BROKER_LABEL}=true NODE\n" if has_broker else "", script=SCRIPT,
        options="" if order.is_pushed else "--resolve-image never ", name=order.name, key=KEY_SECRET, port=PORT,
    )  # fmt: skip
