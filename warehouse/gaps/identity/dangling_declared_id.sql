-- title: Organization that names a Salesforce account which is not there
-- severity: high
-- owner: customer success operations
-- fix: Replace the organization's external id by the id of the Salesforce account that is in use, or clear it.
-- inputs: salesforce/accounts, zendesk/organizations
-- entity: organization
with declared as (
    select
        record.tool,
        record.record_type,
        record.record_id,
        record.name,
        record.url,
        record.declared_tool,
        record.declared_id
    from unified.records as record
    where
        not record.deleted
        -- Not the accounts of Pendo: their ids are the application's, which nobody can correct.
        and record.tool = 'zendesk'
        and record.record_type = 'organization'
        and record.declared_tool = 'salesforce'
        -- Ids have 15 or 18 characters; what begins as an account's id does and has others was cut short.
        and (
            regexp_matches(record.declared_id, '^[0-9A-Za-z]{15}([0-9A-Za-z]{3})?$')
            or starts_with(record.declared_id, '001')
        )
)

select
    declared.record_id as entity_id,
    owned.customer_id,
    cast(null as text) as feature_id,
    coalesce(declared.name, declared.record_id) || ' names a Salesforce account that is not there' as title,
    'It points to '
    || declared.declared_id
    || case
        when account.master_record_id is not null then ', which was merged into ' || account.master_record_id || '.'
        when target.record_id is not null then ', which was deleted.'
        else ', which no account has.'
    end as detail,
    cast(null as text) as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    declared.url
from declared
left join unified.records as target
    on target.tool = declared.declared_tool
    and target.record_type = 'account'
    and left(target.record_id, 15) = left(declared.declared_id, 15)
    and starts_with(target.record_id, declared.declared_id)
    and length(declared.declared_id) in (15, 18)
left join salesforce.accounts as account on account.id = target.record_id
left join unified.customer_records as owned
    on owned.tool = declared.tool
    and owned.record_type = declared.record_type
    and owned.record_id = declared.record_id
where coalesce(target.deleted, true)
