"""Swarm export: the stack file of a graph, beside what its images are built from."""

from __future__ import annotations

from nbgraph.deploy.order import Order
from nbgraph.deploy.profile import PORT
from nbgraph.deploy.readme import readme
from nbgraph.deploy.secret_files import SCRIPT, secrets_script
from nbgraph.deploy.services import KEY
from nbgraph.deploy.swarm_stack import BROKER_LABEL, stack_file

PLACE = "${SECRETS:?is not set, see README.md}"  # `docker stack deploy` takes no ~
_RUN = """\
Build the images and bring them to where all nodes pull from:

```
{builds}
```

{node}Make the secrets, which stand in no file here, and start; ask it something; stop it:

```
{label}SECRETS="$(sh {script})" docker stack deploy -c stack.yaml {name}
KEY=$(cat "$(sh {script})/{key}")
curl -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' -d '{{}}' http://127.0.0.1:{port}/
docker stack rm {name}
```
"""
_NODE = "Choose the node whose disk keeps what is on its way between the functions.\n"


def swarm_files(order: Order) -> dict[str, bytes]:
    """The folder: a project for each function, the stack file, how to begin."""
    files = {**order.folders(), SCRIPT: secrets_script(order)}
    files["stack.yaml"] = stack_file(order.name, order.graph, order.services, secrets=PLACE).encode()
    files["README.md"] = readme(order, _run(order), files).encode()
    return files


def _run(order: Order) -> str:
    has_broker = order.broker is not None
    return _RUN.format(
        builds=order.builds(), node=_NODE if has_broker else "", script=SCRIPT, name=order.name, key=KEY, port=PORT,
        label=f"docker node update --label-add {BROKER_LABEL}=true NODE\n" if has_broker else "",
    )  # fmt: skip
