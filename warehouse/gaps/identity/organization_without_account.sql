-- title: Organization with recent tickets and no Salesforce account
-- severity: high
-- owner: sales operations
-- fix: Put the id of the Salesforce account into the organization's external id, or create the account.
-- inputs: salesforce/accounts, zendesk/organizations, zendesk/tickets
-- entity: organization
with recent as (
    select
        ticket.organization_id,
        count(*) as tickets
    from unified.tickets as ticket
    cross join settings.clock as clock
    cross join settings.options as options
    where ticket.created_on > clock.today - cast(options.organization_ticket_days as integer)
    group by ticket.organization_id
)

select
    organization.record_id as entity_id,
    profile.customer_id,
    cast(null as text) as feature_id,
    coalesce(organization.name, organization.record_id) || ' asks for support and has no Salesforce account' as title,
    'Tickets of the last '
    || cast(options.organization_ticket_days as text)
    || ' days: '
    || cast(recent.tickets as text)
    || '. Without an account nobody knows what this customer pays, or who looks after it.' as detail,
    profile.owner_name as owner,
    cast(null as decimal(18, 2)) as stake_amount,
    cast(null as text) as stake_kind,
    organization.url
from unified.customer_records as organization
join unified.customer_profiles as profile on profile.customer_id = organization.customer_id
join recent on recent.organization_id = organization.record_id
cross join settings.options as options
where
    organization.tool = 'zendesk'
    and organization.record_type = 'organization'
    and profile.salesforce_accounts = 0
    and profile.lifecycle <> 'internal'
