# SPDX-License-Identifier: Apache-2.0
"""What every verb does with a result and with an error: one document on stdout, all words on stderr, an exit code."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TextIO

from ..errors import PuceError

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED = 141  # 128 + SIGPIPE
REPORT = "This is a defect of puce. PUCE_DEBUG=1 shows where; please report it with the command that you typed."


class Result(Protocol):
    """What a function of `puce.api` returns: it prints itself, and knows whether the answer is yes."""

    @property
    def ok(self) -> bool: ...

    def as_json(self) -> Any: ...


def answer(work: Callable[[], Result | Sequence[Result]], as_json: bool) -> None:
    """Do the work, print its result, and exit 0, or 1 where the answer is no.

    While it works stdout is stderr: no library's chatter gets between a script and its JSON.
    """
    try:
        with words_to_stderr() as stdout:
            result = work()
        found = result if isinstance(result, Sequence) else (result,)
        if as_json:
            documents = [item.as_json() for item in found]
            whole = documents if isinstance(result, Sequence) else documents[0]
            text = json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False)
        else:
            text = "\n".join(map(str, found))
        say(text, stdout)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0 if all(item.ok for item in found) else 1)


@contextlib.contextmanager
def words_to_stderr() -> Iterator[TextIO]:
    """Lend the real stdout; anything printed meanwhile goes to stderr."""
    real = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        yield real


def say(text: str, stream: TextIO) -> None:
    """Print to a stream that may be a closed pipe: `puce boards | head -1` is no error."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or Python complains when it closes stdout
        sys.exit(PIPE_CLOSED)


def complain(error: Exception, as_json: bool) -> int:
    """Say what is wrong on stderr, as a JSON document on stdout too where that was asked for; return the exit code."""
    if os.environ.get("PUCE_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    if isinstance(error, PuceError):
        place, fact, remedy, code = error.place, error.fact, error.remedy, error.exit_code
    else:
        place, fact, remedy, code = type(error).__name__, str(error) or "no reason was given.", REPORT, 2
    if as_json:
        document = {"error": {"place": place, "fact": fact, "remedy": remedy}}
        say(json.dumps(document, indent=2, ensure_ascii=False), sys.stdout)
    say(f"{red(f'{place}: {fact}')}\n{remedy}", sys.stderr)
    return code


def red(text: str) -> str:
    """Colour for a terminal, unless NO_COLOR asks for none (no-color.org)."""
    return f"\x1b[31m{text}\x1b[0m" if sys.stderr.isatty() and not os.environ.get("NO_COLOR") else text
