-- title: Paying customer that nobody looks after
-- severity: high
-- owner: sales operations
-- fix: Give the Salesforce account an owner who is active.
-- inputs: salesforce/accounts, salesforce/opportunities, salesforce/users
-- entity: customer
select
    profile.customer_id as entity_id,
    profile.customer_id,
    cast(null as text) as feature_id,
    coalesce(profile.name, profile.customer_id) || ' has no owner' as title,
    'None of its Salesforce accounts is owned by somebody who can still log in.' as detail,
    cast(null as text) as owner,
    nullif(profile.arr, 0) as stake_amount,
    case when profile.arr <> 0 then 'arr' end as stake_kind,
    profile.url
from unified.customer_profiles as profile
where profile.lifecycle = 'paying' and profile.owner_name is null and profile.owner_email is null
