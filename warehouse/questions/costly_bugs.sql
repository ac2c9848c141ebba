-- Which open bugs cost most?
-- One row per open bug that a ticket is linked to, with its tickets and the arr of the paying customers behind them,
-- each once.
with behind as (
    select distinct
        link.issue_id,
        ticket.customer_id
    from unified.ticket_issue_links as link
    join unified.tickets as ticket on ticket.tool = link.ticket_tool and ticket.ticket_id = link.ticket_id
    where link.removed_at is null and ticket.customer_id is not null
),

paying as (
    select
        behind.issue_id,
        count(*) as customers,
        sum(customer.arr) as arr
    from behind
    join unified.customers as customer on customer.customer_id = behind.customer_id
    where customer.lifecycle = 'paying'
    group by behind.issue_id
),

linked as (
    select
        link.issue_id,
        count(*) as tickets,
        count(*) filter (where ticket.is_open) as open_tickets
    from unified.ticket_issue_links as link
    join unified.tickets as ticket on ticket.tool = link.ticket_tool and ticket.ticket_id = link.ticket_id
    where link.removed_at is null
    group by link.issue_id
)

select
    issue.issue_key,
    issue.summary,
    issue.priority,
    issue.assignee_name,
    linked.tickets,
    linked.open_tickets,
    coalesce(paying.customers, 0) as paying_customers,
    paying.arr,
    issue.url
from unified.issues as issue
join linked on linked.issue_id = issue.issue_id
left join paying on paying.issue_id = issue.issue_id
where issue.is_bug and not issue.is_done
order by paying.arr desc nulls last, linked.tickets desc, issue.issue_key
