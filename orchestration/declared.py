"""What a connector declares of a stream, as the warehouse declares a table.

Here belongs the one place where the two rooms' words for a table meet. Not here: Dagster, or which tables there are.
"""

from __future__ import annotations

from connectors.base import Stream
from warehouse import schema


def raw_table(stream: Stream) -> schema.RawTable:
    """The raw table that a stream is loaded into."""
    return schema.RawTable(
        schema=stream.tool,
        name=stream.name,
        description=stream.description,
        columns=tuple(schema.Column(c.name, c.type, c.description, c.personal, c.whose) for c in stream.columns),
        key=stream.key,
        version=stream.version,
        volatile=frozenset(c.name for c in stream.columns if c.volatile),
        people=stream.people,
    )
