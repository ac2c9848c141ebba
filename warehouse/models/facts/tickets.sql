-- One row per ticket that is not deleted, with the customer it belongs to; an unknown requester never drops a ticket.
-- key: tool, ticket_id
-- tool text: The tool that holds the ticket.
-- ticket_id text: The ticket's number in its tool.
-- customer_id text: The customer, by the ticket's organization; null when there is none.
-- organization_id text: Id of the requester's organization; null when there is none.
-- subject text: Subject.
-- status text: new, open, pending, hold, solved or closed.
-- is_open boolean: Whether it is neither solved nor closed.
-- type text: problem, incident, question or task.
-- priority text: low, normal, high or urgent.
-- is_escalated boolean: Whether it has a tag or a priority that the settings call an escalation.
-- is_inbound_question boolean: Whether a colleague asks: the requester's domain is one of our own, by the settings.
-- requester_id text: Id of the person who asked.
-- requester_email text: E-mail address of that person, as in unified.people; null if unknown.
-- assignee_id text: Id of the agent in charge.
-- assignee_name text: Name of the agent in charge.
-- assignee_email text: E-mail address of the agent in charge.
-- group_id text: Id of the group in charge.
-- channel text: How the ticket came in.
-- tags json: Tags, a list.
-- satisfaction text: The customer's rating, good or bad; null if none was given.
-- created_at timestamp: When the ticket was created (UTC).
-- created_on date: The day of that, in the settings' time zone.
-- updated_at timestamp: When the ticket was last changed (UTC).
-- solved_at timestamp: When it was last solved (UTC), by Zendesk's own figures; null while it is not.
-- age_days integer: Days since created_on; null once solved.
-- excerpt text: The first 200 characters of the subject, else of the first comment.
-- url text: Address of the ticket in its tool.
with alive as (
    select
        ticket.id,
        coalesce(ticket.status, 'new') not in ('solved', 'closed') as is_open,
        cast(ticket.created_at at time zone clock.timezone as date) as created_on,
        clock.today
    from zendesk.tickets as ticket
    cross join settings.clock as clock
    where ticket._deleted_at is null and coalesce(ticket.status, 'new') <> 'deleted'
)

select
    'zendesk' as tool,
    cast(ticket.id as text) as ticket_id,
    organization.customer_id,
    cast(ticket.organization_id as text) as organization_id,
    ticket.subject,
    ticket.status,
    alive.is_open,
    ticket.type,
    ticket.priority,
    exists (
        select 1
        from settings.escalation_marks as mark
        where
            (mark.kind = 'priority' and mark.value = ticket.priority)
            or (mark.kind = 'tag' and strpos(ticket.tags, '"' || mark.value || '"') > 0)
    ) as is_escalated,
    exists (
        select 1
        from settings.internal_domains as ours
        where '.' || requester.host like '%.' || ours.domain  -- the domain, or below it
    ) as is_inbound_question,
    cast(ticket.requester_id as text) as requester_id,
    requester.email as requester_email,
    cast(ticket.assignee_id as text) as assignee_id,
    assignee.name as assignee_name,
    assignee.email as assignee_email,
    cast(ticket.group_id as text) as group_id,
    ticket.channel,
    ticket.tags,
    case when ticket.satisfaction_score in ('good', 'bad') then ticket.satisfaction_score end as satisfaction,
    ticket.created_at,
    alive.created_on,
    ticket.updated_at,
    case when not alive.is_open then ticket.solved_at end as solved_at,
    case when alive.is_open then alive.today - alive.created_on end as age_days,
    left(coalesce(nullif(trim(ticket.subject, ' '), ''), ticket.description), 200) as excerpt,
    rtrim(place.url, '/') || '/agent/tickets/' || cast(ticket.id as text) as url
from zendesk.tickets as ticket
join alive on alive.id = ticket.id
left join unified.customer_records as organization
    on organization.tool = 'zendesk'
    and organization.record_type = 'organization'
    and organization.record_id = cast(ticket.organization_id as text)
left join unified.people as requester
    on requester.tool = 'zendesk' and requester.person_id = cast(ticket.requester_id as text)
left join unified.people as assignee
    on assignee.tool = 'zendesk' and assignee.person_id = cast(ticket.assignee_id as text)
left join settings.tools as place on place.tool = 'zendesk'
