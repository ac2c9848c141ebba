"""A vendor's custom field as people name it in the settings: by its id, or by the name that they see, which can change.

Here belongs how one is found. Not here: where a vendor lists its fields, or what they hold.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from connectors.base import SourceError

log = logging.getLogger(__name__)


def field_of(setting: str, wanted: str, known: Sequence[tuple[str, str]], before: str | None) -> str | None:
    """The id of the field that the settings want, of those that are `known` (id, name); None if there is none such.

    `before`: the id that was found under this name the last time. It is read on when the field was renamed, or when others
    were given the same name. Raises SourceError where several have the name and none was known.
    """
    ids = [field for field, _ in known if field == wanted]
    ids = ids or [field for field, name in known if name.casefold() == wanted.casefold()]
    if len(ids) > 1 and before not in ids:
        raise SourceError(
            f'{setting}: {len(ids)} fields are named "{wanted}". Put the id of one there: {", ".join(ids)}; trying again will '
            "not help."
        )
    if len(ids) == 1:
        return ids[0]
    renamed = next(((field, name) for field, name in known if field == before), None)
    if renamed is None:
        return None
    log.warning(
        '%s: "%s" is now named "%s", or one of several. %s is read on. Put that id there.', setting, wanted, *renamed[::-1]
    )
    return renamed[0]
