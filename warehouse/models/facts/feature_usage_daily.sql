-- One row per customer, feature and day on which somebody of the customer used the feature.
-- key: customer_id, feature_id, day
-- by: day, customer_id
-- customer_id text: The customer.
-- feature_id text: The feature, as tool:id; Pendo's are not joined to Jira's issues yet.
-- day date: The day, in the time zone that the tool counts by.
-- users integer: Different visitors who used it; null if the settings leave visitors out. Those of several days are fewer
--   than their sum: count them in usage.
-- events integer: How often it was used.
with visitors as (
    select
        record.customer_id,
        usage.tool,
        usage.feature_id,
        usage.day,
        usage.visitor_id,
        sum(usage.events) as events
    from unified.usage as usage
    join unified.customer_records as record
        on record.tool = usage.tool and record.record_type = 'account' and record.record_id = usage.account_id
    group by record.customer_id, usage.tool, usage.feature_id, usage.day, usage.visitor_id
)

select
    visitors.customer_id,
    visitors.tool || ':' || visitors.feature_id as feature_id,
    visitors.day,
    nullif(count(*) filter (where visitors.visitor_id <> ''), 0) as users,
    cast(sum(visitors.events) as bigint) as events
from visitors
group by visitors.customer_id, visitors.tool, visitors.feature_id, visitors.day
