"""One frozen Settings: defaults, then attend.toml, then ATTEND_… variables, then the command line.

Rule: every port, path and limit a user may change has its name here; nothing else reads the environment.
"""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

VERSION = "0.1.0"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(BaseSettings):
    """What `attend serve` runs with."""

    model_config = SettingsConfigDict(env_prefix="ATTEND_", frozen=True, extra="forbid")

    data_dir: Path = Path("attend-data")
    bind: str = "127.0.0.1"
    grpc_port: int = Field(50051, ge=0, le=65535)
    http_port: int = Field(8080, ge=0, le=65535)
    mllp_port: int = Field(2575, ge=0, le=65535)
    media_port: int = Field(0, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    demo: bool = False
    pack: str = "acr-2026"
    drill_pack: str = ""
    protocol_signers: dict[str, str] = Field(default_factory=dict)
    decision_support: bool = True
    emergency_pack_s: int = Field(24 * 3600, ge=3600, le=7 * 24 * 3600)
    ready_s: int = Field(120, ge=10, le=900)
    observation_s: int = Field(30 * 60, ge=60, le=24 * 3600)
    line_lost_ring_s: int = Field(15, ge=1, le=300)
    lease_s: int = Field(15, ge=2, le=300)
    rung_s: tuple[int, int, int] = (30, 30, 30)
    ring_repeat_s: int = Field(30, ge=5, le=600)
    organization_id: str = "org-demo"
    hl7_destination: str = ""
    fhir_base_url: str = ""
    fhir_authorities: dict[str, str] = Field(default_factory=dict)
    max_commands_in_flight: int = Field(1024, ge=1)
    max_watchers: int = Field(2000, ge=1)

    @field_validator("hl7_destination")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        if not re.fullmatch(r"([^:]+:\d{1,5})?", value):
            raise ValueError("write it as host:port")
        return value

    @field_validator("fhir_base_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        if not re.fullmatch(r"(https?://[^\s/]+\S*)?", value):
            raise ValueError("write it as an http:// or https:// address")
        return value

    @field_validator("tls_certificate", "tls_key")
    @classmethod
    def _file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("there is no such file")
        return value

    @model_validator(mode="after")
    def _tls_off_loopback(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key come together: set both or neither")
        if self.bind not in LOOPBACK and self.tls_certificate is None:
            raise ValueError(
                "plaintext is served on loopback only: to bind to another address set tls_certificate and tls_key, "
                f"or use --bind {LOOPBACK[0]}"
            )
        return self

    @property
    def database(self) -> Path:
        """Where the SQLite file is."""
        return self.data_dir / "attend.sqlite3"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(config: Path | None, **overrides: object) -> Settings:
    """Read settings: `overrides` win, then the environment, then `config`. Raises ValueError naming the field."""

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=config)

    given = {name: value for name, value in overrides.items() if value is not None}
    return Settings.model_validate(FromFile(**given).model_dump())  # type: ignore[arg-type]  # checked by pydantic
