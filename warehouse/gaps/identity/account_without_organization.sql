-- title: Paying account without a Zendesk organization
-- severity: high
-- owner: customer success operations
-- fix: Create the organization in Zendesk, or put the account's Salesforce id into the external id of the one that is
--   there.
-- inputs: salesforce/accounts, salesforce/opportunities, zendesk/organizations
-- entity: account
with running as (
    select distinct deal.account_id
    from unified.deals as deal
    cross join settings.clock as clock
    where deal.is_won and deal.term_start <= clock.today and deal.term_end > clock.today
)

select
    account.record_id as entity_id,
    profile.customer_id,
    cast(null as text) as feature_id,
    coalesce(account.name, account.record_id) || ' pays and has no Zendesk organization' as title,
    'No Zendesk organization is known to be this customer, so nobody sees which tickets are from it.' as detail,
    profile.owner_name as owner,
    nullif(profile.arr, 0) as stake_amount,
    case when profile.arr <> 0 then 'arr' end as stake_kind,
    account.url
from unified.customer_records as account
join unified.customer_profiles as profile on profile.customer_id = account.customer_id
left join running on running.account_id = account.record_id
where
    account.tool = 'salesforce'
    and account.record_type = 'account'
    and profile.lifecycle = 'paying'
    and profile.zendesk_organizations = 0
    and (running.account_id is not null or account.arr > 0)
