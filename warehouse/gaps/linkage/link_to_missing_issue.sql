-- title: Ticket linked to a Jira issue that is not there
-- severity: high
-- owner: support operations
-- fix: Link the ticket to the issue that replaced it or remove the link; if the issue exists, let the connection see
--   its project.
-- inputs: zendesk/tickets, zendesk/jira_links, jira/issues
-- entity: ticket
with broken as (
    select
        link.ticket_tool,
        link.ticket_id,
        string_agg(coalesce(link.issue_key, 'id ' || link.issue_id), ', ' order by link.issue_id) as issues
    from unified.ticket_issue_links as link
    where link.removed_at is null and not link.issue_exists
    group by link.ticket_tool, link.ticket_id
)

select
    ticket.ticket_id as entity_id,
    ticket.customer_id,
    cast(null as text) as feature_id,
    'Ticket ' || ticket.ticket_id || ' is linked to an issue that is not there' as title,
    'Jira does not show ' || broken.issues || ': deleted, or in a project that the connection may not see.' as detail,
    assignee.name as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    ticket.url
from broken
join unified.tickets as ticket on ticket.tool = broken.ticket_tool and ticket.ticket_id = broken.ticket_id
left join unified.people as assignee
    on assignee.tool = ticket.tool
    and assignee.person_id = ticket.assignee_id
    and assignee.active
    and assignee.role <> 'end-user'  -- who was an agent once closes nothing any more, and is not named
