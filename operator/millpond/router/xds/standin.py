"""What is served instead of an app's newest routes when those were refused: what was good, with the servers of now.

Its hosts, paths, limits, cookie and protocol are the last good ones. Its editions with their servers and weights are
those of now: an address that was its own may be another app's by now.
"""

from dataclasses import replace

from millpond.router.config import AppRoutes, EditionRoute, edition_fault, endpoint_fault


def with_servers_of(good: AppRoutes, newest: AppRoutes) -> AppRoutes:
    """Previews are the good ones, too: a new one may be what was refused. What can't be served is left out."""
    previews = {edition.name: edition.preview for edition in good.editions}
    editions = {edition.name: edition for edition in reversed(newest.editions)}
    found = (_usable(replace(e, preview=previews.get(e.name))) for e in reversed(editions.values()))
    return replace(good, editions=tuple(edition for edition in found if edition_fault(edition) is None))


def without_servers(good: AppRoutes) -> AppRoutes:
    """Answers 503 on the good hosts."""
    return replace(good, editions=())


def _usable(edition: EditionRoute) -> EditionRoute:
    endpoints = tuple(endpoint for endpoint in edition.endpoints if endpoint_fault(endpoint) is None)
    return replace(edition, endpoints=endpoints)
