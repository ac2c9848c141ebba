-- One row per field of a deal or ticket in which somebody named what it is about, with the issue that is meant.
-- key: tool, record_type, record_id, column_name
-- tool text: The tool that holds the record.
-- record_type text: opportunity or ticket.
-- record_id text: Id of the record.
-- column_name text: The field: blocking_feature or loss_reason of a deal, feature of a ticket.
-- value text: What stands in the field.
-- issue_id text: The issue that is meant, by a key it has or had, its address, or the settings; null if that names
--   none.
-- issue_key text: Key of that issue.
-- feature_id text: The feature that the issue serves; null if none.
with filled as (
    select
        'salesforce' as tool,
        'opportunity' as record_type,
        deal.id as record_id,
        'blocking_feature' as column_name,
        trim(deal.blocking_feature, ' ') as value
    from salesforce.opportunities as deal
    where deal._deleted_at is null
    union all
    select
        'salesforce' as tool,
        'opportunity' as record_type,
        deal.id as record_id,
        'loss_reason' as column_name,
        trim(deal.loss_reason, ' ') as value
    from salesforce.opportunities as deal
    where deal._deleted_at is null
    union all
    select
        'zendesk' as tool,
        'ticket' as record_type,
        cast(ticket.id as text) as record_id,
        'feature' as column_name,
        trim(ticket.feature, ' ') as value
    from zendesk.tickets as ticket
    where ticket._deleted_at is null and coalesce(ticket.status, 'new') <> 'deleted'
),

-- An address holds the key after /browse/ or selectedIssue=; elsewhere it is the first word.
spelled as (
    select
        filled.tool,
        filled.record_type,
        filled.record_id,
        filled.column_name,
        filled.value,
        case
            when strpos(filled.value, 'selectedIssue=') > 0
                then split_part(split_part(split_part(filled.value, 'selectedIssue=', 2), '&', 1), '#', 1)
            when strpos(filled.value, '/browse/') > 0
                then split_part(split_part(split_part(filled.value, '/browse/', 2), '?', 1), '#', 1)
            else filled.value
        end as naming
    from filled
    where filled.value <> ''
)

select
    spelled.tool,
    spelled.record_type,
    spelled.record_id,
    spelled.column_name,
    spelled.value,
    issue.issue_id,
    issue.issue_key,
    issue.feature_id
from spelled
left join settings.feature_values as meaning on meaning.value = spelled.value
left join unified.issue_keys as known
    on known.issue_key
    = upper(coalesce(meaning.issue_key, rtrim(split_part(split_part(spelled.naming, ' ', 1), '/', 1), ':,;')))
left join unified.issues as issue on issue.issue_id = known.issue_id
