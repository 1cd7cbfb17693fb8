"""A hook of Schemathesis, which knows no lines of JSON: how they are sent. The description has them as text."""
import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context, value):
    """What is not a text, and so breaks the description, becomes one that is no line of JSON either."""
    return (value if isinstance(value, str) else f"{value} is no text").encode()
