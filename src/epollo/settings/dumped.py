"""Settings as text for another process."""

import json
import os

from epollo.settings import Settings, restore


def dump_settings(settings: Settings) -> str:
    """Return settings as text."""
    return json.dumps(vars(settings), default=os.fspath)


def load_settings(text: str) -> Settings:
    """Return the settings that `dump_settings` wrote."""
    return Settings(**dict(restore(json.loads(text))))
