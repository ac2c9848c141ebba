"""The contract of every stream of Pendo."""

from contract import Contract, every

from tests.truth.raw_pendo import CASES


@every("pendo", CASES, on_postgresql=["feature_events"])
class TestPendo(Contract):
    pass
