-- title: Lost deal without a reason
-- severity: medium
-- owner: sales operations
-- fix: Fill in why the deal was lost.
-- inputs: salesforce/opportunities
-- entity: opportunity
select
    deal.deal_id as entity_id,
    deal.customer_id,
    deal.loss_feature_id as feature_id,
    coalesce(deal.name, deal.deal_id) || ' was lost, and nobody says why' as title,
    'Its loss reason is empty' || case
        when deal.close_date is null then '.'
        else '; it was lost on ' || cast(deal.close_date as text) || '.'
    end as detail,
    owner.name as owner,
    nullif(deal.amount, 0) as stake_amount,
    case when deal.amount <> 0 then 'pipeline' end as stake_kind,
    deal.url
from unified.deals as deal
join settings.mapped_fields as mapped
    on mapped.tool = deal.tool and mapped.stream = 'opportunities' and mapped.column_name = 'loss_reason'
left join unified.people as owner on owner.tool = deal.tool and owner.person_id = deal.owner_id and owner.active
where deal.is_lost and deal.loss_reason is null
