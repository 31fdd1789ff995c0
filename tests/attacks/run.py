"""`make attacks`: attack the real server in every way, print a table, and write docs/ATTACKS.md.

Exit status: 0 when every target is met, 1 when one is not, 2 when an attack could not be made.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attacks import churn, descriptors, flood, fresh, key_updates, random_talk, report, silent, stalled
from attacks.targets import FULL, QUICK, Effort, Failed, Verdict
from charla.common.certificates import TlsError, own_certificate

Tell = Callable[[str], None]


def cases(pair: tuple[str, str]) -> dict[str, Callable[[Effort, Tell], list[Verdict]]]:
    """Return the attacks by name; `pair` are the certificate and the key of a server with TLS."""
    return {
        "stalled": stalled.attack,
        "silent": silent.attack,
        "churn": churn.attack,
        "descriptors": descriptors.attack,
        "flood": flood.attack,
        "random-talk": lambda effort, tell: random_talk.attack(effort, tell, pair),
        "fresh": lambda effort, tell: fresh.attack(effort, tell, pair),
        "key-updates": lambda effort, tell: key_updates.attack(effort, tell, pair),
    }


NAMES = tuple(cases(("", "")))


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="attacks",
        description="Attack Charla's server. All of it takes about 6 minutes, and writes docs/ATTACKS.md.",
        epilog=f"attacks:\n  {', '.join(NAMES)}",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # a name is not broken at its hyphen
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=NAMES,
        metavar="NAME",
        help="only this one (again for more); docs/ATTACKS.md is left as it is",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a little of everything: the figures say nothing, docs/ATTACKS.md is left as it is",
    )
    return parser.parse_args(arguments)


def attack_all(names: Sequence[str], effort: Effort, folder: Path) -> list[Verdict]:
    """Make these attacks, one after the other; return what they show."""
    attacks = cases(own_certificate(str(folder / "tls")))
    verdicts: list[Verdict] = []
    for name in names:
        start = time.monotonic()

        def tell(what: str, name: str = name) -> None:
            print(f"{name}: {what}", file=sys.stderr, flush=True)

        try:
            found = attacks[name](effort, tell)
        except (Failed, OSError, AssertionError) as error:
            found = [Verdict(name, f"could not be made: {error}", "", False)]
        for verdict in found:
            tell(f"{report.outcome(verdict)}: {verdict.what}: {verdict.measured}")
        tell(f"{time.monotonic() - start:.0f} s")
        verdicts += found
    return verdicts


def run(options: argparse.Namespace, folder: Path) -> int:
    """Attack, print, write; return the exit status."""
    verdicts = attack_all(options.only or NAMES, QUICK if options.quick else FULL, folder)
    print(report.table(verdicts))
    if not (options.only or options.quick):
        report.DOCUMENT.write_text(report.document(verdicts), encoding="utf-8")
        print(f"\nWritten: {report.DOCUMENT.name}, in docs/.")
    return 0 if all(verdict.met for verdict in verdicts) else 1


def _stop(*_: object) -> None:
    """At SIGTERM, leave through the context managers that end what was started."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it as a command."""
    options = parse_arguments(arguments)
    signal.signal(signal.SIGTERM, _stop)
    if not Path("/proc/self/status").exists():
        print("attacks: what the server costs is read from /proc, which only Linux has", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="charla-attacks-") as folder:
            return run(options, Path(folder))
    except TlsError as error:
        print(f"attacks: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nattacks: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
