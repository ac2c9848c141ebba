-- What do we hear month by month, from customers and colleagues, and how much of it is linked to a feature?
-- One row per month and kind of evidence; share_linked from 0 to 1.
select
    cast(date_trunc('month', evidence.occurred_at) as date) as month,
    evidence.kind,
    count(distinct evidence.tool || '/' || evidence.record_id) as things,
    cast(
        count(distinct case when evidence.feature_id is not null then evidence.tool || '/' || evidence.record_id end)
        as double precision
    ) / count(distinct evidence.tool || '/' || evidence.record_id) as share_linked
from unified.evidence as evidence
where evidence.occurred_at is not null
group by cast(date_trunc('month', evidence.occurred_at) as date), evidence.kind
order by month desc, evidence.kind
