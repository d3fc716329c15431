"""A configuration with its state."""

from __future__ import annotations

from typing import Literal, get_args

from factstore.core.model.configuration import Configuration
from factstore.core.model.configuration_result import StoredResult
from factstore.core.model.quick_dataclass import quick_dataclass

ConfigurationState = Literal["waiting", "due", "in_progress", "complete", "failed", "lost"]
CONFIGURATION_STATES: tuple[ConfigurationState, ...] = get_args(ConfigurationState)


@quick_dataclass(frozen=True, slots=True)
class ConfigurationView:
    """A configuration with its state.

    :param state: ``lost`` if the member ended while the configuration was in progress.
    :param deployed: True if this definition or a former one was run and has not been undeployed.
    :param waits_for: the keys of the configurations that it waits for.
    :param result: of the present definition; None before the first report.
    """

    configuration: Configuration
    state: ConfigurationState
    deployed: bool
    waits_for: tuple[str, ...] = ()
    result: StoredResult | None = None

    @property
    def ended(self) -> bool:
        """True if nothing more is to be expected unless the definition changes."""
        return self.state in ("complete", "failed", "lost")
