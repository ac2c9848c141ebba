-- What do paying customers ask for, and what do prospects?
-- One row per feature that is neither shipped nor declined and that somebody asks for; each customer counts once in
-- each figure.
select
    feature.jira_key,
    feature.name,
    feature.product_area,
    feature.status,
    feature.paying_requesting,
    feature.arr_requesting,
    feature.arr_at_risk,
    feature.prospects_requesting,
    feature.pipeline_blocked,
    feature.lost_to_gap_12m,
    feature.tickets
from unified.features as feature
where feature.status not in ('shipped', 'declined') and feature.customers_requesting > 0
order by feature.arr_requesting desc nulls last, feature.prospects_requesting desc, feature.jira_key
