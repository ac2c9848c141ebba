-- Which escalations are open, how old are they, and what does the customer pay?
-- One row per open ticket that is an escalation by the settings; an unknown customer drops none.
select
    ticket.ticket_id,
    ticket.subject,
    ticket.age_days,
    ticket.assignee_name,
    customer.name as customer,
    customer.arr,
    customer.renewal_date,
    ticket.url
from unified.tickets as ticket
left join unified.customers as customer on customer.customer_id = ticket.customer_id
where ticket.is_open and ticket.is_escalated
order by customer.arr desc nulls last, ticket.age_days desc nulls last, ticket.ticket_id
