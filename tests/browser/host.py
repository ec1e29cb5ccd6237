"""Host: a plain page that holds a widget's own module, with the real Python widget behind it and no Jupyter."""

import json
import queue
from pathlib import Path

PAGE = (Path(__file__).parent / "host.html").read_text()
SITE = "http://nb.test/"


class Host:
    """A page that shows a widget; what the widget sends and syncs is fetched by the page."""

    def __init__(
        self,
        context,
        widget,
        names=("picture", "breakpoints", "direction", "faults", "targets", "replaced"),
        ready=".nbg-stage > *",
    ):
        self.widget, self.names, self.sent, self.errors, self.asked = widget, names, queue.SimpleQueue(), [], []
        self.messages = []
        widget.send = self._send
        self.page = page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        body = PAGE.replace("/*css*/", widget._css)
        page.route(SITE, lambda route: route.fulfill(body=body, content_type="text/html"))
        page.route(f"{SITE}widget.js", lambda route: route.fulfill(body=widget._esm, content_type="text/javascript"))
        page.expose_function("python_state", self._state)
        page.expose_function("python_set", self._set)
        page.expose_function("python_message", lambda message: widget._handle_custom_msg(message, []))
        page.expose_function("python_poll", self._poll)
        page.goto(SITE)
        page.wait_for_selector(ready)

    def _send(self, content, buffers=None):
        self.messages.append(content)
        self.sent.put(content)

    def _state(self):
        return {name: getattr(self.widget, name) for name in self.names}

    def _set(self, values):
        for name, value in values.items():
            setattr(self.widget, name, value)
        return self._state()

    def _poll(self):
        found = []
        while not self.sent.empty():
            found.append(json.loads(json.dumps(self.sent.get())))
        return {"messages": found, "state": self._state()}

    def status(self, step: str) -> str:
        return self.page.locator(f'[data-step][aria-label^="{step} "]').get_attribute("data-status")

    def wait(self, step: str, status: str) -> None:
        self.page.wait_for_selector(f'[data-status="{status}"][aria-label^="{step} "]', timeout=20_000)

    def close(self):
        self.page.close()
        self.widget.close()
        assert self.errors == [], self.errors
        assert [url for url in self.asked if not url.startswith((SITE, "data:", "blob:"))] == []
