-- One row per pair of records in two tools that somebody linked, links that were removed included.
-- key: tool, from_type, from_id, to_tool, to_type, to_id
-- tool text: The tool that holds the link.
-- from_type text: Type of the record there, such as ticket.
-- from_id text: Id of that record.
-- to_tool text: The tool that the link points into.
-- to_type text: Type of the record there, such as issue.
-- to_id text: Id of that record, which stays when it is moved or renamed.
-- to_key text: What that record was called when the link was last made, such as an issue's key.
-- first_seen timestamp: When the pair was first linked (UTC).
-- removed_at timestamp: When the pair was found to be linked no longer (UTC); null while it is.
with ordered as (
    select
        link.ticket_id,
        link.issue_id,
        link.issue_key,
        link.created_at,
        link._deleted_at,
        row_number() over (
            partition by link.ticket_id, link.issue_id order by link.created_at desc nulls last, link.id desc nulls last
        ) as recency
    from zendesk.jira_links as link
    where link.ticket_id is not null and link.issue_id is not null
)

select
    'zendesk' as tool,
    'ticket' as from_type,
    cast(ordered.ticket_id as text) as from_id,
    'jira' as to_tool,
    'issue' as to_type,
    ordered.issue_id as to_id,
    max(case when ordered.recency = 1 then upper(ordered.issue_key) end) as to_key,
    min(ordered.created_at) as first_seen,
    case when count(*) = count(ordered._deleted_at) then max(ordered._deleted_at) end as removed_at
from ordered
group by ordered.ticket_id, ordered.issue_id
