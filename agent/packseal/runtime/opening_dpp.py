"""Opening of the publishers with kind = "dpp": from the configuration's table to the parts it names."""

import hashlib
from pathlib import Path

import msgspec

from packseal.config import Config
from packseal.config_dpp import SECTIONS, ClientSecret, Dpp, FileSecret
from packseal.core.errors import ConfigError
from packseal.core.passport import FIELD_BY_KEY
from packseal.core.translate import elements
from packseal.core.update_policy import Policy
from packseal.publish.dpp.aas import Aas
from packseal.publish.dpp.backend import Backend
from packseal.publish.dpp.credentials import ClientCredentials, Credentials, FileCredentials, NoCredentials
from packseal.publish.dpp.dialect import Dialect, Place
from packseal.publish.dpp.en18222 import En18222, Habits
from packseal.publish.dpp.publisher import DppPublisher, DppSettings
from packseal.publish.dpp.server import Server
from packseal.publish.protocol import Source
from packseal.uplink.route import Route, parse_proxy

MS_PER_HOUR = 3_600_000


def open_dpp(config: Config, settings: Dpp, source: Source) -> DppPublisher:
    """Return the publisher; raises ConfigError or InputError naming what cannot be used."""
    route = _route(config, settings)
    server = Server(settings.url, config.tls(settings.tls), settings.timeout_s, route)
    backend = Backend(server, _credentials(config, settings, route), settings.accept_s)
    known = {described.subject for described in source.batteries()}
    for each in settings.battery:
        if each.id not in known:
            raise ConfigError(f"[[publish.battery]] names {each.id}, which is no [[battery]] of this configuration")
    return DppPublisher(source, _settings(config, settings), backend, _dialect(settings, backend))


def positions_path(config: Config, settings: Dpp) -> Path:
    """Return where it is kept what this backend took: beside the journal, one file per backend."""
    name = hashlib.sha256(f"{settings.dialect} {settings.url}".encode()).hexdigest()[:8]
    return config.journal.with_name(f"dpp-{name}.json")


def configuration_of(settings: Dpp) -> str:
    """Return what changes when anything in the table does."""
    return hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()[:16]


def _settings(config: Config, settings: Dpp) -> DppSettings:
    places = {
        each.id: Place(
            each.id,
            each.passport,
            {word: name for word in SECTIONS if (name := getattr(each, word)) is not None},
        )
        for each in settings.battery
    }
    thresholds = {FIELD_BY_KEY[key]: value for key, value in settings.thresholds.items()}
    return DppSettings(
        target=f"{settings.url} ({settings.dialect})",
        positions=positions_path(config, settings),
        configuration=configuration_of(settings),
        places=places,
        listed_only=settings.listed_only,
        policy=Policy(thresholds, round(settings.longest_h * MS_PER_HOUR)),
        pace_s=settings.pace_s,
    )


def _dialect(settings: Dpp, backend: Backend) -> Dialect:
    if settings.dialect == "aas":
        return Aas(backend, ["value", "element"] if settings.write == "auto" else [settings.write])
    sections = {elements.SECTIONS[word]: name for word, name in settings.sections.items()}
    habits = Habits(
        ways=["whole", "elements"] if settings.write == "auto" else [settings.write],
        version=settings.version.strip("/"),
        header=settings.header,
        base64url=settings.base64url,
        sections=sections,
    )
    return En18222(backend, habits)


def _credentials(config: Config, settings: Dpp, route: Route) -> Credentials:
    match settings.auth:
        case FileSecret(file=file, header=header, scheme=scheme):
            return FileCredentials(config.directory / file, header, scheme)
        case ClientSecret() as client:
            server = Server(client.token_url, config.tls(settings.tls), settings.timeout_s, route)
            secret_file = config.directory / client.secret_file
            return ClientCredentials(server, client.client_id, secret_file, client.scope, in_body=client.in_body)
        case _:
            return NoCredentials()


def _route(config: Config, settings: Dpp) -> Route:
    secret = config.optional(settings.proxy_password_file)
    if settings.proxy is None and secret is not None:
        raise ConfigError("[[publish]]: proxy_password_file needs proxy")
    return Route(None if settings.proxy is None else parse_proxy(settings.proxy, secret), settings.interface)
