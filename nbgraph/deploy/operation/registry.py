"""Registry: the deployments that this process started or attached to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbgraph.deploy.backend import Backend, DaemonError

if TYPE_CHECKING:
    from nbgraph.deploy.deployment import Deployment

Place = tuple[str, str]  # a target, and the name of a deployment there


class Registry:
    """Deployments by their places; what has been ended elsewhere is forgotten when somebody looks for it."""

    def __init__(self) -> None:
        self._held: dict[Place, tuple[Backend, Deployment]] = {}

    def add(self, hosted: Backend, deployment: Deployment) -> None:
        self._held[_place(hosted)] = hosted, deployment

    def remove(self, hosted: Backend) -> None:
        self._held.pop(_place(hosted), None)

    def clear(self) -> None:
        """Forget all, as another process knows none of them."""
        self._held.clear()

    def held(self, name: str, target: str | None) -> dict[Place, Deployment]:
        """Those that run, by their own name or their graph's, on one target or on all."""
        found = {}
        for place, (hosted, deployment) in list(self._held.items()):
            if target in (None, place[0]) and name in (place[1], hosted.request.graph):
                if _is_there(hosted):
                    found[place] = deployment
                else:
                    self.remove(hosted)
        return found


def _place(hosted: Backend) -> Place:
    return hosted.target, hosted.request.name


def _is_there(hosted: Backend) -> bool:
    """Whether it runs still; somebody else may have ended it."""
    try:
        return bool(hosted.states())
    except DaemonError:  # nobody can tell
        return True
    except Exception:
        return False


HERE = Registry()
