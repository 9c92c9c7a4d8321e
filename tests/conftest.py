"""Rules for every test: needs are probed once, a skip is a failure under PYD_TEST_STRICT=1."""

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack

import hypothesis
import pytest

from support import engine as engines
from support import sandbox
from support.needs import extend_path, lacks

extend_path()
# A shared machine stalls now and then: a slow example is no failure.
hypothesis.settings.register_profile("pyd", deadline=None)
hypothesis.settings.load_profile("pyd")

STRICT = os.environ.get("PYD_TEST_STRICT") == "1"


def pytest_sessionstart(session: pytest.Session) -> None:
    """End what a test run that was killed has left on the machine."""
    if os.geteuid() == 0 and not hasattr(session.config, "workerinput"):
        sandbox.sweep()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long bytes by their size: archives hold the time, and workers must agree on names."""
    return f"{argname}{len(val)}" if isinstance(val, bytes) and len(val) > 8 else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs the machine does not meet."""
    for mark in item.iter_markers("needs"):
        for what in mark.args:
            if reason := lacks(what):
                pytest.skip(f"needs {what}: {reason}")


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"{why}\nskipped, and PYD_TEST_STRICT=1 makes a skip a failure"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where every test has to run."""
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into a failure too."""
    report = yield
    _forbid_skip(report)
    return report


@pytest.fixture(scope="module")
def module_engine() -> Iterator[engines.Engine]:
    """Start one engine for all tests of a file; the machine is as before when it is gone."""
    for what in ("root", "docker"):
        if reason := lacks(what):
            pytest.skip(f"needs {what}: {reason}")
    with ExitStack() as stack:
        if peer := os.environ.get("PYD_TEST_PEER"):
            yield stack.enter_context(engines.foreign(peer))
        else:
            yield stack.enter_context(engines.started())


@pytest.fixture
def engine(module_engine: engines.Engine) -> Iterator[engines.Engine]:
    """Lend the file's engine to one test; whatever that leaves behind is a failure."""
    with engines.lent(module_engine) as lent:
        yield lent


@pytest.fixture
def fresh_engine() -> Iterator[engines.Engine]:
    """Start an engine for one test alone."""
    for what in ("root", "docker"):
        if reason := lacks(what):
            pytest.skip(f"needs {what}: {reason}")
    with engines.started() as own, engines.lent(own) as lent:
        yield lent
