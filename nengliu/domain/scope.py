"""Scope: what one reader may see; every named query takes one (law 10)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """Role with the region prefix (GB/T 2260) and the enterprise it is limited to.

    An empty `region` and `enterprise` see nothing unless `role` is ``nation`` or ``system``:
    a forgotten limit fails closed.
    """

    role: str
    region: str = ""
    enterprise: str = ""


SYSTEM = Scope(role="system")
