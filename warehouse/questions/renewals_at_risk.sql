-- Who may churn, and why?
-- One row per paying customer that renews within 90 days with a blocked deal, an open escalation or mostly bad ratings.
with blockers as (
    select
        deal.customer_id,
        count(*) as deals,
        sum(deal.amount) as amount
    from unified.deals as deal
    where deal.is_open and deal.has_blocker
    group by deal.customer_id
),

today as (
    select max(built.today) as today
    from unified.tables as built
)

select
    customer.name,
    customer.arr,
    customer.renewal_date,
    customer.renewal_date - today.today as days_to_renewal,
    customer.owner_name,
    coalesce(blockers.deals, 0) as blocked_deals,
    customer.escalations_open,
    customer.open_tickets,
    customer.csat_90d
from unified.customers as customer
left join blockers on blockers.customer_id = customer.customer_id
cross join today
where
    customer.lifecycle = 'paying'
    and customer.renewal_date <= today.today + 90
    and (blockers.customer_id is not null or customer.escalations_open > 0 or customer.csat_90d < 0.5)
order by customer.arr desc nulls last, customer.customer_id
