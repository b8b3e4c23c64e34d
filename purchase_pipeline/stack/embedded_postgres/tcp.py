"""The TCP port of the embedded server, for programs that cannot use its socket: DBeaver, Metabase, a JDBC driver.

It is closed unless a setting opens it, listens on loopback only, and lets one role in, with a password.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from purchase_pipeline.stack.ports import LOOPBACK, require_free

_RULES_FILE = "pg_hba_tcp.conf"
# Whatever the data folder's own file says, nobody else connects by TCP; it still decides who may use the socket.
_RULES = """\
host "{database}" "{role}" {address}/32 scram-sha-256
host all all all reject
include data/pg_hba.conf
"""


@dataclass(frozen=True)
class TcpAccess:
    """Who may connect by TCP, and on which port. `setting` names the port to its user."""

    port: int
    database: str
    role: str
    setting: str

    def require_free(self) -> None:
        """Check that the port is free.

        Raises:
            PortTakenError: it is not.
        """
        require_free(self.port, "embedded PostgreSQL", f"{self.setting}=")

    def options(self, folder: Path) -> dict[str, str]:
        """Write the rules of access to the server's folder, and return the server's options."""
        rules = folder / _RULES_FILE
        rules.write_text(_RULES.format(database=self.database, role=self.role, address=LOOPBACK))
        rules.chmod(0o644)  # root's server runs as another user; the folder is private
        return {"listen_addresses": LOOPBACK, "port": str(self.port), "hba_file": _RULES_FILE}


def password_in(file: Path) -> str:
    """Return the password in a file that only its owner can read; a missing one is generated."""
    file.touch(mode=0o600)
    if not (password := file.read_text(encoding="utf-8").strip()):
        password = secrets.token_hex(16)  # letters and digits: no program needs them quoted
        file.write_text(password, encoding="utf-8")
    return password
