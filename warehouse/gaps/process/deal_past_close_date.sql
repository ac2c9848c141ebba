-- title: Open deal past its close date
-- severity: medium
-- owner: sales operations
-- fix: Close the deal, or give it the day on which it is expected to close now.
-- inputs: salesforce/opportunities
-- entity: opportunity
select
    deal.deal_id as entity_id,
    deal.customer_id,
    deal.blocker_feature_id as feature_id,
    coalesce(deal.name, deal.deal_id) || ' should have closed on ' || cast(deal.close_date as text) as title,
    'The deal is still open in stage "' || coalesce(deal.stage, 'unknown')
    || '", so every forecast that counts it is wrong.' as detail,
    owner.name as owner,
    nullif(deal.amount, 0) as stake_amount,
    case when deal.amount <> 0 then 'pipeline' end as stake_kind,
    deal.url
from unified.deals as deal
cross join settings.clock as clock
left join unified.people as owner on owner.tool = deal.tool and owner.person_id = deal.owner_id and owner.active
where deal.is_open and deal.close_date < clock.today
