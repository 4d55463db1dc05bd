"""Who is reading: the scope every question is asked with.

There is no login yet, so the reader is the operator of this installation.  The middleware
of the login will fill this from its signed cookie; pages already ask here and nowhere else.
"""

from __future__ import annotations

from nengliu.domain.scope import Scope

OPERATOR = Scope(role="nation")


def current_scope() -> Scope:
    """Give the scope of the reader of this session."""
    return OPERATOR


def narrowed(scope: Scope, enterprise: str) -> Scope:
    """Narrow a reader's scope to one enterprise: a page about one unit asks for no more."""
    if scope.enterprise and scope.enterprise != enterprise:
        return scope
    return Scope(role="enterprise", region=scope.region, enterprise=enterprise)
