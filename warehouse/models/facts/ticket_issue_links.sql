-- One row per ticket and issue that are, or were, linked, whether or not both still exist.
-- key: ticket_tool, ticket_id, issue_tool, issue_id
-- ticket_tool text: The tool that holds the ticket.
-- ticket_id text: The ticket's number in its tool.
-- issue_tool text: The tool that holds the issue.
-- issue_id text: The issue's id, which stays when the issue moves.
-- issue_key text: The issue's key as of now, else the one it had when it was linked.
-- issue_exists boolean: Whether the issue is there to be read: not deleted, and in a project that we may see.
-- feature_id text: The feature that the issue serves; null if none.
-- first_seen timestamp: When the two were first linked (UTC).
-- last_seen timestamp: Until when they were known to be linked (UTC): the removal, else the last good read of links.
-- removed_at timestamp: When the link was found to be gone (UTC); null while it stands.
with reads as (
    select
        run.tool,
        max(coalesce(run.covered_until, run.ended_at)) as covered_until
    from sync.runs as run
    where run.status = 'succeeded' and run.read = 'jira_links'
    group by run.tool
)

select
    link.tool as ticket_tool,
    link.from_id as ticket_id,
    link.to_tool as issue_tool,
    link.to_id as issue_id,
    coalesce(issue.issue_key, link.to_key) as issue_key,
    issue.issue_id is not null as issue_exists,
    issue.feature_id,
    link.first_seen,
    coalesce(link.removed_at, reads.covered_until, link.first_seen) as last_seen,
    link.removed_at
from unified.links as link
left join unified.issues as issue on issue.tool = link.to_tool and issue.issue_id = link.to_id
left join reads on reads.tool = link.tool
where link.from_type = 'ticket' and link.to_type = 'issue'
