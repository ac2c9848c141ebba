-- title: Issue done while its tickets are still open
-- severity: high
-- owner: support operations
-- fix: Tell the customers what became of it and solve the tickets.
-- inputs: jira/issues, zendesk/tickets, zendesk/jira_links
-- entity: issue
with waiting as (
    select
        link.issue_tool,
        link.issue_id,
        ticket.ticket_id,
        ticket.customer_id,
        row_number() over (
            partition by link.issue_tool, link.issue_id order by length(ticket.ticket_id), ticket.ticket_id
        ) as place
    from unified.ticket_issue_links as link
    join unified.tickets as ticket on ticket.tool = link.ticket_tool and ticket.ticket_id = link.ticket_id
    where link.removed_at is null and ticket.is_open
),

counted as (
    select
        waiting.issue_tool,
        waiting.issue_id,
        count(*) as tickets,
        string_agg(waiting.ticket_id, ', ' order by waiting.place) filter (where waiting.place <= 5) as first_tickets,
        case
            when count(*) = count(waiting.customer_id) and min(waiting.customer_id) = max(waiting.customer_id)
                then min(waiting.customer_id)
        end as only_customer_id
    from waiting
    group by waiting.issue_tool, waiting.issue_id
)

select
    issue.issue_id as entity_id,
    counted.only_customer_id as customer_id,
    issue.feature_id,
    issue.issue_key || case when issue.is_declined then ' is declined' else ' is done' end
    || ', and its tickets are still open' as title,
    'Open tickets that wait for it: '
    || cast(counted.tickets as text)
    || case when counted.tickets > 5 then ', the first ones ' else ', namely ' end
    || counted.first_tickets
    || '.' as detail,
    issue.assignee_name as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    issue.url
from counted
join unified.issues as issue on issue.tool = counted.issue_tool and issue.issue_id = counted.issue_id
where issue.is_done
