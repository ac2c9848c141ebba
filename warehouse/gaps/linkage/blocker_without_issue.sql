-- title: Deal whose blocker is no Jira issue
-- severity: high
-- owner: product operations
-- fix: Put the key of the Jira issue into the deal's blocking feature, or have the issue created.
-- inputs: salesforce/opportunities, jira/issues
-- entity: opportunity
select
    deal.deal_id as entity_id,
    deal.customer_id,
    cast(null as text) as feature_id,
    coalesce(deal.name, deal.deal_id) || ' waits for something that is no Jira issue' as title,
    'Its blocking feature is "' || left(deal.blocker, 100) || '", which names no issue that exists'
    || case
        when deal.close_date is null then '.'
        else '; it is to close on ' || cast(deal.close_date as text) || '.'
    end as detail,
    owner.name as owner,
    nullif(deal.amount, 0) as stake_amount,
    case when deal.amount <> 0 then 'pipeline' end as stake_kind,
    deal.url,
    case
        when deal.close_date <= clock.today + cast(options.blocker_close_days as integer) then 'critical'
        else 'high'
    end as severity
from unified.deals as deal
join settings.mapped_fields as mapped
    on mapped.tool = deal.tool and mapped.stream = 'opportunities' and mapped.column_name = 'blocking_feature'
cross join settings.clock as clock
cross join settings.options as options
left join unified.people as owner on owner.tool = deal.tool and owner.person_id = deal.owner_id and owner.active
where deal.is_open and deal.has_blocker and deal.blocker_issue_id is null
