"""Heat's engine and APIs in one process, which communicate through memory.

Its arguments are ``PORT CFN_PORT CONFIG PAUSE PREFIX``; see :class:`tests.heat.lab.server.HeatServer`.

A SIGTERM ends it at once: it has no work that outlives a test.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

from oslo_service import backend

gc.set_threshold(20_000, 20, 100)  # Heat imports for seconds, a fifth of which would be collections
try:
    backend.init_backend(backend.BackendType.THREADING)  # before Heat is imported
except ValueError:  # it is unknown in the release 2025.1, whose Heat runs on eventlet
    import eventlet

    eventlet.monkey_patch()

from heat import version  # noqa: E402
from heat.common import config, messaging  # noqa: E402
from oslo_config import cfg  # noqa: E402
from oslo_log import log  # noqa: E402
from oslo_messaging._drivers import impl_fake  # noqa: E402
from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

from factstore.cmd.processes.ports import LOOPBACK  # noqa: E402


class Quiet(WSGIRequestHandler):
    """Heat logs its requests itself."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing."""


def deliver_at_once() -> None:
    """Deliver messages as they arrive; the transport in memory polls for them 20 times a second."""
    come = threading.Condition()
    deliver = impl_fake.FakeExchange.deliver_message

    def delivered(*args: Any, **kwargs: Any) -> None:
        deliver(*args, **kwargs)
        with come:
            come.notify_all()

    def sleep(seconds: float) -> None:
        with come:
            come.wait(seconds)

    impl_fake.FakeExchange.deliver_message = delivered
    impl_fake.time = SimpleNamespace(time=time.time, sleep=sleep)


def poll_every(seconds: float) -> None:
    """Have Heat wait this long where it waits a second between two steps of a task."""
    from heat.engine import scheduler, worker

    def sleep(given: float) -> None:
        time.sleep(given * seconds)

    scheduler.time = SimpleNamespace(sleep=sleep)
    worker.time = SimpleNamespace(sleep=sleep)


def notify_about(prefix: str) -> None:
    """Have factstore notified about the stacks whose names begin with a prefix, and no others."""
    from factstore.heat.autoscaling.notification_driver import FactstoreDriver

    notify = FactstoreDriver.notify

    def filtered(driver: FactstoreDriver, ctxt: Any, message: Any, *rest: Any) -> None:
        if message["payload"].get("stack_name", "").startswith(prefix):
            notify(driver, ctxt, message, *rest)

    FactstoreDriver.notify = filtered


def main(port: int, cfn_port: int, configuration: str, pause: float, prefix: str) -> None:
    """Serve until the process is ended."""
    deliver_at_once()
    conf = cfg.CONF
    log.register_options(conf)
    conf(
        ["--config-file", configuration],
        project="heat",
        prog="heat-api",
        version=version.version_info.version_string(),
    )
    log.setup(conf, "heat")
    config.set_config_defaults()
    messaging.setup()
    # Only now: these read the configuration as they are imported.
    from heat.db import migration
    from heat.engine import service, template
    from heat.rpc import api

    migration.db_sync()  # here, because another process would import Heat again, for seconds
    config.startup_sanity_check()
    template._get_template_extension_manager()
    poll_every(pause)
    notify_about(prefix)
    service.EngineService(conf.host, api.ENGINE_TOPIC).start()
    cfn = config.load_paste_app("heat-api-cfn")
    signals = make_server(LOOPBACK, cfn_port, cfn, threaded=True, request_handler=Quiet)
    threading.Thread(target=signals.serve_forever, daemon=True).start()
    app = config.load_paste_app("heat-api")
    server = make_server(LOOPBACK, port, app, threaded=True, request_handler=Quiet)
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], float(sys.argv[4]), sys.argv[5])
