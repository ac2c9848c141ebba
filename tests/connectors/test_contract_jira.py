"""The contract of every stream of Jira."""

from contract import Contract, every

from tests.truth.raw_jira import CASES


@every("jira", CASES, on_postgresql=["priorities", "comments"])
class TestJira(Contract):
    pass
