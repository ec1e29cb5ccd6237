"""Secret files: the script that makes them on the machine of whoever runs an export, outside the exported folder."""

from __future__ import annotations

from nbgraph.contract import KEY_SECRET, TOKEN_SECRET
from nbgraph.deploy.project.export_spec import ExportSpec
from nbgraph.deploy.project.services import SERVER, TOKEN_LINE
from nbgraph.streams.transport import transport_of

SCRIPT = "secrets.sh"
HOME = "${NBGRAPH_SECRETS:-~/.nbgraph}"  # in a shell and in compose.yaml
_TEXT = """\
#!/bin/sh
# Makes the secrets of the graph once, in a folder of your own, and prints where they are. What is there already stays.
# Those that only you know are taken from the environment: NAME=... sh {script}
set -eu
folder="${{NBGRAPH_SECRETS:-$HOME/.nbgraph}}/{name}"
umask 022 # containers read the files as another user; nobody else on this machine gets into the folder
mkdir -p "$folder"
chmod 700 "$folder"
make() {{ [ -s "$folder/$1" ] || od -An -N16 -tx1 /dev/urandom | tr -d ' \\n' > "$folder/$1"; }}
make {key} # what callers send: Authorization: Bearer KEY; further keys may follow, one a line
{broker}{given}echo "$folder"
"""
_GIVEN = """\
take() {{
  [ -s "$folder/$1" ] || [ -n "$(printenv "$1")" ] || {{
    echo "The secret $1 is missing: set the variable $1, or write it into $folder/$1, and run this again." >&2
    exit 1
  }}
  [ -s "$folder/$1" ] || printf %s "$(printenv "$1")" > "$folder/$1"
}}
"""
_BROKER = """\
make {token} # what the functions tell the broker
printf '{format}' "$(cat "$folder/{token}")" > "$folder/{line}"
"""


def secrets_script(order: ExportSpec) -> bytes:
    """The text of secrets.sh."""
    line = SERVER.token_text("%s").replace("\n", "\\n")
    broker = _BROKER.format(token=TOKEN_SECRET, line=TOKEN_LINE, format=line) if order.broker is not None else ""
    names = "".join(f"take {name} # what steps ask context.secret for\n" for name in order.given_secrets)
    if order.has_login:
        names += transport_of(order.streams).login_script(TOKEN_SECRET)
    given = _GIVEN.format() + names if names else ""
    return _TEXT.format(name=order.name, key=KEY_SECRET, broker=broker, given=given, script=SCRIPT).encode()
