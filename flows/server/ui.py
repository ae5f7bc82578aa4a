"""``make ui`` shows both pages, ``make stop`` ends all that runs in the background."""

import argparse
import sys

from flows.server import services
from sigforge import tracking
from sigforge.core.errors import UserError

STOPPED = ("serve", "prefect", "mlflow")


def show() -> None:
    """Start what is not up yet and print both addresses."""
    ledger, server = services.mlflow_page(), services.prefect_server()
    experiment = tracking.ensure_store()
    services.start([ledger, server])
    print(f"ledger (MLflow):  {ledger.page}/#/experiments/{experiment}/runs")
    print(f"runs (Prefect):   {server.page}")
    print("They run in the background; 'make stop' ends them.")


def stop() -> None:
    """End what 'make ui' and 'make serve' started in this folder."""
    ended = [name for name in STOPPED if services.stop(name)]
    print(f"stopped: {', '.join(ended)}" if ended else "nothing was running")


def main() -> int:
    """The command line; exit code 2 on a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m flows.server.ui", description=__doc__)
    parser.add_argument("--stop", action="store_true", help="end what was started")
    options = parser.parse_args()
    try:
        stop() if options.stop else show()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
