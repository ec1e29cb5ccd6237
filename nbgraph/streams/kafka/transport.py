"""Kafka as a transport: an external cluster, in which a deployment has topics under its own name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from nbgraph.errors import DeployError
from nbgraph.streams.base import Broker, QueueSpec
from nbgraph.streams.transport import ScaleTrigger, StreamAddress, Transport

ENVIRONMENT = "NBGRAPH_KAFKA"  # the variable that says where Kafka's brokers are
PARTITIONS, TOPICS = "partitions", "topics"  # options of nbgraph's own; librdkafka's have dots
SPREAD = 16  # partitions of a queue without a key
LOGIN = ("sasl.username", "sasl.password")
SECRET_WORDS = ("password", "secret", "username", "oauthbearer.config", ".pem")  # of options that are not for all eyes
FILES = {f"ssl.{word}.location": f"ssl.{word}.pem" for word in ("ca", "certificate", "key")}
READERS = ("session.", "heartbeat.", "fetch.", "max.poll.", "group.")  # how options of consumers alone begin
EXAMPLE = '"kafka://host:9092", or "kafka://user:password@host:9093?sasl.mechanism=SCRAM-SHA-512"'
PORT = 9092
SECRETS_OF_LOGIN = {"username": "kafka_username", "password": "kafka_password"}  # by KEDA's parameters
SASL_OF_KEDA = {"PLAIN": "plaintext", "SCRAM-SHA-256": "scram_sha256", "SCRAM-SHA-512": "scram_sha512"}


@dataclass(frozen=True, slots=True)
class KafkaUrl:
    """A broker's address taken apart: its servers, the scope of its topics, nbgraph's options and librdkafka's."""

    servers: str
    scope: str = ""
    partitions: int = SPREAD
    makes_topics: bool = True
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, url: str) -> KafkaUrl:
        """Read a URL.

        >>> found = KafkaUrl.of("kafka://a:9092,b/orders?partitions=4&security.protocol=SSL")
        >>> found.servers, found.scope, found.partitions, dict(found.options)
        ('a:9092,b:9092', 'orders', 4, {'security.protocol': 'SSL'})
        """
        parts = urlsplit(url)
        hosts = [host for host in parts.netloc.rpartition("@")[2].split(",") if host]
        servers = ",".join(host if ":" in host.rpartition("]")[2] else f"{host}:{PORT}" for host in hosts)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        partitions, topics = options.pop(PARTITIONS, str(SPREAD)), options.pop(TOPICS, "made")
        unknown = [name for name in options if "." not in name]
        if not servers:
            raise DeployError(f"streams={_shown(url)!r} names no host; expected {EXAMPLE}.")
        if unknown:
            raise DeployError(
                f'Kafka has no option "{unknown[0]}"; expected {PARTITIONS}=16, {TOPICS}=auto, or an option of '
                'librdkafka, as "security.protocol=SASL_SSL".'
            )
        if not partitions.isdecimal() or int(partitions) < 1:
            raise DeployError(f"{PARTITIONS}={partitions} is not allowed; expected a whole number from 1 on.")
        if topics not in ("made", "auto"):
            raise DeployError(
                f'{TOPICS}={topics} is not known; expected "made" (nbgraph makes them), or "auto" (brokers make what '
                "they are asked for)."
            )
        return cls(servers, parts.path.strip("/"), int(partitions), topics == "made", options)

    def text(self) -> str:
        """The URL; it says only what is not usual."""
        own = {PARTITIONS: str(self.partitions)} if self.partitions != SPREAD else {}
        own |= {} if self.makes_topics else {TOPICS: "auto"}
        query = urlencode({**own, **dict(sorted(self.options.items()))})
        return f"kafka://{self.servers}/{self.scope}" + (f"?{query}" if query else "")


class KafkaTransport(Transport):
    """Queues are topics; the secret of an address has librdkafka's options that are not for all eyes, as JSON."""

    name = "kafka"
    packages = ("confluent-kafka",)
    most_readers = SPREAD

    def address(self, given: str, scope: str) -> StreamAddress:
        url = _of_environment() if given == self.name else given
        parts = urlsplit(url)
        if parts.path.strip("/"):
            raise DeployError(
                f"streams={_shown(url)!r} has a path; a deployment's topics are kept apart by its name: leave it out."
            )
        found = KafkaUrl.of(url)
        user, _, password = parts.netloc.rpartition("@")[0].partition(":")
        options = {**found.options}
        if user:
            options = {"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", **options}
            options |= dict(zip(LOGIN, (unquote(user), unquote(password)), strict=True))
        for name in FILES.keys() & options.keys():
            options[FILES[name]] = _content(name, options.pop(name))
        secret = {name: value for name, value in options.items() if any(word in name for word in SECRET_WORDS)}
        public = {name: value for name, value in options.items() if name not in secret}
        # A kernel reads each queue alone, and in order.
        partitions = 1 if not scope and PARTITIONS not in dict(parse_qsl(parts.query)) else found.partitions
        address = KafkaUrl(found.servers, scope, partitions, found.makes_topics, public).text()
        return StreamAddress(address, json.dumps(secret, sort_keys=True) if secret else "", self.name)

    async def connect(self, address: StreamAddress, *, patience: float = 60.0, reads: bool = True) -> Broker:
        from nbgraph.streams.kafka.broker import KafkaBroker  # an extra

        url = KafkaUrl.of(address.url)
        options = {**url.options, **(json.loads(address.secret) if address.secret else {})}
        consumer = {name: value for name, value in options.items() if name.startswith(READERS)}
        return await KafkaBroker.connect(
            url.servers, options={name: value for name, value in options.items() if name not in consumer},
            consumer=consumer, spread=url.partitions, makes_topics=url.makes_topics, scope=url.scope,
            patience=patience, reads=reads,
        )  # fmt: skip

    def away(self) -> tuple[type[Exception], ...]:
        from nbgraph.streams.kafka.client import kafka

        return (OSError, kafka.KafkaException)

    async def forget(self, address: StreamAddress) -> None:
        from nbgraph.streams.kafka.broker import KafkaBroker

        broker = await self.connect(address, patience=10, reads=False)
        try:
            assert isinstance(broker, KafkaBroker)
            await broker.clear()
        finally:
            await broker.close()

    def triggers(self, address: StreamAddress, queue: QueueSpec, target: float, monitor: str) -> Sequence[ScaleTrigger]:
        """One for the topic; what is done behind an open message counts as waiting there."""
        from nbgraph.streams.kafka.topics import topic_of

        url = KafkaUrl.of(address.url)
        topic = topic_of(queue, url.scope)
        protocol = url.options.get("security.protocol", "PLAINTEXT")
        mechanism = url.options.get("sasl.mechanism", url.options.get("sasl.mechanisms", "PLAIN"))
        if "SASL" in protocol and mechanism not in SASL_OF_KEDA:
            raise DeployError(
                f"KEDA does not log in to Kafka by {mechanism}; expected one of {', '.join(SASL_OF_KEDA)}, or no "
                "`autoscale`."
            )
        login = {"sasl": SASL_OF_KEDA[mechanism]} if "SASL" in protocol else {}
        return [
            ScaleTrigger(
                "kafka",
                {
                    "bootstrapServers": url.servers,
                    "consumerGroup": topic,
                    "topic": topic,
                    "lagThreshold": f"{target:g}",
                    "offsetResetPolicy": "earliest",
                    **login,
                    **({"tls": "enable"} if "SSL" in protocol else {}),
                },
                SECRETS_OF_LOGIN if login else {},
            )
        ]

    def check_export(self, address: StreamAddress) -> None:
        others = sorted(json.loads(address.secret or "{}").keys() - set(LOGIN))
        if others:
            raise DeployError(
                f"An export holds no secrets, and asks for user and password alone, not for {others[0]}; leave that "
                "out of `streams`, and have the base image trust the brokers' certificate."
            )

    def login_script(self, secret_file: str) -> str:
        names = "".join(f"take {name} # the login at Kafka's brokers\n" for name in SECRETS_OF_LOGIN.values())
        values = " ".join(f'"$(quoted {name})"' for name in SECRETS_OF_LOGIN.values())
        text = ", ".join(f'"{option}": "%s"' for option in LOGIN)
        quoted = """quoted() { sed 's/[\\\\"]/\\\\&/g' "$folder/$1"; }\n"""
        return f"{names}{quoted}printf '{{{text}}}' {values} > \"$folder/{secret_file}\"\n"

    def hosts(self, address: StreamAddress) -> list[tuple[str, int]]:
        """
        >>> KafkaTransport().hosts(StreamAddress.of_url("kafka://a:9092,[::1]:9093/orders"))
        [('a', 9092), ('[::1]', 9093)]
        """
        pairs = [server.rpartition(":") for server in KafkaUrl.of(address.url).servers.split(",")]
        return [(host, int(port)) for host, _, port in pairs]


def _of_environment() -> str:
    found = os.environ.get(ENVIRONMENT, "")
    if not found:
        raise DeployError(
            f'streams="kafka" needs the address of a Kafka broker in the environment, {ENVIRONMENT}="host:9092"; a '
            'NATS server comes along with nbgraph: streams="nats".'
        )
    return found if "://" in found else f"kafka://{found}"


def _content(option: str, path: str) -> str:
    try:
        return Path(path).expanduser().read_text()
    except OSError as error:
        raise DeployError(f"The file of {option} can't be read: {path}: {error.strerror}.") from error


def _shown(url: str) -> str:
    """A URL without what may be secret.

    >>> _shown("kafka://me:secret@host:9092/x?sasl.password=p")
    'kafka://host:9092/x'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


TRANSPORT = KafkaTransport()
