"""The contract of every stream of Pendo."""

import pytest
from contract import PAGE, Contract, every

from connectors import pendo
from tests.truth.raw_pendo import CASES


@every("pendo", CASES, on_postgresql=["feature_events"])
class TestPendo(Contract):
    @pytest.fixture(autouse=True)
    def _small_replies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pendo, "MOST", PAGE + 1)  # the last of a full reply comes again with the next
