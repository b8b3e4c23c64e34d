"""Where alerts go: a webhook, and mail. No error and no log names the webhook's URL or the mail server's password."""

import smtplib
import ssl
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from html import escape
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from purchase_pipeline import PipelineError
from purchase_pipeline.settings import Settings

_TIMEOUT_SECONDS = 10.0
_SUBMISSION_PORT = 587

Deliver = Callable[["Alert"], None]


class UndeliveredAlertError(PipelineError):
    """A channel did not take an alert. It is delivered at the next evaluation."""

    transient = True


@dataclass(frozen=True)
class Alert:
    """A message for a person, and its facts for a program.

    Attributes:
        feed: name of the feed.
        status: whether batches are failing, or loaded again.
        title: what happened, in a line.
        text: the title, then the reason, what happens next, and the address of the run.
        error: class of the error, '' if none was recorded.
        partitions: the batches.
        since: when the first of them failed, in ISO 8601.
    """

    feed: str
    status: Literal["failing", "resolved"]
    title: str
    text: str
    error: str
    partitions: list[str]
    since: str


def channels(settings: Settings) -> dict[str, Deliver]:
    """Return the channels that are switched on, by name."""
    found: dict[str, Deliver] = {}
    if settings.alert_webhook is not None:
        webhook = settings.alert_webhook.get_secret_value()
        found["webhook"] = lambda alert: _post(webhook, alert)
    if settings.alert_smtp is not None:
        server = urlsplit(settings.alert_smtp.get_secret_value())
        found["mail"] = lambda alert: _mail(server, settings.alert_mail, alert)
    return found


def _post(url: str, alert: Alert) -> None:
    # Slack and alike read `text`, where < > & mark up: an API's response must not call everybody.
    body = {**asdict(alert), "text": escape(alert.text, quote=False)}
    try:
        response = httpx.post(url, json=body, timeout=_TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UndeliveredAlertError(f"The webhook cannot be reached ({type(error).__name__}).") from None
    if not response.is_success:
        raise UndeliveredAlertError(
            f"The webhook returned {response.status_code}.", hint="Check PURCHASE_ALERT_WEBHOOK."
        )


def _mail(server: SplitResult, recipients: tuple[str, ...], alert: Alert) -> None:
    user, password = unquote(server.username or ""), unquote(server.password or "")
    message = EmailMessage()
    message["Subject"] = alert.title
    message["From"] = user if "@" in user else recipients[0]
    message["To"] = ", ".join(recipients)
    message.set_content(alert.text)
    try:
        with _connected(server) as smtp:
            if user:
                smtp.login(user, password)
            smtp.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        code = getattr(error, "smtp_code", None)
        raise UndeliveredAlertError(
            f"The mail server refused the alert ({type(error).__name__}{f' {code}' if code else ''}).",
            hint="Check PURCHASE_ALERT_SMTP.",
        ) from None


def _connected(server: SplitResult) -> smtplib.SMTP:
    """Connect, encrypted if the server can, and always if a password is to be sent to another machine."""
    host = server.hostname or ""
    if server.scheme == "smtps":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(host, server.port or 0, timeout=_TIMEOUT_SECONDS, context=context)
    smtp = smtplib.SMTP(host, server.port or _SUBMISSION_PORT, timeout=_TIMEOUT_SECONDS)
    smtp.ehlo()
    if smtp.has_extn("starttls"):
        smtp.starttls(context=ssl.create_default_context())
    elif server.password and not _is_this_machine(host):
        smtp.close()
        raise smtplib.SMTPNotSupportedError("no STARTTLS")
    return smtp


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
