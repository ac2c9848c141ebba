"""The contract of every stream of Zendesk."""

from contract import Contract, every

from tests.truth.raw_zendesk import CASES


@every("zendesk", CASES, on_postgresql=["tickets"])
class TestZendesk(Contract):
    pass
