-- One row per record whose text may mention an issue by its key, such as ABC-12.
-- key: tool, record_type, record_id
-- tool text: The tool that holds the record.
-- record_type text: ticket or opportunity.
-- record_id text: Id of the record.
-- text text: The record's title and its texts, one after the other.
with written as (
    select
        'zendesk' as tool,
        'ticket' as record_type,
        cast(ticket.id as text) as record_id,
        concat_ws(' ', ticket.subject, ticket.description) as text
    from zendesk.tickets as ticket
    where ticket._deleted_at is null
    union all
    select
        'salesforce' as tool,
        'opportunity' as record_type,
        deal.id as record_id,
        concat_ws(' ', deal.name, deal.next_step, deal.description) as text
    from salesforce.opportunities as deal
    where deal._deleted_at is null
)

select
    written.tool,
    written.record_type,
    written.record_id,
    written.text
from written
where regexp_matches(written.text, '[A-Z][A-Z0-9_]+-[0-9]')
