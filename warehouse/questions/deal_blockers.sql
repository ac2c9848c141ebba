-- Which features block how much of the pipeline, and how much of that was to close this quarter?
-- One row per feature, with what was booked this quarter beside it for the scale; amounts in the reporting currency.
with quarter as (
    select
        cast(date_trunc('quarter', max(built.today)) as date) as begins,
        cast(date_trunc('quarter', max(built.today)) + interval '3 months' as date) as ends
    from unified.tables as built
),

booked as (
    select sum(deal.amount) as amount
    from unified.deals as deal
    cross join quarter
    where deal.is_won and deal.close_date >= quarter.begins and deal.close_date < quarter.ends
)

select
    feature.jira_key,
    feature.name,
    feature.status,
    feature.owner,
    count(*) as blocked_deals,
    sum(deal.amount) as pipeline_blocked,
    sum(deal.amount_weighted) as pipeline_blocked_weighted,
    sum(deal.amount) filter (where deal.close_date < quarter.ends) as blocked_this_quarter,
    booked.amount as booked_this_quarter
from unified.deals as deal
join unified.features as feature on feature.feature_id = deal.blocker_feature_id
cross join quarter
cross join booked
where deal.is_open
group by feature.feature_id, feature.jira_key, feature.name, feature.status, feature.owner, booked.amount
order by pipeline_blocked desc nulls last, feature.jira_key
