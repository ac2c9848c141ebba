-- One row per key under which some tool shows an issue today: the issue's own, and those that links have kept.
-- key: tool, issue_id, issue_key
-- tool text: The tool that holds the issue.
-- issue_id text: Id of the issue; it stays when the issue moves.
-- issue_key text: The key.
-- seen_at timestamp: Since when, as far as is known (UTC); null: as of now.
with shown as (
    select
        'jira' as tool,
        issue.id as issue_id,
        issue.key as issue_key,
        cast(null as timestamptz) as seen_at
    from jira.issues as issue
    where issue.key is not null
    union all
    select
        link.to_tool as tool,
        link.to_id as issue_id,
        link.to_key as issue_key,
        link.first_seen as seen_at
    from unified.links as link
    where link.to_type = 'issue' and link.to_id is not null and link.to_key is not null
)

select
    shown.tool,
    shown.issue_id,
    shown.issue_key,
    min(shown.seen_at) as seen_at
from shown
group by shown.tool, shown.issue_id, shown.issue_key
