"""Who is told of photos that are done or failed: the keys of `hooks`, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from depthd.config.section import Section
from depthd.config.units import Duration


def _check_command(command: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if command is not None and not (command and Path(command[0]).is_absolute()):
        raise ValueError("needs the program's absolute path first, such as [/usr/local/bin/tell]")
    return command


def _check_address(schemes: tuple[str, ...], address: str | None) -> str | None:
    if address is None:
        return None
    parts = urlsplit(address)
    try:
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # not a port
        has_host = False
    if parts.scheme not in schemes or not has_host or parts.password:
        raise ValueError(
            f"needs an address such as {schemes[0]}://host:port/name, without a password"
        )
    return address


def _check_webhook(address: str | None) -> str | None:
    return _check_address(("https", "http"), address)


def _check_mqtt(address: str | None) -> str | None:
    _check_address(("mqtt", "mqtts"), address)
    if address is not None and not urlsplit(address).path.strip("/"):
        raise ValueError("needs a topic behind the host, such as mqtt://host/depthd")
    return address


class Hooks(Section):
    """Who is told of photos that are done or failed. News waits on the disk until it is taken."""

    events: tuple[Literal["done", "failed"], ...] = Field(
        ("done", "failed"), min_length=1, description="what is told"
    )
    command: Annotated[tuple[str, ...] | None, AfterValidator(_check_command)] = Field(
        None,
        description="program and arguments, run for each with the news as JSON on standard input, "
        "without a shell; exit code 0 means that it was taken",
    )
    webhook: Annotated[str | None, AfterValidator(_check_webhook)] = Field(
        None, description="address to which each is posted as JSON; 2xx means that it was taken"
    )
    webhook_secret_file: Path | None = Field(
        None, description="file with the secret that signs what is posted (Standard Webhooks)"
    )
    mqtt: Annotated[str | None, AfterValidator(_check_mqtt)] = Field(
        None,
        description="broker and topic, such as mqtt://user@host:1883/depthd, at which each is "
        "published under TOPIC/done or TOPIC/failed; mqtts for TLS; needs the extra mqtt",
    )
    mqtt_password_file: Path | None = Field(None, description="file with the user's password")
    timeout: Duration = Field(30.0, gt=0, description="longest time for telling one")
    give_up: Duration = Field(
        86_400.0, gt=0, description="time after which one that nobody took is dropped, and logged"
    )

    @property
    def is_asked_for(self) -> bool:
        """Whether anybody is told."""
        return bool(self.command or self.webhook or self.mqtt)

    @model_validator(mode="after")
    def _secrets_have_a_use(self) -> Self:
        for secret, use in (("webhook_secret_file", "webhook"), ("mqtt_password_file", "mqtt")):
            if getattr(self, secret) is not None and getattr(self, use) is None:
                raise ValueError(f"hooks.{secret} is of no use without hooks.{use}")
        return self
