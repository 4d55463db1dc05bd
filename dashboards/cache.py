"""Answers and drawings shared by all sessions: made once, and made anew without letting readers wait.

What a function gave is kept by its arguments, and one of them must say within whose scope it was asked: nothing that
was made for one scope can be given to another (law 10).  However many ask at once, one makes it and the others are
given the same.

Something kept is fresh for a while, then old for a while, then gone.  What is old is still served while it is renewed:
`STILL` lets a thread of its own renew it, and nobody waits; `LIVE` lets the first reader who finds it old renew it, so
that a page that is alone with its reader shows the newest.  A renewal itself takes nothing old: ages do not add up.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

import pandas as pd

from nengliu.domain.scope import Scope

P = ParamSpec("P")
T = TypeVar("T")

MOST = 1000
"""Results kept of one function; beyond that the oldest go."""
RENEWERS = 2
clock = time.monotonic
_thread = threading.local()


@dataclass(frozen=True, slots=True)
class Ages:
    """How long something kept is fresh, how long after that it is served old [s], and who renews it.

    Parameters
    ----------
    fresh_s, old_s
        Ages in seconds; what is older than both is made anew while its reader waits.
    behind
        Whether a thread of its own renews what is old, behind the readers; else the first reader who finds it does.
    """

    fresh_s: float
    old_s: float
    behind: bool

    @property
    def all_s(self) -> float:
        """Give how long it is kept at all [s]."""
        return self.fresh_s + self.old_s


LIVE = Ages(
    9.0, 51.0, behind=False
)  # a live card asks every 10 s and must not be shown its last answer again
STILL = Ages(60.0, 180.0, behind=True)


def kept(ages: Ages) -> Callable[[Callable[P, T]], Kept[P, T]]:
    """Keep what a function gives, by its arguments: a `Scope`, or something that has one, must be among them.

    An argument that has a `key` is told apart by it.  What is given is shared, so nobody changes it; frames are handed
    out as copies that share their memory until they are changed.
    """
    return lambda function: Kept(function, ages)


def forget() -> None:
    """Forget everything that is kept."""
    for keeper in _everything:
        keeper.forget()


@dataclass(frozen=True, slots=True)
class _Made(Generic[T]):
    value: T
    at_s: float


class Kept(Generic[P, T]):
    """A function whose results are kept."""

    def __init__(self, function: Callable[P, T], ages: Ages) -> None:
        self.function = function
        self.ages = ages
        self._lock = threading.Lock()
        self._made: OrderedDict[Hashable, _Made[T]] = OrderedDict()
        self._making: dict[Hashable, Future[T]] = {}
        self._sent: set[Hashable] = set()
        update_wrapper(self, function)
        _everything.append(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Give what is kept, or make it."""
        found = self._given(*args, **kwargs)
        return found.copy(deep=False) if isinstance(found, pd.DataFrame) else found

    def soon(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Let a renewer begin to make what will be asked for, unless it is there."""
        key = _key(args, kwargs)
        with self._lock:
            if self._age_s(key) >= self.ages.fresh_s:
                self._send(key, *args, **kwargs)

    def made_s(self, *args: P.args, **kwargs: P.kwargs) -> float:
        """Give when what is kept was begun [s of the clock of this process], 0 where there is nothing."""
        with self._lock:
            made = self._made.get(_key(args, kwargs))
        return made.at_s if made else 0.0

    def forget(self) -> None:
        """Forget what is kept; what is being made, or was sent to a renewer, is not kept either."""
        with self._lock:
            self._made.clear()
            self._making.clear()
            self._sent.clear()

    def _given(self, *args: P.args, **kwargs: P.kwargs) -> T:
        key = _key(args, kwargs)
        with self._lock:
            making = self._making.get(key)
            if self._serves(key):
                if self.ages.behind and self._age_s(key) >= self.ages.fresh_s:
                    self._send(key, *args, **kwargs)
                return self._made[key].value
            if making is None:
                mine = self._making[key] = Future()
        if making is None:
            self._make(key, mine, *args, **kwargs)
        return (making or mine).result()

    def _age_s(self, key: Hashable) -> float:
        made = self._made.get(key)
        return clock() - made.at_s if made else float("inf")

    def _serves(self, key: Hashable) -> bool:
        """Say whether what is kept can be given as it is."""
        age_s, ages = self._age_s(key), self.ages
        if age_s < ages.fresh_s:
            return True
        if getattr(_thread, "renews", False) or age_s >= ages.all_s:
            return False
        return ages.behind or key in self._making

    def _send(self, key: Hashable, *args: P.args, **kwargs: P.kwargs) -> None:
        """Send something to a renewer, once; the lock is held."""
        if key in self._sent or key in self._making:
            return
        self._sent.add(key)

        def renew() -> None:
            with self._lock:
                if key not in self._sent:  # forgotten meanwhile
                    return
                self._sent.discard(key)
            self._given(*args, **kwargs)  # an error is met again by whoever asks next, and told there

        _renewers().submit(renew)

    def _make(self, key: Hashable, mine: Future[T], *args: P.args, **kwargs: P.kwargs) -> None:
        begun_s = clock()
        with ExitStack() as ending:
            ending.push(lambda _, error, __: self._fail(key, mine, error))
            value = self.function(*args, **kwargs)
            self._end(key, mine, _Made(value, begun_s))
            mine.set_result(value)

    def _fail(self, key: Hashable, mine: Future[T], error: BaseException | None) -> None:
        """Give all who wait the error that ended the making, if one did."""
        if error is not None:
            self._end(key, mine, None)
            mine.set_exception(error)

    def _end(self, key: Hashable, mine: Future[T], made: _Made[T] | None) -> None:
        """Keep what was made, unless it was forgotten meanwhile, and let go of what is too old."""
        with self._lock:
            if self._making.get(key) is not mine:
                return
            del self._making[key]
            if made is None:
                return
            self._made[key] = made
            self._made.move_to_end(key)
            while len(self._made) > MOST or self._age_s(next(iter(self._made))) > self.ages.all_s:
                self._made.popitem(last=False)


_everything: list[Kept[..., Any]] = []


def _key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
    """Give what tells two calls apart, the scope of each among it.

    Raises
    ------
    TypeError
        No argument says within whose scope the call is.
    """
    given = (*args, *kwargs.values())
    scopes = tuple(scope for scope in map(_scope, given) if scope is not None)
    if not scopes:
        raise TypeError("what is kept must be told within whose scope it is asked")
    return scopes, tuple(map(_word, args)), tuple((name, _word(arg)) for name, arg in sorted(kwargs.items()))


def _scope(arg: object) -> Scope | None:
    found = arg if isinstance(arg, Scope) else getattr(arg, "scope", None)
    return found if isinstance(found, Scope) else None


def _word(arg: Any) -> Hashable:
    told: Hashable = getattr(arg, "key", arg)
    return told


@cache
def _renewers() -> ThreadPoolExecutor:
    def begin() -> None:
        _thread.renews = True

    return ThreadPoolExecutor(RENEWERS, "renewer", begin)
