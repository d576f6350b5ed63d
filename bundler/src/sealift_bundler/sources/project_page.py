"""A project's page of the package index, read for its files."""

from typing import Any

import requests
from pypi_simple import ProjectPage

from sealift_bundler.foreign_json import check_amount

_PROVENANCE = "provenance"
# In HTML; 140,000 links were read in half a gigabyte.
_MOST_TAGS = 500_000


def read_page(answer: requests.Response, project: str) -> ProjectPage:
    """Return the page.

    What it says of provenances is no matter here, and may be nonsense: `sealift_bundler.upstream`
    reads it by itself, and says what is wrong with it.

    Raises:
        ValueError: it is no page of a project.
        UnsupportedContentTypeError, UnsupportedRepoVersionError: it is one that is not known.
    """
    check_amount(answer.content)
    if answer.content.count(b"<") > _MOST_TAGS:
        raise ValueError(f"it has more than {_MOST_TAGS} tags")
    try:
        return ProjectPage.from_response(answer, project)
    except requests.JSONDecodeError:
        raise
    except RecursionError as error:
        raise ValueError(str(error)) from None
    except ValueError:
        page = _without_provenances(answer)
        if page is None:
            raise
    return ProjectPage.from_json_data(page, answer.url)


def _without_provenances(answer: requests.Response) -> dict[str, Any] | None:
    """Return a page in JSON that speaks of provenances, without what it says; None for another."""
    try:
        page = answer.json()
    except ValueError:
        return None
    files = page.get("files") if isinstance(page, dict) else None
    named = [
        file.pop(_PROVENANCE)
        for file in (files if isinstance(files, list) else ())
        if isinstance(file, dict) and _PROVENANCE in file
    ]
    return page if named else None
