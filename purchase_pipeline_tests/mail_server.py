"""A mail server that keeps what it is sent, and asks for a password."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread


class MailServer(ThreadingTCPServer):
    """Takes mail of one user on a loopback port."""

    daemon_threads = True

    def __init__(self, user: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.login = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.mails: list[EmailMessage] = []

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self.server_address[1]
        return port


class _Session(StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        """Answer as SMTP prescribes."""
        self._say("220 mail")
        while line := self.rfile.readline().decode().strip():
            match line.split()[0].upper():
                case "EHLO":
                    self._say("250-mail\r\n250 AUTH PLAIN")
                case "AUTH":
                    self._say("235 welcome" if line.endswith(f" {self.server.login}") else "535 who?")
                case "DATA":
                    self._say("354 go on")
                    self._keep()
                case "QUIT":
                    return self._say("221 bye")
                case _:
                    self._say("250 ok")
        return None

    def _keep(self) -> None:
        lines = list(iter(self.rfile.readline, b".\r\n"))
        self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
        self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_server(user: str, password: str) -> Iterator[MailServer]:
    """Run a mail server during a test."""
    with MailServer(user, password) as server:
        Thread(target=server.serve_forever, name="mail", daemon=True).start()
        yield server
        server.shutdown()
