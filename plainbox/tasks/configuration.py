# SPDX-License-Identifier: Apache-2.0
"""Which advice is put around executions: chains by name, outermost advice first.

The engine has one configuration; it is complete before the first job runs, so that a wrong name stops a run before it
has begun. A program that decorates functions has one in a module of its own, which :func:`get_configuration` imports;
an object is all there is to a configuration, and no two share anything.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

from plainbox.errors import ChainError
from plainbox.tasks.advice import Advice

if TYPE_CHECKING:
    from plainbox.tasks.chains import Chain, Chains
    from plainbox.tasks.extensions import Extension
    from plainbox.tasks.serialization.serializer import Serializer
    from plainbox.units import JobDefinition

__all__ = ["LONGEST_CHAIN", "Configuration", "advice_by_name", "configuration_named", "get_configuration"]

# Each advice takes a few frames of the stack.
LONGEST_CHAIN = 64

_MODULE_VARIABLE = "PLAINBOX_TASKS_CONFIG_MODULE"
_DEFAULT_MODULE = "plainbox_tasks_config"

_lock = threading.RLock()


class Configuration:
    """Chains of advices, extensions, and how values travel.

    The chain ``default`` is there from the start: empty for functions; for jobs it is one of their own chains, see
    :mod:`plainbox.tasks.chains`.
    ``session_id`` is the test session that executions belong to.
    """

    def __init__(self) -> None:
        self.session_id: str | None = None
        self._chains: dict[str, tuple[Advice, ...]] = {}
        self._job_chains: Chains | None = None
        self._extensions: tuple[Extension, ...] = ()
        self._modules: tuple[str, ...] = ()
        self._serializer: Serializer | None = None
        self._run_id: str | None = None
        self._initialised = False
        #: Where it was made, and where it was found: modules that may have it as their ``configuration``.
        self._homes = [str(sys._getframe(1).f_globals.get("__name__"))]

    def add_advice_chain(self, *advices: Advice, name: str = "default") -> Configuration:
        """Set the chain ``name``, outermost advice first; a chain of that name is replaced. Returns ``self``."""
        if len(advices) > LONGEST_CHAIN:
            raise ChainError(f"the chain {name!r} has {len(advices)} advices; at most {LONGEST_CHAIN} are possible")
        for advice in advices:
            if not isinstance(advice, Advice):
                raise ChainError(f"the chain {name!r} holds {advice!r}, which is no advice")
        self._chains[name] = advices
        return self

    def get_advice_chain(self, name: str = "default") -> tuple[Advice, ...]:
        """Return the advices of a chain; :class:`ChainError` names those that exist when it does not."""
        chain = self._chains.get(name)
        if chain is not None:
            return chain
        if name == "default":
            return ()
        from plainbox.tasks.registry import unknown

        raise unknown("advice chain", name, {*self._chains, "default"})

    def use_job_chains(self, chains: Chains) -> Configuration:
        """Let ``chains`` decide which advice jobs get, but for the chains that are set here. Returns ``self``."""
        self._job_chains = chains
        return self

    @property
    def job_chains(self) -> Chains:
        """What decides which advice jobs get."""
        if self._job_chains is None:
            from plainbox.tasks.chains import Chains

            self._job_chains = Chains()
        return self._job_chains

    def chain_of(self, job: JobDefinition, name: str | None = None) -> Chain:
        """Return the chain around a job: the one of that name, else the one that is meant for it.

        :class:`ChainError` when there is no such chain, or when what the unit says about it means nothing.
        """
        if self._chains:
            wanted = name or job.advice_chain or "default"
            if wanted in self._chains:
                from plainbox.tasks.chains import Chain

                return Chain(wanted, self._chains[wanted])
        return self.job_chains.of(job) if name is None else self.job_chains.named(name)

    @property
    def extensions(self) -> tuple[Extension, ...]:
        return self._extensions

    def add_extension(self, extension: Extension) -> Configuration:
        """Have ``extension`` called, after those that were added before. Returns ``self``."""
        self._extensions += (extension,)
        return self

    @property
    def modules_for_distribution(self) -> tuple[str, ...]:
        return self._modules

    def add_modules_for_distribution(self, *modules: str) -> Configuration:
        """Send these modules, by their names, to machines that execute something. Returns ``self``."""
        self._modules += modules
        return self

    @property
    def serializer(self) -> Serializer:
        """What turns values into bytes: JSON when nothing else is set."""
        if self._serializer is None:
            from plainbox.tasks.serialization.json import JsonSerializer

            self._serializer = JsonSerializer()
        return self._serializer

    def set_serializer(self, serializer: Serializer) -> Configuration:
        """Replace the serializer. Returns ``self``."""
        self._serializer = serializer
        return self

    @property
    def run_id(self) -> str:
        """The run that executions belong to: the one of this process when no other is set."""
        from plainbox.tasks.run import get_run_id

        return self._run_id or get_run_id()

    @run_id.setter
    def run_id(self, run_id: str) -> None:
        self._run_id = run_id

    @property
    def module_name(self) -> str | None:
        """The module whose ``configuration`` this is, None when no loaded module has it.

        Where several have it, it is the one that has made it, or else the one by which it was asked for: others have only
        imported it.
        """
        from plainbox.tasks.modules import importable_module_name

        for name in self._homes:
            if self._is_in(sys.modules.get(name)):
                return importable_module_name(name)
        # The program comes last: elsewhere it is the one module that is not imported under its name.
        names = [name for name, module in list(sys.modules.items()) if self._is_in(module)]
        return importable_module_name(min(names, key=lambda name: name == "__main__")) if names else None

    def _is_in(self, module: object) -> bool:
        return getattr(module, "__dict__", {}).get("configuration") is self

    def initialise(self) -> None:
        """Tell the extensions, once, that the configuration is in use."""
        with _lock:
            if not self._initialised:
                self._initialised = True
                for extension in self._extensions:
                    extension.on_init(self)


#: What functions have when nobody has written a configuration.
_IMPLICIT = Configuration()


def get_configuration(configuration_module: str | None = None) -> Configuration:
    """Return the ``configuration`` of a module.

    Without a name it is the module that the variable ``PLAINBOX_TASKS_CONFIG_MODULE`` names, else
    ``plainbox_tasks_config``; when that does not exist, a configuration with an empty default chain. ModuleNotFoundError
    when a named module, or one that it imports, does not exist; LookupError without a ``configuration`` in it; TypeError
    when that is something else.
    """
    asked = configuration_module or os.environ.get(_MODULE_VARIABLE)
    name = asked or _DEFAULT_MODULE
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # something that the module itself imports
        if asked is None:
            return _IMPLICIT
        source = "" if configuration_module else f", which {_MODULE_VARIABLE} names"
        raise ModuleNotFoundError(
            f"no configuration module {name!r}{source}; loaded: {', '.join(_loaded_modules()) or 'none'}",
            name=error.name,
        ) from error
    try:
        configuration = vars(module)["configuration"]
    except KeyError:
        raise LookupError(f"the module {name!r} has no member 'configuration'") from None
    if not isinstance(configuration, Configuration):
        raise TypeError(f"the member 'configuration' of {name!r} must be a Configuration, not {configuration!r}")
    if name not in configuration._homes:
        configuration._homes.append(name)
    configuration.initialise()
    return configuration


def configuration_named(module_name: str | None) -> Configuration:
    """Return the configuration whose ``module_name`` was this in another process."""
    return _IMPLICIT if module_name is None else get_configuration(module_name)


def _loaded_modules() -> list[str]:
    modules = list(sys.modules.items())
    return sorted(
        name
        for name, module in modules
        if isinstance(getattr(module, "__dict__", {}).get("configuration"), Configuration)
    )


def advice_by_name(name: str) -> Advice:
    """Return a new advice with the parameters that it has by itself; see :mod:`plainbox.tasks.registry`."""
    from plainbox.tasks.registry import advice_class

    return advice_class(name)()
