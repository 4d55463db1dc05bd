"""Who may log in, what each may see, and who did what: kept by the installation itself, not by the store."""

from nengliu.accounts.account import Account, Role, checked
from nengliu.accounts.sessions import Sessions
from nengliu.accounts.store import Accounts, Refused

__all__ = ["Account", "Accounts", "Refused", "Role", "Sessions", "checked"]
